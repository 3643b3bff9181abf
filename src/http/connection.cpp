#include "http/connection.h"

#include "http/exchange.h"
#include "http/response_head.h"
#include "http/worker.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <functional>
#include <utility>

namespace concordat::http
{
namespace asio = boost::asio;
using boost::system::error_code;

namespace
{
/// Ciphertext beyond this is sent before more is made.
constexpr std::size_t flush_size = 64 << 10;
/// Requests, and bytes of answers, in a row before other connections have their turn.
constexpr unsigned turn_limit = 32;
constexpr std::size_t turn_size = 128 << 10;

std::shared_ptr<Session> make_session(std::uint64_t id, const std::string& interface)
{
  auto session = std::make_shared<Session>();
  session->id = id;
  session->interface = interface;
  return session;
}

/// The first byte of TLS is never a letter.
bool is_plain_text(std::string_view first)
{
  return first.front() >= 'A' && first.front() <= 'Z';
}
}

Connection::Connection(Worker& worker, Accepted accepted, const net::SslContext& identity)
    : worker_(worker),
      socket_(std::move(accepted.socket)),
      slot_(std::move(accepted.slot)),
      interface_(slot_->shared_interface()),
      tls_(identity),
      parser_(interface_->limits),
      session_(make_session(accepted.id, interface_->name)),
      group_(accepted.address),
      place_(std::move(accepted.handshake)),
      last_activity_(Clock::now()),
      idle_since_(last_activity_)
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
  if (stream_)
    stream_->cancel();
  stream_.reset();
  drop_request();
  place_.reset();
  slot_.reset();
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
        self->turn_bytes_ = 0;
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
  for (std::size_t taken = 0; taken < turn_size && can_take_request(); taken += worker_.received.size())
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
  if (phase_ == Phase::handshake && !std::exchange(request_open_, true) && is_plain_text(ciphertext))
    return answer_in_plain_text();
  request_has_begun();
  tls_.feed(ciphertext);
  if (phase_ == Phase::handshake && !shake_hands())
    return;
  while (phase_ == Phase::open)
  {
    std::size_t size = 0;
    switch (tls_.read(worker_.decrypted.data(), worker_.decrypted.size(), size))
    {
    case net::TlsStream::Status::ok:
      break;
    case net::TlsStream::Status::want_more:
      return;
    case net::TlsStream::Status::closed:
      peer_done_ = true;
      return;
    case net::TlsStream::Status::failed:
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
  case net::TlsStream::Status::ok:
    begin_session();
    return true;
  case net::TlsStream::Status::want_more:
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
  place_.reset();
  idle_since_ = last_activity_;
  request_open_ = false;
  session_->client_certificate = tls_.peer_certificate();
  const auto& certificate = session_->client_certificate;
  known_ = !certificate.empty() && interface_->is_known && interface_->is_known(certificate);
  if (known_)
    group_ = std::hash<std::string>{}(certificate);
  switch (slot_->admit(known_, group_))
  {
  case SessionSlot::Admission::served:
    return;
  case SessionSlot::Admission::told:
    return refuse(Response::error(
        503, "SessionCapExhausted", "Too many sessions are open on interface '" + interface_->name + "'."));
  case SessionSlot::Admission::refused:
    return close();
  }
}

/// Somebody who has left out the `s` of `https://` is told so in the language that they speak.
void Connection::answer_in_plain_text()
{
  constexpr std::string_view text =
      "This port speaks HTTPS, and the request came as plain HTTP: use https:// instead.\n";
  ++interface_->parsing_errors;
  place_.reset();
  auto response = Response::text(std::string(text), 400);
  HeadOptions head;
  head.length = text.size();
  head.close = true;
  append_response_head(tls_.output(), response, head);
  tls_.output() += text;
  closing_ = true;
  phase_ = Phase::open;
}

// ---- requests

bool Connection::is_answering() const
{
  return body_at_ < body_.size() || stream_ != nullptr;
}

bool Connection::turn_is_over() const
{
  return turn_ >= turn_limit || turn_bytes_ >= turn_size;
}

bool Connection::can_take_request() const
{
  return phase_ == Phase::open && !handling_ && !closing_ && !writing_ && !is_answering() && !turn_is_over() &&
         tls_.output().size() < flush_size;
}

/// Hands on the requests in `plaintext` until one has to be waited for. @return how much of it is used up
std::size_t Connection::process(std::string_view plaintext)
{
  std::size_t used = 0;
  while (used < plaintext.size() && can_take_request())
  {
    request_has_begun();
    const auto step = parser_.feed(plaintext.substr(used));
    used += step.consumed;
    if (step.outcome == RequestParser::Outcome::complete)
      dispatch();
    else if (step.outcome != RequestParser::Outcome::need_more)
    {
      refuse(step);
      return plaintext.size();
    }
    else
      account_request();
    if (parser_.take_continue())
      send_plain("HTTP/1.1 100 Continue\r\n\r\n");
  }
  return used;
}

void Connection::dispatch()
{
  ++turn_;
  request_open_ = false;
  place_.reset();
  auto request = parser_.take();
  is_head_ = request.method == "HEAD";
  if (request.path == "*")
  {
    // Asked of the server and not of one resource (RFC 9110 §9.3.7).
    auto response = Response::empty(204);
    response.headers.emplace_back("allow", "OPTIONS, GET, HEAD, POST, PUT, PATCH, DELETE");
    return begin_answer(std::move(response), false);
  }
  handling_ = true;
  auto answer = worker_.call_handler(
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
  turn_bytes_ = 0;
  begin_answer(std::move(answer.response), answer.close);
  advance();
}

void Connection::nudge()
{
  if (phase_ == Phase::closed || phase_ == Phase::lingering)
    return;
  if (place_ && place_->is_evicted())
  {
    // Of an answer that nobody reads, the rest cannot be sent either.
    if (phase_ == Phase::handshake || answer_open_)
      return close();
    place_.reset();
    auto response = Response::error(
        503, "SessionCapExhausted",
        "Too many unfinished requests wait on interface '" + interface_->name +
            "', and most of them are yours; send requests that are whole.");
    response.headers.emplace_back("retry-after", "3");
    refuse(std::move(response));
  }
  turn_ = 0;
  turn_bytes_ = 0;
  advance();
}

void Connection::refuse(const RequestParser::Step& step)
{
  const auto& limits = interface_->limits;
  using Outcome = RequestParser::Outcome;
  switch (step.outcome)
  {
  case Outcome::body_too_large:
    ++interface_->payload_too_large;
    return refuse(Response::error(
        413, "RequestBodyTooLarge",
        "The body of the request exceeds the " + std::to_string(limits.max_body_size) + " bytes that are allowed."));
  case Outcome::header_too_large:
    ++interface_->header_too_large;
    return refuse(Response::error(
        431, "RequestHeaderTooLarge",
        "The headers exceed what is allowed: " + std::to_string(limits.max_headers_count) +
            " headers, names and values of " + std::to_string(limits.max_header_size) + " bytes each."));
  case Outcome::unknown_coding:
  {
    auto response = Response::error(
        415, "UnsupportedContentType",
        "The content encoding '" + parser_.excerpt() + "' is not understood here; send the body as it is, or as gzip.");
    response.headers.emplace_back("accept-encoding", "gzip, deflate, identity");
    return refuse(std::move(response));
  }
  case Outcome::broken_coding:
    ++interface_->parsing_errors;
    return refuse(Response::error(400, "InvalidInput", "The body cannot be decoded: " + parser_.excerpt() + "."));
  default:
    ++interface_->parsing_errors;
    return refuse(Response::text(
        "The request is not well-formed HTTP/1.1" + parser_.reason() + ". It starts with: " + parser_.excerpt() + "\n",
        400));
  }
}

void Connection::refuse(Response response)
{
  is_head_ = false;
  request_open_ = false;
  drop_request();
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
        self->turn_bytes_ = 0;
        self->advance();
      });
}

/// Does what can be done without waiting, then waits for exactly one thing: the handler, the next piece of a stream,
/// its turn to send, room in the socket, another turn, or more from the client.
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
  if (turn_is_over())
  {
    if (flush())
      continue_later();
    return false;
  }
  if (is_answering())
    return produce();
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
