#include "crypto/cbor.h"

#include "base/encoding.h"

#include <limits>

namespace concordat::crypto
{
namespace
{
constexpr std::uint8_t null_value = 22;
constexpr std::uint8_t one_byte_follows = 24;
constexpr std::uint8_t eight_bytes_follow = 27;
constexpr auto largest_integer = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

CborWriter& CborWriter::head(CborType type, std::uint64_t argument)
{
  const auto first = [type](std::uint8_t detail)
  { return static_cast<char>(static_cast<unsigned>(type) << 5 | detail); };
  if (argument < one_byte_follows)
    encoded_.push_back(first(static_cast<std::uint8_t>(argument)));
  else if (argument <= 0xff)
  {
    encoded_.push_back(first(one_byte_follows));
    base::append_be(encoded_, static_cast<std::uint8_t>(argument));
  }
  else if (argument <= 0xffff)
  {
    encoded_.push_back(first(25));
    base::append_be(encoded_, static_cast<std::uint16_t>(argument));
  }
  else if (argument <= 0xffff'ffff)
  {
    encoded_.push_back(first(26));
    base::append_be(encoded_, static_cast<std::uint32_t>(argument));
  }
  else
  {
    encoded_.push_back(first(eight_bytes_follow));
    base::append_be(encoded_, argument);
  }
  return *this;
}

CborWriter& CborWriter::integer(std::int64_t value)
{
  // −1 − n is the complement of n, also for the smallest value, where a subtraction would overflow.
  return value >= 0 ? head(CborType::positive, static_cast<std::uint64_t>(value))
                    : head(CborType::negative, ~static_cast<std::uint64_t>(value));
}

CborWriter& CborWriter::bytes(std::string_view value)
{
  head(CborType::bytes, value.size()).encoded_.append(value);
  return *this;
}

CborWriter& CborWriter::text(std::string_view value)
{
  head(CborType::text, value.size()).encoded_.append(value);
  return *this;
}

CborWriter& CborWriter::array(std::uint64_t count)
{
  return head(CborType::array, count);
}

CborWriter& CborWriter::map(std::uint64_t count)
{
  return head(CborType::map, count);
}

CborWriter& CborWriter::tag(std::uint64_t number)
{
  return head(CborType::tag, number);
}

CborWriter& CborWriter::null()
{
  return head(CborType::simple, null_value);
}

std::unexpected<Error> CborReader::wrong(const std::string& why) const
{
  return fail(ErrorCode::corrupt, "CBOR at offset " + std::to_string(at_) + ": " + why);
}

Result<CborReader::Head> CborReader::head() const
{
  if (done())
    return wrong("an item is missing");
  const auto first = static_cast<unsigned char>(all_[at_]);
  Head head{static_cast<CborType>(first >> 5), static_cast<std::uint8_t>(first & 31), 0, 1};
  if (head.detail > eight_bytes_follow)
    return wrong("an indefinite length or a reserved form");
  if (head.detail < one_byte_follows)
    head.argument = head.detail;
  else
  {
    const auto extra = std::size_t{1} << (head.detail - one_byte_follows);
    if (all_.size() - at_ - 1 < extra)
      return wrong("the item is cut off");
    for (const char c : all_.substr(at_ + 1, extra))
      head.argument = head.argument << 8 | static_cast<unsigned char>(c);
    head.size += extra;
  }
  return head;
}

Result<CborReader::Head> CborReader::head_of(CborType type, const char* name) const
{
  const auto found = head();
  if (found && found->type != type)
    return wrong(std::string("not ") + name);
  return found;
}

Result<std::string_view> CborReader::string(CborType type, const char* name)
{
  const auto found = head_of(type, name);
  if (!found)
    return std::unexpected(found.error());
  if (found->argument > all_.size() - at_ - found->size)
    return wrong("the string is cut off");
  const auto content = all_.substr(at_ + found->size, static_cast<std::size_t>(found->argument));
  if (type == CborType::text && !is_utf8(content))
    return wrong("the text is not UTF-8");
  at_ += found->size + content.size();
  return content;
}

Result<CborType> CborReader::peek() const
{
  const auto found = head();
  if (!found)
    return std::unexpected(found.error());
  return found->type;
}

Result<std::int64_t> CborReader::integer()
{
  const auto found = head();
  if (!found)
    return std::unexpected(found.error());
  if (found->type != CborType::positive && found->type != CborType::negative)
    return wrong("not an integer");
  if (found->argument > largest_integer)
    return wrong("the integer does not fit into 64 bits with a sign");
  at_ += found->size;
  const auto value = static_cast<std::int64_t>(found->argument);
  return found->type == CborType::positive ? value : -1 - value;
}

Result<std::string_view> CborReader::bytes()
{
  return string(CborType::bytes, "a byte string");
}

Result<std::string_view> CborReader::text()
{
  return string(CborType::text, "a text string");
}

Result<std::uint64_t> CborReader::array()
{
  const auto found = head_of(CborType::array, "an array");
  if (!found)
    return std::unexpected(found.error());
  if (found->argument > all_.size() - at_ - found->size)
    return wrong("the array is cut off");
  at_ += found->size;
  return found->argument;
}

Result<std::uint64_t> CborReader::map()
{
  const auto found = head_of(CborType::map, "a map");
  if (!found)
    return std::unexpected(found.error());
  if (found->argument > (all_.size() - at_ - found->size) / 2)
    return wrong("the map is cut off");
  at_ += found->size;
  return found->argument;
}

Result<std::uint64_t> CborReader::tag()
{
  const auto found = head_of(CborType::tag, "a tag");
  if (!found)
    return std::unexpected(found.error());
  at_ += found->size;
  return found->argument;
}

Result<void> CborReader::null()
{
  const auto found = head_of(CborType::simple, "null");
  if (!found)
    return std::unexpected(found.error());
  if (found->detail != null_value)
    return wrong("not null");
  at_ += found->size;
  return {};
}

Result<std::string_view> CborReader::item()
{
  const auto start = at_;
  if (const auto skipped = skip(0); !skipped)
  {
    at_ = start;
    return std::unexpected(skipped.error());
  }
  return all_.substr(start, at_ - start);
}

Result<void> CborReader::skip(unsigned depth)
{
  if (depth > depth_limit)
    return wrong("items lie deeper than " + std::to_string(depth_limit) + " levels in each other");
  const auto found = head();
  if (!found)
    return std::unexpected(found.error());

  std::uint64_t inside = 0;
  switch (found->type)
  {
  case CborType::bytes:
  case CborType::text:
  {
    const auto skipped = string(found->type, "a string");
    return skipped ? Result<void>{} : std::unexpected(skipped.error());
  }
  case CborType::array:
  case CborType::map:
  {
    const auto count = found->type == CborType::array ? array() : map();
    if (!count)
      return std::unexpected(count.error());
    inside = found->type == CborType::array ? *count : 2 * *count;
    break;
  }
  case CborType::simple:
    // RFC 8949 §3.3: the values below 32 have no form with a second byte.
    if (found->detail == one_byte_follows && found->argument < 32)
      return wrong("a simple value in a form that does not exist");
    at_ += found->size;
    break;
  case CborType::tag:
    inside = 1;
    at_ += found->size;
    break;
  case CborType::positive:
  case CborType::negative:
    at_ += found->size;
    break;
  }
  for (; inside > 0; --inside)
    if (const auto skipped = skip(depth + 1); !skipped)
      return skipped;
  return {};
}

bool is_utf8(std::string_view text)
{
  for (std::size_t at = 0; at < text.size();)
  {
    const auto first = static_cast<unsigned char>(text[at]);
    const std::size_t size = first < 0x80 ? 1
                           : first < 0xc2 ? 0
                           : first < 0xe0 ? 2
                           : first < 0xf0 ? 3
                           : first < 0xf5 ? 4
                                          : 0;
    if (size == 0 || text.size() - at < size)
      return false;
    std::uint32_t point = size == 1 ? first : first & (0x7f >> size);
    for (std::size_t i = 1; i < size; ++i)
    {
      const auto next = static_cast<unsigned char>(text[at + i]);
      if ((next & 0xc0) != 0x80)
        return false;
      point = point << 6 | (next & 0x3f);
    }
    const bool overlong = (size == 3 && point < 0x800) || (size == 4 && point < 0x10000);
    const bool surrogate = point >= 0xd800 && point <= 0xdfff;
    if (overlong || surrogate || point > 0x10ffff)
      return false;
    at += size;
  }
  return true;
}
}
