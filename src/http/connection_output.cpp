#include "http/connection.h"

#include "base/log.h"
#include "http/response_head.h"
#include "http/worker.h"

#include <boost/asio/buffer.hpp>

#include <algorithm>
#include <charconv>
#include <exception>
#include <utility>

// The half of a connection that speaks: answers, their bodies, and the close.

namespace concordat::http
{
namespace asio = boost::asio;
using boost::system::error_code;

namespace
{
/// An answer up to this size is written in one go with its head; a larger one in pieces of it.
constexpr std::size_t piece_size = 64 << 10;
/// How long, and beyond the largest body how much, a refused client may go on sending while he reads the refusal.
constexpr auto linger_time = std::chrono::seconds(5);
constexpr std::uint64_t linger_size = 16 << 20;
}

void Connection::begin_answer(Response response, bool close)
{
  handling_ = false;
  HeadOptions head;
  head.http_1_0 = parser_.is_http_1_0();
  closing_ = close || !parser_.keep_alive();
  if (is_head_)
  {
    response.stream.reset();
    response.body.clear();
  }
  if (response.stream)
  {
    head.framing = head.http_1_0 ? Framing::until_close : Framing::chunked;
    response.body.clear();
    closing_ = closing_ || head.http_1_0;
  }
  head.close = closing_;
  head.length = response.body.size();
  chunked_ = head.framing == Framing::chunked;
  stream_ = std::move(response.stream);
  body_ = std::move(response.body);

  auto& composed = worker_.composed;
  composed.clear();
  append_response_head(composed, response, head);
  body_at_ = std::min(body_.size(), piece_size);
  composed.append(body_, 0, body_at_);
  send_plain(composed);
}

void Connection::send_plain(std::string_view plaintext)
{
  if (!tls_.write(plaintext))
    close();
}

void Connection::produce()
{
  ++turn_;
  if (stream_)
    return produce_from_stream();
  const auto piece = std::string_view(body_).substr(body_at_, piece_size);
  body_at_ += piece.size();
  send_plain(piece);
  if (body_at_ == body_.size())
  {
    std::string().swap(body_);
    body_at_ = 0;
  }
}

void Connection::produce_from_stream()
{
  auto& piece = worker_.composed;
  piece.clear();
  bool more = false;
  try
  {
    more = stream_->next(piece);
  }
  catch (const std::exception& error)
  {
    // The head is sent; only a connection that breaks off tells the client that the body is not whole.
    spdlog::error("the source of a response body threw an exception: {}", error.what());
    return close();
  }
  if (!more)
  {
    stream_.reset();
    if (chunked_)
      send_plain("0\r\n\r\n");
    return;
  }
  if (piece.empty())
    return;
  if (!chunked_)
    return send_plain(piece);
  char size[18];
  auto* const end = std::to_chars(size, size + 16, piece.size(), 16).ptr;
  end[0] = '\r';
  end[1] = '\n';
  piece.insert(0, size, static_cast<std::size_t>(end + 2 - size));
  piece += "\r\n";
  send_plain(piece);
}

/// @return true when everything is on its way; false while the socket takes no more, or is closed
bool Connection::flush()
{
  auto& output = tls_.output();
  if (phase_ == Phase::closed)
    return false;
  while (sent_ < output.size())
  {
    error_code ec;
    const auto size = socket_.send(
        asio::buffer(output.data() + sent_, output.size() - sent_), asio::socket_base::message_flags(0), ec);
    if (ec == asio::error::would_block)
    {
      wait_until_writable();
      return false;
    }
    if (ec)
    {
      close();
      return false;
    }
    sent_ += size;
    last_activity_ = Clock::now();
  }
  output.clear();
  sent_ = 0;
  return true;
}

void Connection::wait_until_writable()
{
  if (std::exchange(writing_, true))
    return;
  socket_.async_wait(
      asio::socket_base::wait_write,
      [self = shared_from_this()](const error_code& ec)
      {
        self->writing_ = false;
        if (self->phase_ == Phase::closed)
          return;
        if (ec)
          return self->close();
        self->turn_ = 0;
        self->advance();
      });
}

/// Closing at once would make the kernel reset the connection when the client still sends, and the reset would take
/// from him the answer that he has not read yet (RFC 9112 §9.6).
void Connection::begin_lingering()
{
  std::string().swap(pending_);
  pending_at_ = 0;
  tls_.close_notify();
  if (!flush())
    return;
  if (peer_done_)
    return close();
  error_code ec;
  socket_.shutdown(asio::socket_base::shutdown_send, ec);
  phase_ = Phase::lingering;
  linger_until_ = Clock::now() + linger_time;
  linger_left_ = interface_->limits.max_body_size + linger_size;
  receive();
}
}
