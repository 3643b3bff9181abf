#include "node/forwarded_stream.h"

#include "base/log.h"

#include <stdexcept>

namespace concordat::node
{
namespace
{
constexpr std::size_t longest_piece = std::size_t{1} << 20;
}

IncomingStream::IncomingStream(Ask ask, std::chrono::milliseconds wait_for) : ask_(std::move(ask)), wait_for_(wait_for)
{
}

void IncomingStream::begin()
{
  for (unsigned i = 0; i < ahead; ++i)
    ask_(true);
}

IncomingStream::~IncomingStream()
{
  bool over = false;
  {
    const base::LockGuard lock(mutex_);
    over = ended_ || broken_;
  }
  if (!over)
    ask_(false);
}

bool IncomingStream::next(std::string& piece)
{
  {
    const base::LockGuard lock(mutex_);
    auto before = received_;
    while (pieces_.empty() && !ended_ && !broken_)
    {
      const bool in_time = arrived_.wait_for(mutex_, wait_for_);
      if (!in_time && received_ == before)
        broken_ = true;
      before = received_;
    }
    if (pieces_.empty())
    {
      if (broken_)
        throw std::runtime_error("the primary has not sent the rest of its answer");
      return false;
    }
    piece = std::move(pieces_.front());
    pieces_.pop_front();
  }
  ask_(true);
  return true;
}

void IncomingStream::take(ForwardedPiece piece)
{
  {
    const base::LockGuard lock(mutex_);
    if (ended_ || broken_)
      return;
    ++received_;
    // No more was asked for than this: whoever sends more is wrong, and must not fill the memory.
    if (pieces_.size() > ahead)
      broken_ = true;
    else if (!piece.bytes.empty())
      pieces_.push_back(std::move(piece.bytes));
    ended_ = piece.end == ForwardedPiece::End::whole;
    broken_ = broken_ || piece.end == ForwardedPiece::End::broken;
  }
  arrived_.notify_all();
}

void IncomingStream::break_off()
{
  {
    const base::LockGuard lock(mutex_);
    broken_ = broken_ || !ended_;
  }
  arrived_.notify_all();
}

bool OutgoingStreams::add(
    const peer::NodeId& to, std::uint64_t id, std::string first, std::shared_ptr<BodySource> source)
{
  auto stream = std::make_shared<Stream>();
  stream->first = std::move(first);
  stream->source = std::move(source);
  stream->touched = clock_.steady();
  const base::LockGuard lock(mutex_);
  return streams_.size() < options_.most && streams_.emplace(Key(to, id), std::move(stream)).second;
}

void OutgoingStreams::take(const peer::Received& message)
{
  const auto more = ForwardedMore::decode(message.bytes);
  if (!more)
    return spdlog::warn("a message of node {} is dropped: {}", message.from, more.error().describe());
  const Key key(message.from, more->id);
  if (!more->wanted)
    return drop(key);
  {
    const base::LockGuard lock(mutex_);
    const auto found = streams_.find(key);
    if (found == streams_.end() || found->second->wanted > IncomingStream::ahead)
      return;
    auto& stream = *found->second;
    ++stream.wanted;
    stream.touched = clock_.steady();
    if (stream.busy)
      return;
    stream.busy = true;
  }
  schedule(key);
}

/// Each piece is a job of its own, so that streams, and those who wait for the pool, take turns.
void OutgoingStreams::schedule(const Key& key)
{
  base::Job job;
  job.owner = "forwarded answers";
  job.run = [this, key] { produce(key); };
  job.refuse = [this, key](base::Refusal) { drop(key); };
  if (!pool_.submit(std::move(job)))
    drop(key);
}

void OutgoingStreams::produce(const Key& key)
{
  std::shared_ptr<Stream> stream;
  {
    const base::LockGuard lock(mutex_);
    const auto found = streams_.find(key);
    if (found == streams_.end())
      return;
    stream = found->second;
  }
  ForwardedPiece piece{key.second, ForwardedPiece::End::none, std::exchange(stream->first, {})};
  try
  {
    while (piece.bytes.empty() && piece.end == ForwardedPiece::End::none)
      if (!stream->source->next(piece.bytes))
      {
        piece.end = ForwardedPiece::End::whole;
        piece.bytes.clear();
      }
    // What is larger than a message goes in several.
    if (piece.bytes.size() > longest_piece)
    {
      stream->first = piece.bytes.substr(longest_piece);
      piece.bytes.resize(longest_piece);
    }
  }
  catch (const std::exception& error)
  {
    spdlog::error("the source of a response body threw an exception: {}", error.what());
    piece.end = ForwardedPiece::End::broken;
    piece.bytes.clear();
  }
  const bool over = piece.end != ForwardedPiece::End::none;
  auto message = std::move(piece).encode();
  if (!message || !options_.send(key.first, PeerMessage::forwarded_piece, std::move(*message)) || over)
    return drop(key);
  {
    const base::LockGuard lock(mutex_);
    stream->busy = --stream->wanted != 0;
    if (!stream->busy)
      return;
  }
  schedule(key);
}

void OutgoingStreams::drop(const Key& key)
{
  std::shared_ptr<Stream> gone; // let go of without the lock: it may hold much
  const base::LockGuard lock(mutex_);
  if (auto found = streams_.extract(key))
    gone = std::move(found.mapped());
}

void OutgoingStreams::look()
{
  const auto oldest = clock_.steady() - options_.patience;
  std::vector<Key> over;
  {
    const base::LockGuard lock(mutex_);
    for (const auto& [key, stream] : streams_)
      if (!stream->busy && stream->touched < oldest)
        over.push_back(key);
  }
  for (const auto& key : over)
    drop(key);
}

std::size_t OutgoingStreams::count() const
{
  const base::LockGuard lock(mutex_);
  return streams_.size();
}
}
