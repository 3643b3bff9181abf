#include "base/log.h"
#include "http/connection.h"
#include "http/worker.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <string>
#include <utility>

// What a client may cost while they are waited for: time, and memory.

namespace concordat::http
{
namespace
{
/// Below this a half-sent request is not worth counting: most of them are whole a moment later.
constexpr std::uint64_t counted_size = 4 << 10;
constexpr std::uint64_t counting_step = 16 << 10;
/// To be given back to the system rather than kept for the next request.
constexpr std::size_t much = 256 << 10;

bool over(Connection::Clock::time_point now, Connection::Clock::time_point since, std::uint64_t limit_ms)
{
  return limit_ms > 0 && now - since > std::chrono::milliseconds(limit_ms);
}
}

/// Ends what takes too long. Each time begins with what is waited for, and nothing that a client sends begins it anew:
/// a client that drips bytes, in whatever layer, is as late as one that is silent.
void Connection::check_time(Clock::time_point now)
{
  switch (phase_)
  {
  case Phase::closed:
    return;
  case Phase::lingering:
    return now > linger_until_ ? close() : void();
  case Phase::handshake:
    return over(now, idle_since_, interface_->limits.handshake_timeout_ms) ? close() : void();
  case Phase::open:
    break;
  }
  if (answer_open_)
    check_answer(now);
  else if (!handling_) // while a handler works the client has nothing to do but wait
    check_waiting_for_request(now);
  if (phase_ == Phase::open)
    release_what_idles(now);
}

void Connection::check_waiting_for_request(Clock::time_point now)
{
  const auto& limits = interface_->limits;
  const bool late = over(now, request_began_, limits.request_timeout_ms);
  if (request_open_ && (late || over(now, last_activity_, limits.idle_timeout_ms)))
  {
    const auto limit = std::to_string(late ? limits.request_timeout_ms : limits.idle_timeout_ms);
    refuse(Response::text(
        late ? "The request was not whole within the " + limit + " ms that it may take.\n"
             : "Nothing more of the request came for " + limit + " ms.\n",
        408));
    return advance();
  }
  if (!request_open_ && over(now, idle_since_, limits.idle_timeout_ms))
  {
    tls_.close_notify();
    flush();
    close();
  }
}

void Connection::check_answer(Clock::time_point now)
{
  const auto& limits = interface_->limits;
  if (over(now, answer_began_, limits.answer_timeout_ms))
    return close();
  if (piece_awaited_ && over(now, *piece_awaited_, limits.piece_timeout_ms))
  {
    // The head is sent; only a connection that breaks off tells the client that the body is not whole.
    spdlog::error(
        "an answer on interface '{}' is broken off: a piece of it was not made in {} ms", interface_->name,
        limits.piece_timeout_ms);
    ++interface_->streams_broken_off;
    return close();
  }
  if (limits.min_answer_rate == 0 || (taken_before_ && !over(now, period_began_, limits.answer_rate_period_ms)))
    return;
  const auto taken = taken_by_client();
  // Where the stream's source or a handler is what is waited for, the client is not late.
  const auto due = limits.min_answer_rate * limits.answer_rate_period_ms / 1000;
  if (writing_ && taken_before_ && taken - *taken_before_ < due)
    return close();
  taken_before_ = taken;
  period_began_ = now;
}

/// What of all that was sent has arrived: the kernel takes megabytes at once, so what it took says little.
std::uint64_t Connection::taken_by_client()
{
  int in_kernel = 0;
  if (::ioctl(socket_.native_handle(), SIOCOUTQ, &in_kernel) != 0 || in_kernel < 0)
    return sent_total_;
  return sent_total_ - std::min(sent_total_, static_cast<std::uint64_t>(in_kernel));
}

void Connection::release_what_idles(Clock::time_point now)
{
  if (!buffers_held_ || writing_ || now - last_activity_ <= std::chrono::seconds(1))
    return;
  tls_.release_buffers();
  pending_.shrink_to_fit();
  buffers_held_ = false;
}

void Connection::request_has_begun()
{
  // Bytes that came while an answer was made or sent begin a request when that is done.
  if (phase_ == Phase::open && !handling_ && !answer_open_ && !std::exchange(request_open_, true))
    request_began_ = last_activity_;
}

net::WaitingRoom::Place Connection::enter(net::WaitingRoom& room, std::uint64_t size)
{
  return room.enter(group_, size, [mailbox = worker_.mailbox(), id = id()] { mailbox->nudge(id); });
}

void Connection::account_request()
{
  const auto held = parser_.held();
  if (held < counted_size || answer_open_)
    return;
  // In steps, so that a body in many small pieces does not take the room's lock for each.
  const auto size = (held + counting_step - 1) / counting_step * counting_step;
  if (place_)
    place_->resize(size);
  else
    place_.emplace(enter(*interface_->unfinished_requests[known_ ? 1 : 0], size));
}

void Connection::drop_request()
{
  if (parser_.held() >= much)
    worker_.much_was_dropped();
  parser_.abandon();
}

void Connection::account_answer()
{
  const auto held =
      body_.size() - body_at_ + tls_.output().size() - sent_ + (stream_ ? stream_->size() : std::size_t{0});
  if (answer_open_ && place_)
    place_->resize(held);
  else if (answer_open_)
    place_.emplace(enter(*interface_->waiting_answers[known_ ? 1 : 0], held));
}
}
