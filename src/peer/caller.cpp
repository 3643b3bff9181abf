#include "peer/caller.h"

#include "net/address.h"
#include "net/listening.h"

#include <random>
#include <utility>

namespace concordat::peer
{
using boost::asio::ip::tcp;
using boost::system::error_code;

namespace
{
std::uint64_t seed_of(const Options& options, const NodeId& node, Lane lane)
{
  if (options.seed == 0)
    return std::random_device{}();
  return options.seed + std::hash<NodeId>{}(node) + static_cast<std::uint64_t>(lane);
}
}

Caller::Caller(const Surroundings& surroundings, std::shared_ptr<PeerState> peer, Lane lane, std::string address)
    : around_(surroundings),
      peer_(std::move(peer)),
      lane_(lane),
      address_(std::move(address)),
      backoff_(around_.options.first_backoff, around_.options.most_backoff, seed_of(around_.options, peer_->id, lane)),
      due_(around_.clock.steady()),
      resolver_(around_.io)
{
}

void Caller::check_time(std::chrono::steady_clock::time_point now)
{
  if (now < due_)
    return;
  if (step_ == Step::waiting)
    begin();
  else if (step_ == Step::trying)
    failed("time", describe(Refusal::time), Refusal::time);
}

void Caller::hurry()
{
  if (step_ == Step::waiting)
    begin();
}

void Caller::lost(std::chrono::steady_clock::duration lived)
{
  if (step_ != Step::connected)
    return;
  // Two that end each other's connections at once must not do so as fast as they can.
  if (lived > around_.options.most_backoff)
    backoff_.reset();
  wait();
}

void Caller::stop()
{
  step_ = Step::stopped;
  ++attempt_;
  resolver_.cancel();
  socket_.reset();
  if (const auto greeting = std::exchange(greeting_, nullptr))
    greeting->abandon();
}

void Caller::begin()
{
  step_ = Step::trying;
  due_ = around_.clock.steady() + around_.options.handshake_timeout;
  const auto attempt = ++attempt_;
  const auto parts = net::split_address(address_);
  if (!parts)
    return failed("address", parts.error().message);
  error_code ec;
  const auto numeric = boost::asio::ip::make_address(parts->host, ec);
  if (!ec)
  {
    endpoints_ = {tcp::endpoint(numeric, static_cast<std::uint16_t>(std::stoul(parts->port)))};
    around_.located(peer_->id, endpoints_);
    return connect();
  }
  resolver_.async_resolve(
      parts->host, parts->port, tcp::resolver::numeric_service,
      [self = shared_from_this(), attempt](const error_code& wrong, const tcp::resolver::results_type& found)
      {
        if (!self->is_current(attempt))
          return;
        if (wrong)
          return self->failed("address", "its address cannot be looked up: " + wrong.message());
        self->endpoints_.clear();
        for (const auto& entry : found)
          self->endpoints_.push_back(entry.endpoint());
        self->around_.located(self->peer_->id, self->endpoints_);
        self->connect();
      });
}

void Caller::connect()
{
  if (endpoints_.empty())
    return failed("address", "its name has no address");
  const auto endpoint = endpoints_.front();
  endpoints_.erase(endpoints_.begin());
  socket_.emplace(around_.io);
  error_code ec;
  socket_->open(endpoint.protocol(), ec);
  if (ec)
    return failed("connect", "there is no socket for it: " + ec.message());
  socket_->async_connect(
      endpoint,
      [self = shared_from_this(), attempt = attempt_](const error_code& wrong)
      {
        if (!self->is_current(attempt))
          return;
        if (!wrong)
          return self->greet(std::move(*std::exchange(self->socket_, std::nullopt)));
        if (!self->endpoints_.empty())
          return self->connect();
        self->failed("connect", wrong.message());
      });
}

void Caller::greet(net::Socket socket)
{
  auto wire = std::make_unique<Wire>(std::move(socket), around_.context(), net::TlsStream::Side::client);
  greeting_ = std::make_shared<Greeting>(
      std::move(wire), around_.house, Greeting::Call{peer_->id, lane_},
      [weak = weak_from_this(), attempt = attempt_](std::expected<Greeted, NotGreeted> outcome)
      {
        const auto self = weak.lock();
        if (self && self->is_current(attempt))
          self->greeted(std::move(outcome));
      });
  std::shared_ptr(greeting_)->start();
}

void Caller::greeted(std::expected<Greeted, NotGreeted> outcome)
{
  if (!outcome)
  {
    const auto& why = outcome.error();
    const auto sentence = describe(why.reason);
    if (why.by_them)
      return failed("refused by them: " + sentence, "it refuses this node: " + sentence);
    return failed(sentence, sentence, why.reason);
  }
  greeting_.reset();
  step_ = Step::connected;
  around_.refusals.reached(peer_->id, "connected to node " + peer_->id + " at " + address_);
  around_.connected(shared_from_this(), std::move(*outcome));
}

void Caller::failed(const std::string& about, const std::string& why, Refusal ours)
{
  ++attempt_;
  wait();
  around_.refusals.failed(
      peer_->id, ours, about, "cannot connect to node " + peer_->id + " at " + address_ + ", trying on: " + why);
  socket_.reset();
  endpoints_.clear();
  resolver_.cancel();
  if (const auto greeting = std::exchange(greeting_, nullptr))
    greeting->abandon();
}

void Caller::wait()
{
  step_ = Step::waiting;
  due_ = around_.clock.steady() + backoff_.next();
}
}
