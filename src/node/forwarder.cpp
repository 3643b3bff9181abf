#include "node/forwarder.h"

#include "base/log.h"
#include "base/thread.h"
#include "node/answers.h"

#include <random>
#include <utility>

namespace concordat::node
{
namespace
{
/// Another process of this node may have asked under low numbers, and be answered late.
std::uint64_t first_number()
{
  std::random_device random;
  return std::uint64_t{random()} << 32;
}
}

Forwarder::Forwarder(Options options, const base::Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      last_(first_number())
{
}

Forwarder::~Forwarder()
{
  stop();
}

void Forwarder::start()
{
  thread_ = base::start_thread(
      "forwarder",
      [this]
      {
        for (;;)
        {
          {
            const base::LockGuard lock(mutex_);
            while (waiting_.empty() && !stopped_)
              changed_.wait(mutex_);
            if (!stopped_)
              changed_.wait_for(mutex_, options_.look_interval);
            if (stopped_)
              return;
          }
          look();
        }
      });
}

void Forwarder::stop()
{
  std::map<std::uint64_t, Waiting> all;
  {
    const base::LockGuard lock(mutex_);
    stopped_ = true;
    all.swap(waiting_);
  }
  changed_.notify_all();
  if (thread_.joinable())
    thread_.join();
  for (const auto& [id, one] : all)
    one.exchange->respond(answers::fate_unknown("This node is stopping"));
}

void Forwarder::forward(const std::shared_ptr<http::Exchange>& exchange, View view, std::chrono::milliseconds timeout)
{
  const auto primary = options_.primary();
  if (!primary)
    return exchange->respond(answers::no_primary());
  if (primary->view != view)
    return exchange->respond(answers::not_forwarded("Another primary has just begun; nothing was done, try again"));
  std::uint64_t id = 0;
  bool begins = false;
  {
    const base::LockGuard lock(mutex_);
    if (!stopped_ && waiting_.size() < options_.max_waiting)
    {
      id = ++last_;
      begins = waiting_.empty();
      // Before it is sent: the answer may be here before `send` returns.
      waiting_.emplace(id, Waiting{exchange, *primary, clock_.steady() + timeout});
    }
  }
  if (id == 0)
    return exchange->respond(answers::not_forwarded("Too many requests wait for the primary; try again later"));
  if (begins)
    changed_.notify_all();
  auto message =
      ForwardedRequest{id, view, exchange->session().client_certificate, std::move(exchange->request())}.encode();
  if (!message)
  {
    if (take_out(id))
      exchange->respond(answers::too_large_to_forward(message.error().message));
    return;
  }
  exchange->session().forwarded.store(true, std::memory_order_relaxed);
  if (!options_.send(primary->node, PeerMessage::forwarded_request, std::move(*message)) && take_out(id))
    exchange->respond(answers::not_forwarded("The primary cannot be reached from this node; try again later"));
}

std::shared_ptr<http::Exchange> Forwarder::take_out(std::uint64_t id)
{
  const base::LockGuard lock(mutex_);
  const auto found = waiting_.extract(id);
  return found.empty() ? nullptr : found.mapped().exchange;
}

void Forwarder::take(const peer::Received& message)
{
  auto answer = ForwardedAnswer::decode(message.bytes);
  if (!answer)
    return spdlog::warn("an answer of node {} is dropped: {}", message.from, answer.error().describe());
  std::shared_ptr<http::Exchange> exchange;
  {
    const base::LockGuard lock(mutex_);
    const auto found = waiting_.find(answer->id);
    // Late, or of somebody who was not asked.
    if (found == waiting_.end() || found->second.primary.node != message.from)
      return;
    exchange = std::move(found->second.exchange);
    waiting_.erase(found);
  }
  exchange->respond(std::move(answer->response), answer->close);
}

void Forwarder::look()
{
  const auto primary = options_.primary();
  const bool leads = options_.leads();
  const auto now = clock_.steady();
  std::vector<std::pair<std::shared_ptr<http::Exchange>, bool>> over;
  {
    const base::LockGuard lock(mutex_);
    for (auto at = waiting_.begin(); at != waiting_.end();)
    {
      auto& one = at->second;
      const bool late = one.deadline <= now;
      // Somebody else leads: who was asked may never answer. While nobody leads, they still may.
      const bool deposed = leads || (primary && *primary != one.primary);
      if (late || deposed)
      {
        over.emplace_back(std::move(one.exchange), late);
        at = waiting_.erase(at);
      }
      else
        ++at;
    }
  }
  for (const auto& [exchange, late] : over)
    exchange->respond(
        late ? answers::forwarding_timeout() : answers::fate_unknown("The primary that was asked leads no longer"));
}

std::size_t Forwarder::waiting() const
{
  const base::LockGuard lock(mutex_);
  return waiting_.size();
}
}
