#include "http/connection.h"

#include "http/exchange.h"
#include "http/worker.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <utility>

namespace concordat::http
{
namespace asio = boost::asio;
using boost::system::error_code;

namespace
{
/// Ciphertext beyond this is sent before more is made.
constexpr std::size_t flush_size = 64 << 10;
/// Requests or pieces of answers in a row before other connections have their turn.
constexpr unsigned turn_limit = 32;

std::shared_ptr<Session> make_session(const std::string& interface)
{
  static std::atomic<std::uint64_t> last{0};
  auto session = std::make_shared<Session>();
  session->id = ++last;
  session->interface = interface;
  return session;
}

bool over(Connection::Clock::time_point now, Connection::Clock::time_point since, std::uint64_t limit_ms)
{
  return limit_ms > 0 && now - since > std::chrono::milliseconds(limit_ms);
}
}

Connection::Connection(Worker& worker, Socket socket, SessionSlot slot, const SslContext& identity)
    : worker_(worker),
      socket_(std::move(socket)),
      slot_(std::move(slot)),
      interface_(slot_->shared_interface()),
      tls_(identity),
      parser_(interface_->limits),
      session_(make_session(interface_->name)),
      last_activity_(Clock::now()),
      request_began_(last_activity_)
{
}

void Connection::start()
{
  error_code ec;
  socket_.non_blocking(true, ec);
  socket_.set_option(asio::ip::tcp::no_delay(true), ec);
  receive();
}

void Connection::close()
{
  if (phase_ == Phase::closed)
    return;
  phase_ = Phase::closed;
  const auto self = shared_from_this();
  worker_.forget(id());
  error_code ec;
  socket_.close(ec);
  stream_.reset();
  slot_.reset();
}

void Connection::check_time(Clock::time_point now)
{
  const auto& limits = interface_->limits;
  if (phase_ == Phase::lingering)
  {
    if (now > linger_until_)
      close();
    return;
  }
  // While a handler works the client has nothing to do but wait.
  const bool waiting_for_handler = handling_ && !writing_;
  if (!waiting_for_handler && over(now, last_activity_, limits.idle_timeout_ms))
  {
    if (phase_ == Phase::open && !writing_)
    {
      tls_.close_notify();
      flush();
    }
    return close();
  }
  const bool arriving = phase_ == Phase::handshake || request_open_;
  if (arriving && over(now, request_began_, limits.request_timeout_ms))
    return close();
  if (buffers_held_ && !writing_ && now - last_activity_ > std::chrono::seconds(1))
  {
    tls_.release_buffers();
    pending_.shrink_to_fit();
    buffers_held_ = false;
  }
}

// ---- receiving

void Connection::receive()
{
  if (phase_ == Phase::closed || std::exchange(receiving_, true))
    return;
  socket_.async_receive(
      asio::buffer(received_),
      [self = shared_from_this()](const error_code& ec, std::size_t size)
      {
        self->receiving_ = false;
        if (self->phase_ == Phase::closed)
          return;
        if (ec && ec != asio::error::eof)
          return self->close();
        self->last_activity_ = Clock::now();
        self->buffers_held_ = true;
        self->turn_ = 0;
        if (self->phase_ == Phase::lingering)
          return ec ? self->close() : self->discard(size);
        if (ec)
          self->peer_done_ = true;
        else
          self->received({self->received_.data(), size});
        if (size == self->received_.size())
          self->receive_more();
        self->advance();
      });
}

/// Reads on without waiting when the small buffer was full: a large body comes in large pieces.
void Connection::receive_more()
{
  for (unsigned round = 0; round < turn_limit && can_take_request(); ++round)
  {
    error_code ec;
    const auto size = socket_.receive(asio::buffer(worker_.received), 0, ec);
    if (ec == asio::error::would_block)
      return;
    if (ec == asio::error::eof)
      peer_done_ = true;
    if (ec)
      return ec == asio::error::eof ? void() : close();
    received({worker_.received.data(), size});
    if (size < worker_.received.size())
      return;
  }
}

void Connection::discard(std::size_t size)
{
  if (size > linger_left_)
    return close();
  linger_left_ -= size;
  receive();
}

void Connection::received(std::string_view ciphertext)
{
  if (closing_)
    return;
  tls_.feed(ciphertext);
  if (phase_ == Phase::handshake && !shake_hands())
    return;
  while (phase_ == Phase::open)
  {
    std::size_t size = 0;
    switch (tls_.read(worker_.decrypted.data(), worker_.decrypted.size(), size))
    {
    case TlsStream::Status::ok:
      break;
    case TlsStream::Status::want_more:
      return;
    case TlsStream::Status::closed:
      peer_done_ = true;
      return;
    case TlsStream::Status::failed:
      flush();
      return close();
    }
    const std::string_view plaintext(worker_.decrypted.data(), size);
    const auto used = pending_.empty() ? process(plaintext) : 0;
    if (!closing_)
      pending_.append(plaintext.substr(used));
    if (tls_.is_drained())
      return;
  }
}

/// @return true once the session has begun
bool Connection::shake_hands()
{
  switch (tls_.handshake())
  {
  case TlsStream::Status::ok:
    begin_session();
    return true;
  case TlsStream::Status::want_more:
    return false;
  default:
    flush();
    close();
    return false;
  }
}

void Connection::begin_session()
{
  phase_ = Phase::open;
  session_->client_certificate = tls_.peer_certificate();
  if (slot_->above_soft_cap())
    refuse(Response::error(
        503, "SessionCapExhausted", "Too many sessions are open on interface '" + interface_->name + "'."));
}

// ---- requests

bool Connection::is_answering() const
{
  return body_at_ < body_.size() || stream_ != nullptr;
}

bool Connection::can_take_request() const
{
  return phase_ == Phase::open && !handling_ && !closing_ && !writing_ && !is_answering() && turn_ < turn_limit &&
         tls_.output().size() < flush_size;
}

/// Hands on the requests in `plaintext` until one has to be waited for. @return how much of it is used up
std::size_t Connection::process(std::string_view plaintext)
{
  std::size_t used = 0;
  while (used < plaintext.size() && can_take_request())
  {
    const auto step = parser_.feed(plaintext.substr(used));
    used += step.consumed;
    if (step.outcome == RequestParser::Outcome::complete)
      dispatch();
    else if (step.outcome != RequestParser::Outcome::need_more)
    {
      refuse(step.outcome);
      return plaintext.size();
    }
    else if (parser_.started() && !std::exchange(request_open_, true))
      request_began_ = last_activity_;
    if (parser_.take_continue())
      send_plain("HTTP/1.1 100 Continue\r\n\r\n");
  }
  return used;
}

void Connection::dispatch()
{
  ++turn_;
  request_open_ = false;
  auto request = parser_.take();
  is_head_ = request.method == "HEAD";
  handling_ = true;
  auto answer = PendingExchange::run(
      worker_.handler(),
      std::make_shared<PendingExchange>(std::move(request), session_, worker_.mailbox(), session_->id));
  if (answer)
    begin_answer(std::move(answer->response), answer->close);
}

void Connection::answer(Mailbox::Answer answer)
{
  if (phase_ != Phase::open || !handling_)
    return;
  last_activity_ = Clock::now();
  turn_ = 0;
  begin_answer(std::move(answer.response), answer.close);
  advance();
}

void Connection::refuse(RequestParser::Outcome outcome)
{
  const auto& limits = interface_->limits;
  if (outcome == RequestParser::Outcome::body_too_large)
  {
    ++interface_->payload_too_large;
    return refuse(Response::error(
        413, "RequestBodyTooLarge",
        "The body of the request exceeds the " + std::to_string(limits.max_body_size) + " bytes that are allowed."));
  }
  if (outcome == RequestParser::Outcome::header_too_large)
  {
    ++interface_->header_too_large;
    return refuse(Response::error(
        431, "RequestHeaderTooLarge",
        "The headers exceed what is allowed: " + std::to_string(limits.max_headers_count) +
            " headers, names and values of " + std::to_string(limits.max_header_size) + " bytes each."));
  }
  ++interface_->parsing_errors;
  refuse(Response::text("The request is not well-formed HTTP/1.1. It starts with: " + parser_.excerpt() + "\n", 400));
}

void Connection::refuse(Response response)
{
  is_head_ = false;
  request_open_ = false;
  begin_answer(std::move(response), true);
}

// ---- the course of things

void Connection::continue_later()
{
  asio::post(
      worker_.io(),
      [self = shared_from_this()]
      {
        self->turn_ = 0;
        self->advance();
      });
}

/// Does what can be done without waiting, then waits for exactly one thing: the handler, its turn to send, room in the
/// socket, another turn, or more from the client.
void Connection::advance()
{
  while ((phase_ == Phase::handshake || phase_ == Phase::open) && !writing_ && advance_once())
    ;
}

/// @return true if there may be more to do
bool Connection::advance_once()
{
  if (tls_.output().size() >= flush_size && !flush())
    return false;
  if (handling_)
  {
    flush();
    return false;
  }
  if (turn_ >= turn_limit)
  {
    if (flush())
      continue_later();
    return false;
  }
  if (is_answering())
  {
    produce();
    return true;
  }
  if (closing_)
  {
    begin_lingering();
    return false;
  }
  if (pending_at_ < pending_.size())
  {
    pending_at_ += process(std::string_view(pending_).substr(pending_at_));
    if (pending_at_ >= pending_.size())
    {
      pending_.clear();
      pending_at_ = 0;
    }
    return true;
  }
  if (sent_ < tls_.output().size())
  {
    if (!std::exchange(send_due_, true))
      worker_.send_soon(shared_from_this());
    return false;
  }
  if (peer_done_)
    close();
  else
    receive();
  return false;
}

void Connection::send()
{
  send_due_ = false;
  if (flush())
    advance();
}
}
