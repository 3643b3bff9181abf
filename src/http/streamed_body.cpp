#include "http/streamed_body.h"

#include "base/log.h"

#include <charconv>
#include <exception>
#include <utility>

namespace concordat::http
{
StreamedBody::StreamedBody(
    std::shared_ptr<BodySource> source, base::Executor& executor, std::string owner, bool chunked,
    std::function<void()> notify)
    : executor_(executor),
      owner_(std::move(owner)),
      chunked_(chunked),
      notify_(std::move(notify)),
      source_(std::move(source))
{
}

void StreamedBody::start()
{
  const base::LockGuard lock(mutex_);
  schedule();
}

StreamedBody::Outcome StreamedBody::take(std::string& piece)
{
  const base::LockGuard lock(mutex_);
  if (ready_.empty())
  {
    if (end_ != End::none)
      return end_ == End::regular ? Outcome::end : Outcome::broken;
    waited_for_ = true;
    return Outcome::wait;
  }
  spare_.swap(piece);
  piece = std::move(ready_.front());
  ready_.pop_front();
  ready_bytes_ -= piece.size();
  if (!producing_ && wants_more())
    schedule();
  return Outcome::piece;
}

void StreamedBody::cancel()
{
  const base::LockGuard lock(mutex_);
  cancelled_ = true;
  ready_.clear();
  ready_bytes_ = 0;
  if (!producing_ && source_)
    schedule();
}

std::size_t StreamedBody::size() const
{
  const base::LockGuard lock(mutex_);
  return ready_bytes_;
}

bool StreamedBody::wants_more() const
{
  return end_ == End::none && (cancelled_ || ready_.size() < pieces_ahead);
}

void StreamedBody::schedule()
{
  producing_ = true;
  base::Job job;
  job.run = [self = shared_from_this()] { self->produce(); };
  job.owner = owner_;
  if (const auto submitted = executor_.submit(std::move(job)))
    return;
  // The server stops, or has no room for another stream; the connection is broken off.
  producing_ = false;
  end_ = End::broken;
  source_.reset();
}

void StreamedBody::produce()
{
  std::string piece;
  bool cancelled = false;
  {
    const base::LockGuard lock(mutex_);
    cancelled = cancelled_;
    piece.swap(spare_);
  }
  const End end = cancelled ? End::broken : ask_source(piece);
  if (end != End::none)
    source_.reset();
  bool notify = false;
  {
    const base::LockGuard lock(mutex_);
    if (!cancelled_ && !piece.empty())
    {
      ready_bytes_ += piece.size();
      ready_.push_back(std::move(piece));
    }
    end_ = end;
    producing_ = false;
    // An empty piece is no news.
    if (end_ != End::none || !ready_.empty())
      notify = std::exchange(waited_for_, false);
    if (wants_more())
      schedule();
  }
  if (notify)
    notify_();
}

/// Replaces `piece` with what is to be sent, which may be nothing.
StreamedBody::End StreamedBody::ask_source(std::string& piece)
{
  piece.clear();
  try
  {
    if (source_->next(piece))
    {
      if (chunked_ && !piece.empty())
        frame(piece);
      return End::none;
    }
    piece = chunked_ ? "0\r\n\r\n" : "";
    return End::regular;
  }
  catch (const std::exception& error)
  {
    // The head is sent; only a connection that breaks off tells the client that the body is not whole.
    spdlog::error("the source of a response body threw an exception: {}", error.what());
    piece.clear();
    return End::broken;
  }
}

void StreamedBody::frame(std::string& piece)
{
  char size[18];
  auto* const end = std::to_chars(size, size + 16, piece.size(), 16).ptr;
  end[0] = '\r';
  end[1] = '\n';
  piece.insert(0, size, static_cast<std::size_t>(end + 2 - size));
  piece += "\r\n";
}
}
