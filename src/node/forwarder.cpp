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
  std::map<std::uint64_t, Streaming> streams;
  {
    const base::LockGuard lock(mutex_);
    stopped_ = true;
    all.swap(waiting_);
    streams.swap(streams_);
  }
  for (const auto& [id, one] : streams)
    if (const auto body = one.body.lock())
      body->break_off();
  changed_.notify_all();
  if (thread_.joinable())
    thread_.join();
  for (const auto& [id, one] : all)
    give_up(one, answers::fate_unknown("This node is stopping"));
}

/// Nobody here knows what became of it; whoever knows its id can ask.
void Forwarder::give_up(const Waiting& one, Response response)
{
  if (one.txid)
    response.headers.emplace_back("x-ms-ccf-transaction-id", one.txid->to_string());
  one.exchange->respond(std::move(response));
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
      waiting_.emplace(id, Waiting{exchange, *primary, clock_.steady() + timeout, {}});
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
  if (const auto exchange = answered_by(message.from, answer->id))
    exchange->respond(std::move(answer->response), answer->close);
}

std::shared_ptr<http::Exchange> Forwarder::answered_by(const peer::NodeId& node, std::uint64_t id)
{
  const base::LockGuard lock(mutex_);
  const auto found = waiting_.find(id);
  // Late, or of somebody who was not asked.
  if (found == waiting_.end() || found->second.primary.node != node)
    return nullptr;
  auto exchange = std::move(found->second.exchange);
  waiting_.erase(found);
  return exchange;
}

void Forwarder::take_stream(const peer::Received& message)
{
  auto answer = ForwardedAnswer::decode(message.bytes);
  if (!answer)
    return spdlog::warn("an answer of node {} is dropped: {}", message.from, answer.error().describe());
  const auto exchange = answered_by(message.from, answer->id);
  const auto body = std::make_shared<IncomingStream>(
      [send = options_.send, node = message.from, id = answer->id](bool more)
      { (void)send(node, PeerMessage::forwarded_more, ForwardedMore{id, more}.encode()); });
  // Nobody waits for it any more: the end of `body` says so.
  if (!exchange)
    return;
  {
    const base::LockGuard lock(mutex_);
    std::erase_if(streams_, [](const auto& one) { return one.second.body.expired(); });
    streams_[answer->id] = {message.from, body};
  }
  body->begin();
  answer->response.stream = body;
  exchange->respond(std::move(answer->response), answer->close);
}

void Forwarder::take_piece(const peer::Received& message)
{
  auto piece = ForwardedPiece::decode(message.bytes);
  if (!piece)
    return spdlog::warn("a piece of an answer of node {} is dropped: {}", message.from, piece.error().describe());
  std::shared_ptr<IncomingStream> body;
  {
    const base::LockGuard lock(mutex_);
    const auto found = streams_.find(piece->id);
    if (found == streams_.end() || found->second.node != message.from)
      return;
    body = found->second.body.lock();
    if (!body || piece->end != ForwardedPiece::End::none)
      streams_.erase(found);
  }
  if (body)
    body->take(std::move(*piece));
}

void Forwarder::take_place(const peer::Received& message)
{
  const auto place = ForwardedPlace::decode(message.bytes);
  if (!place)
    return spdlog::warn("a message of node {} is dropped: {}", message.from, place.error().describe());
  const base::LockGuard lock(mutex_);
  const auto found = waiting_.find(place->id);
  if (found != waiting_.end() && found->second.primary == Primary{message.from, place->txid.view})
    found->second.txid = place->txid;
}

void Forwarder::look()
{
  const auto primary = options_.primary();
  const bool leads = options_.leads();
  const auto now = clock_.steady();
  std::vector<std::pair<Waiting, bool>> over;
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
        over.emplace_back(std::move(one), late);
        at = waiting_.erase(at);
      }
      else
        ++at;
    }
  }
  for (const auto& [one, late] : over)
    give_up(
        one,
        late ? answers::forwarding_timeout() : answers::fate_unknown("The primary that was asked leads no longer"));
}

std::size_t Forwarder::waiting() const
{
  const base::LockGuard lock(mutex_);
  return waiting_.size();
}
}
