#pragma once

#include "concordat/error.h"
#include "peer/channel.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace concordat::peer
{
/// What follows a greeting: frames of at most 64 KiB, so that no message holds a connection's buffers whole.
///
/// Wire: u8 type, u32 length of what follows. Type 1 begins a message: u16 kind, u64 size of its bytes, and the first
/// of these; type 2 goes on with it. Type 0 is empty and says only that its sender lives; it may lie between any two.
/// Little-endian.
constexpr std::size_t frame_limit = std::size_t{64} << 10;

/// A frame that says only that its sender lives.
std::string_view alive_frame();

/// Cuts a message into frames.
class Cutter
{
public:
  Cutter(std::uint16_t kind, Payload payload);

  bool done() const
  {
    return begun_ && left_ == 0;
  }
  /// Appends the next frame. @pre not done
  void append_to(std::string& out);

private:
  std::uint16_t kind_;
  Payload payload_;
  std::uint64_t left_;
  std::size_t piece_ = 0;
  std::size_t offset_ = 0; ///< in the piece
  bool begun_ = false;
};

/// Puts messages together again, from bytes in any portions. Holds one message at most, which is never larger than the
/// limit, whatever the bytes say.
class FrameReader
{
public:
  using Sink = std::function<void(std::uint16_t kind, std::string bytes)>;

  explicit FrameReader(std::uint64_t message_limit) : limit_(message_limit) {}

  /// @param sink  called for each message that is whole now
  /// @return Error::invalid if the bytes are no frames, Error::limit if a message is too large; nothing more may be fed
  ///         then
  Result<void> feed(std::string_view bytes, const Sink& sink);

private:
  Result<void> begin_frame();

  const std::uint64_t limit_;
  std::string head_;           ///< of a frame, as far as it has come
  std::uint64_t in_frame_ = 0; ///< bytes of the message that the frame still brings
  bool open_ = false;          ///< a message has begun
  std::uint64_t left_ = 0;     ///< of the open message, those in this frame included
  std::uint16_t kind_ = 0;
  std::string message_;
};
}
