#include "peer/frames.h"

#include "base/check.h"
#include "base/encoding.h"

#include <algorithm>
#include <utility>

namespace concordat::peer
{
namespace
{
enum FrameType : std::uint8_t
{
  alive = 0,
  begins = 1,
  goes_on = 2,
};

constexpr std::size_t head_size = 1 + sizeof(std::uint32_t);
constexpr std::size_t begin_size = sizeof(std::uint16_t) + sizeof(std::uint64_t);
constexpr std::size_t body_limit = frame_limit - head_size;

std::unexpected<Error> wrong(const std::string& why)
{
  return fail(ErrorCode::invalid, "not a frame: " + why);
}
}

std::string_view alive_frame()
{
  static constexpr char frame[head_size] = {alive, 0, 0, 0, 0};
  return {frame, head_size};
}

Cutter::Cutter(std::uint16_t kind, Payload payload) : kind_(kind), payload_(std::move(payload)), left_(payload_.size())
{
}

void Cutter::append_to(std::string& out)
{
  CHECK(!done(), "a message has an end");
  const bool first = !std::exchange(begun_, true);
  auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, body_limit - (first ? begin_size : 0)));
  base::append_le<std::uint8_t>(out, first ? begins : goes_on);
  base::append_le(out, static_cast<std::uint32_t>(size + (first ? begin_size : 0)));
  if (first)
  {
    base::append_le(out, kind_);
    base::append_le(out, left_);
  }
  left_ -= size;
  while (size > 0)
  {
    const auto rest = payload_.pieces()[piece_].substr(offset_);
    const auto part = rest.substr(0, size);
    out += part;
    size -= part.size();
    offset_ += part.size();
    if (part.size() == rest.size())
    {
      ++piece_;
      offset_ = 0;
    }
  }
}

Result<void> FrameReader::feed(std::string_view bytes, const Sink& sink)
{
  while (!bytes.empty())
  {
    if (in_frame_ == 0)
    {
      const auto wanted = !head_.empty() && head_.front() == begins ? head_size + begin_size : head_size;
      const auto part = bytes.substr(0, wanted - head_.size());
      // The type comes first: what it makes of the size is looked at with the next byte.
      const auto taken = head_.empty() ? part.substr(0, 1) : part;
      head_ += taken;
      bytes.remove_prefix(taken.size());
      if (head_.size() == 1 || head_.size() < wanted)
        continue;
      if (auto begun = begin_frame(); !begun)
        return begun;
      head_.clear();
    }
    else
    {
      const auto part = bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(in_frame_, bytes.size())));
      message_ += part;
      in_frame_ -= part.size();
      left_ -= part.size();
      bytes.remove_prefix(part.size());
    }
    if (open_ && left_ == 0)
    {
      open_ = false;
      sink(kind_, std::exchange(message_, {}));
    }
  }
  return {};
}

Result<void> FrameReader::begin_frame()
{
  base::Reader reader(head_);
  const auto type = *reader.le<std::uint8_t>();
  const std::uint64_t length = *reader.le<std::uint32_t>();
  if (length > body_limit)
    return wrong("it is larger than " + std::to_string(frame_limit) + " bytes");
  if (type == alive)
    return length == 0 ? Result<void>() : wrong("one that says only that its sender lives says more");
  if (type == begins)
  {
    if (open_)
      return wrong("a message begins within another");
    if (length < begin_size)
      return wrong("it is too short to begin a message");
    kind_ = *reader.le<std::uint16_t>();
    left_ = *reader.le<std::uint64_t>();
    if (left_ > limit_)
      return fail(
          ErrorCode::limit,
          "a message of " + std::to_string(left_) + " bytes is larger than " + std::to_string(limit_));
    in_frame_ = length - begin_size;
    if (in_frame_ == 0 && left_ > 0)
      return wrong("it brings nothing");
    open_ = true;
    // One allocation: memory that is not written to costs nothing yet.
    message_.reserve(static_cast<std::size_t>(left_));
  }
  else if (type == goes_on)
  {
    if (!open_)
      return wrong("it goes on with a message that has not begun");
    in_frame_ = length;
    if (in_frame_ == 0)
      return wrong("it brings nothing");
  }
  else
    return wrong("there is no type " + std::to_string(type));
  if (in_frame_ > left_)
    return wrong("it brings more than its message has");
  return {};
}
}
