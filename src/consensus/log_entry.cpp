#include "consensus/log_entry.h"

#include "base/encoding.h"

#include <algorithm>

namespace concordat::consensus
{
namespace
{
constexpr std::size_t descriptor_size = 3 * sizeof(std::uint64_t) + sizeof(Digest);
}

std::string Descriptor::encode() const
{
  std::string out;
  out.reserve(descriptor_size);
  base::append_le(out, first);
  base::append_le(out, last);
  base::append_le(out, length);
  out.append(base::as_view(digest));
  return out;
}

Result<Descriptor> Descriptor::decode(std::string_view bytes)
{
  if (bytes.size() != descriptor_size)
    return fail(
        ErrorCode::invalid,
        "a batch descriptor has " + std::to_string(descriptor_size) + " bytes, not " + std::to_string(bytes.size()));
  base::Reader reader(bytes);
  Descriptor out;
  out.first = *reader.le<std::uint64_t>();
  out.last = *reader.le<std::uint64_t>();
  out.length = *reader.le<std::uint64_t>();
  std::copy(reader.rest().begin(), reader.rest().end(), out.digest.begin());
  if (out.first == 0 || out.first > out.last || out.last >> 63 != 0 || out.length == 0)
    return fail(
        ErrorCode::invalid, "a batch descriptor names the impossible range " + std::to_string(out.first) + " to " +
                                std::to_string(out.last) + " in " + std::to_string(out.length) + " bytes");
  return out;
}
}
