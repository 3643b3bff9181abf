#include "peer/lane_loop.h"

#include "base/check.h"
#include "base/thread.h"
#include "peer/incoming.h"
#include "peer/outgoing.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <utility>

namespace concordat::peer
{
LaneLoop::LaneLoop(
    Lane lane, const Options& options, const base::Clock& clock, const Callbacks& callbacks, Refusals& refusals)
    : lane_(lane),
      options_(options),
      clock_(clock),
      callbacks_(callbacks),
      refusals_(refusals)
{
}

LaneLoop::~LaneLoop()
{
  CHECK(!thread_.joinable(), "the network stops its threads before it lets them go");
}

void LaneLoop::start()
{
  tick();
  thread_ = base::start_thread(
      lane_ == Lane::urgent ? "peer-urgent" : "peer-bulk",
      [this]
      {
        const auto guard = boost::asio::make_work_guard(io_);
        io_.run();
      });
}

void LaneLoop::stop()
{
  if (!thread_.joinable())
    return;
  boost::asio::post(
      io_,
      [this]
      {
        close_all();
        io_.stop();
      });
  thread_.join();
}

void LaneLoop::close_all()
{
  for (const auto& one : incoming())
    one->close();
  for (const auto& [node, one] : std::map(outgoing_))
    one->close();
}

void LaneLoop::adopt(Greeted incoming)
{
  boost::asio::post(io_, [this, incoming = std::move(incoming)]() mutable { take(std::move(incoming)); });
}

void LaneLoop::adopt(std::shared_ptr<PeerState> peer, Greeted outgoing, Lost lost)
{
  boost::asio::post(
      io_, [this, peer = std::move(peer), outgoing = std::move(outgoing), lost = std::move(lost)]() mutable
      { take(std::move(peer), std::move(outgoing), std::move(lost)); });
}

void LaneLoop::take(Greeted incoming)
{
  const auto node = incoming.node;
  if (!incoming.wire->attach(io_))
    return;
  // The membership may have changed since the greeting, and who was told of that did not know this connection.
  if (!callbacks_.may_speak(node))
    return refused(node, Refusal::membership);
  std::shared_ptr<Account> account;
  std::shared_ptr<Incoming> before;
  {
    const base::LockGuard lock(mutex_);
    auto& sender = senders_[node];
    if (!sender.account)
      sender.account = std::make_shared<Account>(limits().received_limit);
    account = sender.account;
    before = sender.connection;
  }
  // Whoever calls again has given up the call before; nothing of it comes after something of this one.
  if (before)
    before->close();
  const auto connection = std::make_shared<Incoming>(*this, std::move(incoming), std::move(account));
  {
    const base::LockGuard lock(mutex_);
    senders_[node].connection = connection;
  }
  ++connections_;
  connection->start();
}

void LaneLoop::take(std::shared_ptr<PeerState> peer, Greeted outgoing, Lost lost)
{
  if (!outgoing.wire->attach(io_))
    return lost({});
  if (const auto before = outgoing_.find(peer->id); before != outgoing_.end())
    std::shared_ptr(before->second)->close();
  const auto connection = std::make_shared<Outgoing>(*this, std::move(peer), std::move(outgoing), std::move(lost));
  outgoing_[connection->peer()->id] = connection;
  ++connections_;
  connection->start();
}

void LaneLoop::drop(const std::shared_ptr<PeerState>& peer)
{
  boost::asio::post(
      io_,
      [this, peer]
      {
        const auto found = outgoing_.find(peer->id);
        if (found != outgoing_.end() && found->second->peer() == peer)
          std::shared_ptr(found->second)->close();
      });
}

void LaneLoop::wake(const NodeId& node)
{
  boost::asio::post(
      io_,
      [this, node]
      {
        const auto found = outgoing_.find(node);
        if (found != outgoing_.end())
          std::shared_ptr(found->second)->wake();
      });
}

void LaneLoop::check_membership()
{
  if (membership_changed_.exchange(true))
    return;
  boost::asio::post(
      io_,
      [this]
      {
        membership_changed_.store(false);
        for (const auto& [node, sender] : inbound())
          if (!callbacks_.may_speak(node))
            cut_off(node);
      });
}

void LaneLoop::cut_off(const NodeId& node)
{
  std::shared_ptr<Incoming> connection;
  {
    const base::LockGuard lock(mutex_);
    connection = senders_.at(node).connection;
  }
  if (connection)
  {
    refused(node, Refusal::membership);
    connection->close();
  }
  // Who still owes something is remembered: coming back makes nobody free of it.
  const base::LockGuard lock(mutex_);
  if (senders_.at(node).account->held() == 0)
    senders_.erase(node);
}

std::map<NodeId, LaneLoop::Inbound> LaneLoop::inbound() const
{
  const base::LockGuard lock(mutex_);
  std::map<NodeId, Inbound> all;
  for (const auto& [node, sender] : senders_)
    all[node] = {sender.connection != nullptr, sender.account->messages(), sender.account->held()};
  return all;
}

std::vector<std::shared_ptr<Incoming>> LaneLoop::incoming() const
{
  const base::LockGuard lock(mutex_);
  std::vector<std::shared_ptr<Incoming>> all;
  for (const auto& [node, sender] : senders_)
    if (sender.connection)
      all.push_back(sender.connection);
  return all;
}

void LaneLoop::deliver(Received message)
{
  callbacks_.on_message(std::move(message));
}

void LaneLoop::refused(const NodeId& node, Refusal reason)
{
  refusals_.refused(
      node, true, reason, "the connection with node " + node + " between nodes is ended: " + describe(reason));
}

void LaneLoop::forget(const std::shared_ptr<Incoming>& incoming)
{
  --connections_;
  const base::LockGuard lock(mutex_);
  const auto found = senders_.find(incoming->node());
  if (found != senders_.end() && found->second.connection == incoming)
    found->second.connection = nullptr;
}

void LaneLoop::forget(const std::shared_ptr<Outgoing>& outgoing)
{
  --connections_;
  const auto found = outgoing_.find(outgoing->peer()->id);
  if (found != outgoing_.end() && found->second == outgoing)
    outgoing_.erase(found);
}

void LaneLoop::tick()
{
  timer_.expires_after(options_.tick);
  timer_.async_wait(
      [this](const boost::system::error_code& ec)
      {
        if (ec)
          return;
        const auto time = now();
        for (const auto& one : incoming())
          one->check_time(time);
        for (const auto& [node, one] : std::map(outgoing_))
          one->check_time(time);
        tick();
      });
}
}
