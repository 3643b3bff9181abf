#include "http/connection.h"

#include "http/response_head.h"
#include "http/worker.h"

#include <boost/asio/buffer.hpp>

#include <algorithm>
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
/// How long, and beyond the largest body how much, a refused client may go on sending while they read the refusal.
constexpr auto linger_time = std::chrono::seconds(5);
constexpr std::uint64_t linger_size = 16 << 20;

Response too_many_streams()
{
  auto response = Response::error(
      503, "TooManyStreams",
      "As many answers as you may have at once are being sent in pieces, to you or to others; try again later.");
  response.headers.emplace_back("retry-after", "3");
  return response;
}

/// A source that gives its slot back once it is gone, and not before: until then it holds what it is made from.
std::shared_ptr<BodySource> counted(std::shared_ptr<BodySource> source, std::shared_ptr<const StreamSlot> slot)
{
  auto* const same = source.get();
  return {
      same, [source = std::move(source), slot = std::move(slot)](BodySource*) mutable
      {
        source.reset();
        slot.reset();
      }};
}
}

void Connection::begin_answer(Response response, bool close)
{
  handling_ = false;
  place_.reset();
  if (!std::exchange(answer_open_, true))
  {
    answer_began_ = last_activity_;
    taken_before_.reset();
  }
  HeadOptions head;
  head.http_1_0 = parser_.is_http_1_0();
  std::shared_ptr<const StreamSlot> slot;
  if (response.stream && !(slot = StreamSlot::take(interface_, known_, group_)))
  {
    ++interface_->streams_refused;
    response = too_many_streams();
  }
  closing_ = close || !parser_.keep_alive();
  if (response.stream)
  {
    head.framing = head.http_1_0 ? Framing::until_close : Framing::chunked;
    response.body.clear();
    closing_ = closing_ || head.http_1_0;
  }
  head.close = closing_;
  head.length = response.body.size();
  if (response.stream)
  {
    stream_ = std::make_shared<StreamedBody>(
        counted(std::move(response.stream), std::move(slot)), worker_.streams(), std::to_string(group_),
        head.framing == Framing::chunked, [mailbox = worker_.mailbox(), id = id()] { mailbox->nudge(id); });
    // Nobody asks the source of an answer to HEAD; it ends where all sources end.
    is_head_ ? stream_->cancel() : stream_->start();
    if (is_head_)
      stream_.reset();
  }
  body_ = is_head_ ? std::string() : std::move(response.body);

  auto& composed = worker_.composed;
  composed.clear();
  append_response_head(composed, response, head);
  body_at_ = std::min(body_.size(), piece_size);
  composed.append(body_, 0, body_at_);
  send_plain(composed);
}

void Connection::send_plain(std::string_view plaintext)
{
  turn_bytes_ += plaintext.size();
  if (!tls_.write(plaintext))
    close();
}

/// @return false if there is nothing to send now
bool Connection::produce()
{
  if (body_at_ == body_.size() && !take_piece())
    return false;
  const auto piece = std::string_view(body_).substr(body_at_, piece_size);
  body_at_ += piece.size();
  send_plain(piece);
  if (body_at_ == body_.size() && !stream_)
  {
    std::string().swap(body_);
    body_at_ = 0;
  }
  return true;
}

/// Puts the next piece of the stream into the body. @return false if it has to be waited for, or is all there was
bool Connection::take_piece()
{
  body_at_ = 0;
  switch (stream_->take(body_))
  {
  case StreamedBody::Outcome::piece:
    piece_awaited_.reset();
    return true;
  case StreamedBody::Outcome::wait:
    if (!piece_awaited_)
      piece_awaited_ = Clock::now();
    body_.clear();
    flush();
    return false;
  case StreamedBody::Outcome::end:
    piece_awaited_.reset();
    stream_.reset();
    std::string().swap(body_);
    return true;
  case StreamedBody::Outcome::broken:
    close();
    break;
  }
  return false;
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
    sent_total_ += size;
    last_activity_ = Clock::now();
  }
  output.clear();
  sent_ = 0;
  if (!is_answering() && std::exchange(answer_open_, false))
  {
    idle_since_ = last_activity_;
    place_.reset();
  }
  return true;
}

void Connection::wait_until_writable()
{
  if (std::exchange(writing_, true))
    return;
  account_answer();
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
        self->turn_bytes_ = 0;
        self->advance();
      });
}

/// Closing at once would make the kernel reset the connection when the client still sends, and the reset would take
/// from them the answer that they have not read yet (RFC 9112 §9.6).
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
