#include "peer/refusals.h"

#include "base/log.h"

#include <utility>

namespace concordat::peer
{
namespace
{
constexpr std::size_t strangers_limit = 256;
}

void Refusals::refused(const std::string& who, bool is_node, Refusal reason, const std::string& sentence)
{
  const base::LockGuard lock(mutex_);
  ++counts_[static_cast<std::size_t>(reason)];
  if (!is_node && !strangers_.contains(who) && strangers_.size() >= strangers_limit)
  {
    if (!std::exchange(full_, true))
      spdlog::warn("more strangers are refused between nodes than the log has room for: from now on they are counted");
    return;
  }
  if (is_first(is_node ? nodes_ : strangers_, who, describe(reason)))
    spdlog::warn("{}", sentence);
}

void Refusals::welcomed(const NodeId& node)
{
  const base::LockGuard lock(mutex_);
  nodes_.erase(node);
}

void Refusals::failed(const NodeId& node, Refusal reason, const std::string& about, const std::string& sentence)
{
  const base::LockGuard lock(mutex_);
  if (reason != Refusal::none)
    ++counts_[static_cast<std::size_t>(reason)];
  if (is_first(called_, node, about))
    spdlog::warn("{}", sentence);
}

void Refusals::reached(const NodeId& node, const std::string& sentence)
{
  const base::LockGuard lock(mutex_);
  const bool is_news = called_.erase(node) > 0;
  if (reached_.insert(node).second || is_news)
    spdlog::info("{}", sentence);
}

void Refusals::forget(const NodeId& node)
{
  const base::LockGuard lock(mutex_);
  called_.erase(node);
  reached_.erase(node);
}

Refusals::Counts Refusals::counts() const
{
  const base::LockGuard lock(mutex_);
  return counts_;
}

std::uint64_t Refusals::logged() const
{
  const base::LockGuard lock(mutex_);
  return logged_;
}

bool Refusals::is_first(Said& said, const std::string& who, const std::string& about)
{
  const bool first = said[who].insert(about).second;
  logged_ += first ? 1 : 0;
  return first;
}
}
