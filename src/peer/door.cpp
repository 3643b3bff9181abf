#include "peer/door.h"

#include "base/check.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/listening.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>

namespace concordat::peer
{
using boost::asio::ip::tcp;
using boost::system::error_code;

namespace
{
/// How long to wait when the process has no descriptors or memory left: the queue of the kernel keeps who calls.
constexpr auto pause_length = std::chrono::milliseconds(100);
/// Connections in a row before others on the thread have their turn.
constexpr unsigned turn_limit = 16;
}

Door::Door(const Options& options, const base::Clock& clock, House house, Refusals& refusals, Events events)
    : options_(options),
      clock_(clock),
      house_(std::move(house)),
      refusals_(refusals),
      events_(std::move(events)),
      around_{
          io_,
          options_,
          clock_,
          house_,
          refusals_,
          [this] { return context(); },
          events_.outgoing,
          [this](const NodeId& node, const Caller::Endpoints& endpoints)
          {
            auto& groups = called_at_[node];
            groups.clear();
            for (const auto& endpoint : endpoints)
              groups.insert(net::group_of(endpoint));
          }},
      rooms_{
          std::make_shared<net::WaitingRoom>(options_.max_strange_handshakes),
          std::make_shared<net::WaitingRoom>(options_.max_known_handshakes)}
{
}

Door::~Door()
{
  CHECK(!thread_.joinable(), "the network stops its threads before it lets them go");
}

Result<std::string> Door::listen()
{
  return net::listen(listener_, io_, options_.bind_address);
}

void Door::start()
{
  accept();
  tick();
  thread_ = base::start_thread(
      "peer-door",
      [this]
      {
        const auto guard = boost::asio::make_work_guard(io_);
        io_.run();
      });
}

void Door::stop()
{
  if (!thread_.joinable())
    return;
  post(
      [this]
      {
        error_code ec;
        listener_.close(ec);
        for (const auto& [node, callers] : callers_)
          for (const auto& caller : callers)
            caller->stop();
        callers_.clear();
        for (const auto& [id, guest] : guests_)
          guest.greeting->abandon();
        guests_.clear();
        io_.stop();
      });
  thread_.join();
}

void Door::set_context(net::SslContext context)
{
  const base::LockGuard lock(mutex_);
  context_ = std::move(context);
}

net::SslContext Door::context() const
{
  const base::LockGuard lock(mutex_);
  return context_;
}

void Door::post(std::function<void()> job)
{
  boost::asio::post(io_, std::move(job));
}

// ---- who is called

void Door::set_peers(std::vector<std::pair<std::shared_ptr<PeerState>, std::string>> peers)
{
  post([this, peers = std::move(peers)] { replace(peers); });
}

void Door::replace(const std::vector<std::pair<std::shared_ptr<PeerState>, std::string>>& peers)
{
  auto before = std::exchange(callers_, {});
  for (const auto& [peer, address] : peers)
  {
    const auto found = before.find(peer->id);
    const bool goes_on =
        found != before.end() && found->second.front()->peer() == peer && found->second.front()->address() == address;
    if (goes_on)
    {
      callers_[peer->id] = found->second;
      before.erase(found);
      continue;
    }
    if (found != before.end())
    {
      stop_calling(found->second);
      before.erase(found);
    }
    callers_[peer->id] = {
        std::make_shared<Caller>(around_, peer, Lane::urgent, address),
        std::make_shared<Caller>(around_, peer, Lane::bulk, address)};
  }
  for (const auto& [node, callers] : before)
  {
    stop_calling(callers);
    called_at_.erase(node);
    refusals_.forget(node);
  }
  const auto now = clock_.steady();
  for (const auto& [node, callers] : std::map(callers_))
    for (const auto& caller : callers)
      caller->check_time(now);
}

void Door::stop_calling(const Callers& callers)
{
  for (const auto& caller : callers)
  {
    caller->stop();
    events_.unwanted(caller->peer(), caller->lane());
  }
}

// ---- who calls

void Door::accept()
{
  listener_.async_wait(
      net::ListeningSocket::wait_read,
      [this](const error_code& ec)
      {
        if (ec || !listener_.is_open())
          return;
        for (unsigned i = 0; i < turn_limit; ++i)
          if (!accept_one())
            return;
        accept();
      });
}

/// @return false when there is nothing to accept now; the next call is arranged for then
bool Door::accept_one()
{
  error_code ec;
  tcp::endpoint from;
  net::Socket socket = listener_.accept(io_, from, ec);
  if (ec == boost::asio::error::would_block)
  {
    accept();
    return false;
  }
  if (ec == boost::asio::error::connection_aborted)
    return true;
  if (ec)
  {
    pause(ec.message());
    return false;
  }
  // What the files of this process need is not for connections. The socket is closed by leaving its scope.
  if (static_cast<std::uint64_t>(socket.native_handle()) + options_.descriptors_kept_back >= base::descriptor_limit())
  {
    const auto address = from.address().to_string();
    refusals_.refused(
        address, false, Refusal::crowded,
        "refused a connection between nodes from " + address + ": the open files of the process are used up");
    return true;
  }
  in_trouble_ = false;
  greet(std::move(socket), from);
  return true;
}

void Door::pause(const std::string& why)
{
  if (!std::exchange(in_trouble_, true))
    spdlog::warn("cannot take connections of other nodes for now: {}", why);
  pause_.expires_after(pause_length);
  pause_.async_wait(
      [this](const error_code& cancelled)
      {
        if (!cancelled && listener_.is_open())
          accept();
      });
}

bool Door::is_where_nodes_are(std::uint64_t group) const
{
  return std::any_of(
             called_at_.begin(), called_at_.end(), [&](const auto& one) { return one.second.contains(group); }) ||
         std::any_of(calls_from_.begin(), calls_from_.end(), [&](const auto& one) { return one.second == group; });
}

void Door::greet(net::Socket socket, const tcp::endpoint& from)
{
  const auto id = ++last_guest_;
  const auto group = net::group_of(from);
  const auto greeting = std::make_shared<Greeting>(
      std::make_unique<Wire>(std::move(socket), context(), net::TlsStream::Side::server), house_, std::nullopt,
      [this, id, from](std::expected<Greeted, NotGreeted> outcome) { greeted(id, from, std::move(outcome)); });
  // Entered after all that it may crowd out is there, and before it begins.
  auto place = rooms_[is_where_nodes_are(group) ? 1 : 0]->enter(
      group, 1, [this, id] { post([this, id] { end(id, Refusal::crowded); }); });
  guests_.emplace(id, Guest{greeting, std::move(place), clock_.steady() + options_.handshake_timeout});
  greeting->start();
}

void Door::greeted(std::uint64_t id, const tcp::endpoint& from, std::expected<Greeted, NotGreeted> outcome)
{
  guests_.erase(id);
  if (!outcome)
  {
    const auto& [reason, by_them, node] = outcome.error();
    const auto address = from.address().to_string();
    refusals_.refused(
        node.empty() ? address : node, !node.empty(), reason,
        "refused a connection between nodes from " + address + (node.empty() ? "" : ", node " + node) + ": " +
            describe(reason));
    return;
  }
  const auto node = outcome->node;
  refusals_.welcomed(node);
  calls_from_[node] = net::group_of(from);
  events_.incoming(std::move(*outcome));
  if (const auto found = callers_.find(node); found != callers_.end())
    for (const auto& caller : Callers(found->second))
      caller->hurry();
}

void Door::end(std::uint64_t id, Refusal reason)
{
  const auto found = guests_.find(id);
  if (found != guests_.end())
    std::shared_ptr(found->second.greeting)->end(reason);
}

void Door::tick()
{
  timer_.expires_after(options_.tick);
  timer_.async_wait(
      [this](const error_code& ec)
      {
        if (ec)
          return;
        const auto now = clock_.steady();
        std::vector<std::uint64_t> late;
        for (const auto& [id, guest] : guests_)
          if (now >= guest.due)
            late.push_back(id);
        for (const auto id : late)
          end(id, Refusal::time);
        for (const auto& [node, callers] : std::map(callers_))
          for (const auto& caller : callers)
            caller->check_time(now);
        tick();
      });
}
}
