#include "consensus/readmission.h"

#include "base/log.h"

#include <algorithm>
#include <utility>

namespace concordat::consensus
{
namespace
{
constexpr std::size_t most_waiting = 1'024;
constexpr std::chrono::seconds between_words{10};

std::string list(const std::vector<EngineId>& ids)
{
  std::string out;
  for (const auto id : ids)
    out += (out.empty() ? "" : ", ") + std::to_string(id);
  return out;
}
}

Readmission::Readmission(
    Peers* peers, Readmit readmit, std::chrono::milliseconds interval, std::chrono::milliseconds patience)
    : peers_(peers),
      readmit_(std::move(readmit)),
      interval_(interval),
      patience_(patience)
{
}

void Readmission::hear(const std::string& node, std::string presence)
{
  const base::LockGuard lock(mutex_);
  // They call again.
  if (inbox_.size() < most_waiting)
    inbox_.emplace_back(node, std::move(presence));
}

bool Readmission::has_mail() const
{
  const base::LockGuard lock(mutex_);
  return !inbox_.empty();
}

void Readmission::begin(const Return& how, std::chrono::steady_clock::time_point now)
{
  call_.emplace(how.start, how.accept_loss);
  next_call_ = now;
  patient_from_ = now + patience_;
  next_word_ = now + patience_;
}

void Readmission::settle()
{
  settled_ = true;
  missing_.clear();
}

void Readmission::take(
    const std::string& node, const std::string& bytes, Presence own, const std::function<bool(EngineId)>& may_admit,
    const kv::Snapshot& committed)
{
  auto heard = Presence::decode(bytes);
  if (!heard)
    return spdlog::warn("a message of node {} is dropped: {}", node, heard.error().describe());
  const auto known = peers_->ids_of(node);
  if (heard->answers != 0)
  {
    // Each of the two may know of ids that the other has not heard of yet.
    heard->former.insert(heard->former.end(), known.begin(), known.end());
    // The newest may have acknowledged what counts: only its own word speaks for that one.
    std::erase_if(
        heard->former,
        [newest = known.empty() ? heard->id : std::max(heard->id, known.back())](EngineId id) { return id >= newest; });
    if (call_)
      call_->hear(node, *heard);
    return;
  }
  own.answers = heard->start;
  own.receiver = known.empty() ? 0 : known.back();
  // Any node may tell what is committed.
  if (readmit_)
  {
    const bool give = heard->returning && may_admit(std::max(heard->id, own.receiver));
    own.admitted = readmit_(committed, node, heard->start, give).value_or(0);
  }
  peers_->answer_roll(node, own.encode());
}

std::optional<RollCall::Verdict> Readmission::step(
    Presence own, const std::function<bool(EngineId)>& may_admit, bool lonely, const kv::Snapshot& committed,
    std::chrono::steady_clock::time_point now)
{
  std::deque<std::pair<std::string, std::string>> all;
  {
    const base::LockGuard lock(mutex_);
    all.swap(inbox_);
  }
  const auto began = call_ ? call_->start() : 1;
  own.start = began;
  own.former = peers_->ids_of("");
  if (call_)
    own.id = call_->id(own);
  std::erase_if(own.former, [&](EngineId id) { return id >= own.id; });
  for (const auto& [node, bytes] : all)
    take(node, bytes, own, may_admit, committed);
  if (!call_)
    return std::nullopt;
  if (now >= next_call_ && (!settled_ || lonely))
  {
    next_call_ = now + interval_;
    peers_->call_roll(own.encode());
  }
  auto verdict = call_->verdict(own, now >= patient_from_);
  if (settled_)
    return verdict && verdict->admitted ? verdict : std::nullopt;
  missing_ = call_->missing(own);
  if (!verdict && now >= next_word_)
  {
    next_word_ = now + between_words;
    if (missing_.empty())
      spdlog::info("waits until the others have a primary, which readmits this node");
    else
      spdlog::info(
          "waits for a primary, or for every voter: nodes number {} have not answered. If they are gone for good, "
          "'--accept-loss' starts a majority without them",
          list(missing_));
  }
  return verdict;
}
}
