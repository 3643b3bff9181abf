#include "peer/hello.h"

#include "base/encoding.h"

#include <algorithm>
#include <charconv>

namespace concordat::peer
{
namespace
{
constexpr std::string_view magic = "CCDTPEER";
constexpr std::uint8_t hello_type = 1;
constexpr std::uint8_t answer_type = 2;
constexpr std::size_t head_size = magic.size() + sizeof(std::uint16_t);

std::unexpected<Error> wrong(const std::string& why)
{
  return fail(ErrorCode::invalid, "not a greeting of a node: " + why);
}

std::string wrap(const std::string& body)
{
  std::string out(magic);
  base::append_le(out, static_cast<std::uint16_t>(body.size()));
  return out + body;
}

/// @return the fields, behind the type; nothing if more bytes are needed
Result<std::optional<base::Reader>> unwrap(std::string_view received, std::uint8_t type)
{
  const auto begin = received.substr(0, magic.size());
  if (begin != magic.substr(0, begin.size()))
    return wrong("it begins with other bytes");
  if (received.size() < head_size)
    return std::nullopt;
  base::Reader reader(received.substr(magic.size()));
  const std::size_t size = *reader.le<std::uint16_t>();
  if (size > greeting_limit - head_size)
    return wrong("it says that it is larger than " + std::to_string(greeting_limit) + " bytes");
  if (reader.left() < size)
    return std::nullopt;
  if (reader.left() > size)
    return wrong("something follows before there was an answer");
  const auto found = reader.le<std::uint8_t>();
  if (!found || *found != type)
    return wrong("it is of another type");
  return reader;
}

bool read(base::Reader& from, Digest& to)
{
  const auto bytes = from.take(to.size());
  if (bytes)
    std::copy(bytes->begin(), bytes->end(), to.begin());
  return bytes.has_value();
}

template <typename T> bool read(base::Reader& from, T& to)
{
  const auto value = from.le<T>();
  if (value)
    to = *value;
  return value.has_value();
}
}

Result<VersionRange> VersionRange::parse(std::string_view text)
{
  VersionRange out;
  const auto* const end = text.data() + text.size();
  const auto min = std::from_chars(text.data(), end, out.min);
  const bool split = min.ec == std::errc{} && min.ptr != end && *min.ptr == '-';
  const auto max = split ? std::from_chars(min.ptr + 1, end, out.max) : min;
  if (!split || max.ec != std::errc{} || max.ptr != end || out.min == 0 || out.min > out.max)
    return fail(ErrorCode::invalid, "versions of the protocol between nodes are named as <min>-<max>");
  return out;
}

std::optional<std::uint16_t> negotiate(const VersionRange& one, const VersionRange& other)
{
  const auto newest = std::min(one.max, other.max);
  if (newest < std::max(one.min, other.min))
    return std::nullopt;
  return newest;
}

std::string Hello::encode() const
{
  std::string body;
  base::append_le(body, hello_type);
  base::append_le(body, versions.min);
  base::append_le(body, versions.max);
  base::append_le(body, static_cast<std::uint8_t>(lane));
  for (const auto* digest : {&service, &from, &to, &binding})
    body += base::as_view(*digest);
  return wrap(body);
}

Result<std::optional<Hello>> read_hello(std::string_view received)
{
  const auto found = unwrap(received, hello_type);
  if (!found)
    return std::unexpected(found.error());
  if (!*found)
    return std::nullopt;
  auto reader = **found;
  Hello hello;
  std::uint8_t lane = 0;
  if (!read(reader, hello.versions.min) || !read(reader, hello.versions.max) || !read(reader, lane) ||
      !read(reader, hello.service) || !read(reader, hello.from) || !read(reader, hello.to) ||
      !read(reader, hello.binding))
    return wrong("it is too short");
  if (lane >= lane_count)
    return wrong("there is no lane " + std::to_string(lane));
  if (hello.versions.min == 0 || hello.versions.min > hello.versions.max)
    return wrong("its versions are no range");
  hello.lane = static_cast<Lane>(lane);
  return hello;
}

std::string Answer::encode() const
{
  std::string body;
  base::append_le(body, answer_type);
  base::append_le(body, static_cast<std::uint8_t>(refusal));
  base::append_le(body, version);
  body += base::as_view(service);
  return wrap(body);
}

Result<std::optional<Answer>> read_answer(std::string_view received)
{
  const auto found = unwrap(received, answer_type);
  if (!found)
    return std::unexpected(found.error());
  if (!*found)
    return std::nullopt;
  auto reader = **found;
  Answer answer;
  std::uint8_t refusal = 0;
  if (!read(reader, refusal) || !read(reader, answer.version) || !read(reader, answer.service))
    return wrong("it is too short");
  if (refusal > static_cast<std::uint8_t>(last_on_the_wire))
    return wrong("it refuses for a reason that this version does not know");
  answer.refusal = static_cast<Refusal>(refusal);
  return answer;
}
}
