#include "http/chunked_body.h"

#include "base/encoding.h"

#include <algorithm>

namespace concordat::http
{
namespace
{
/// HTAB, visible characters, space and obs-text (RFC 9110 §5.5).
bool is_text(char c)
{
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}
}

ChunkedBody::Step ChunkedBody::feed(std::string_view bytes)
{
  Step step;
  while (step.consumed < bytes.size() && step.outcome == Outcome::need_more)
  {
    if (state_ != State::data)
    {
      step.outcome = take(bytes[step.consumed++]);
      continue;
    }
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(size_, bytes.size() - step.consumed));
    step.data = bytes.substr(step.consumed, part);
    step.consumed += part;
    size_ -= part;
    if (size_ == 0)
      state_ = State::data_end;
    break;
  }
  return step;
}

ChunkedBody::Outcome ChunkedBody::take(char c)
{
  const auto go_on = [this](bool right, State next)
  {
    state_ = next;
    return right ? Outcome::need_more : Outcome::malformed;
  };
  switch (state_)
  {
  case State::size:
    return take_size(c);
  case State::extension:
    if (c == '\r')
      return go_on(true, State::size_end);
    return ++line_ <= max_line ? go_on(is_text(c), State::extension) : Outcome::malformed;
  case State::size_end:
    return c == '\n' ? end_of_size_line() : Outcome::malformed;
  case State::data:
    break;
  case State::data_end:
    return go_on(c == '\r', State::data_end_lf);
  case State::data_end_lf:
    digits_ = 0;
    line_ = 0;
    return go_on(c == '\n', State::size);
  case State::trailer_start:
    if (c == '\r')
      return go_on(true, State::end);
    colon_ = false;
    return ++line_ <= max_line ? go_on(is_text(c) && c != ' ' && c != '\t' && c != ':', State::trailer)
                               : Outcome::malformed;
  case State::trailer:
    if (c == '\r')
      return go_on(colon_, State::trailer_end);
    colon_ = colon_ || c == ':';
    return ++line_ <= max_line ? go_on(is_text(c), State::trailer) : Outcome::malformed;
  case State::trailer_end:
    return go_on(c == '\n', State::trailer_start);
  case State::end:
    return c == '\n' ? Outcome::complete : Outcome::malformed;
  }
  return Outcome::malformed;
}

ChunkedBody::Outcome ChunkedBody::take_size(char c)
{
  if (const int value = base::hex_value(c); value >= 0)
  {
    if (++digits_ > 16)
      return Outcome::malformed;
    size_ = (digits_ == 1 ? 0 : size_ << 4) | static_cast<std::uint64_t>(value);
    return Outcome::need_more;
  }
  if (digits_ == 0 || (c != '\r' && c != ';' && c != ' ' && c != '\t'))
    return Outcome::malformed;
  state_ = c == '\r' ? State::size_end : State::extension;
  return Outcome::need_more;
}

ChunkedBody::Outcome ChunkedBody::end_of_size_line()
{
  if (size_ > left_)
    return Outcome::too_large;
  left_ -= size_;
  line_ = 0;
  state_ = size_ > 0 ? State::data : State::trailer_start;
  return Outcome::need_more;
}
}
