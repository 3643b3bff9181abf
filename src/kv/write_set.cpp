#include "kv/write_set.h"

#include "base/encoding.h"

#include <utility>

namespace concordat::kv
{
namespace
{
/// Nothing that this system writes comes near; the store takes no longer keys or values.
constexpr std::uint64_t longest_domain = 0xffffffff;

class MapDecoder
{
public:
  MapDecoder(base::Reader& reader, std::string_view name, MapWrites& writes)
      : reader_(reader),
        name_(name),
        writes_(writes)
  {
  }

  Result<void> run()
  {
    const auto read_version = reader_.le<std::uint64_t>();
    if (!read_version)
      return wrong("cut off before the read version", read_version.error());
    const auto reads = reader_.le<std::uint64_t>();
    if (!reads)
      return wrong("cut off before the read count", reads.error());
    if (*read_version != 0 || *reads != 0)
      return wrong("it holds reads, which are never written");
    if (auto done = puts(); !done)
      return done;
    if (auto done = removes(); !done)
      return done;
    if (writes_.empty())
      return wrong("it holds no operation");
    return {};
  }

private:
  Result<void> puts()
  {
    const auto count = reader_.le<std::uint64_t>();
    if (!count)
      return wrong("cut off before the write count", count.error());
    std::optional<std::string_view> last;
    for (std::uint64_t i = 0; i < *count; ++i)
    {
      const auto key = reader_.lp();
      if (!key)
        return wrong("cut off in the key of write " + std::to_string(i), key.error());
      if (last && *key <= *last)
        return wrong("the key of write " + std::to_string(i) + " is not above the one before");
      const auto value = reader_.lp();
      if (!value)
        return wrong("cut off in the value of write " + std::to_string(i), value.error());
      writes_.emplace_hint(writes_.end(), *key, *value);
      last = *key;
    }
    return {};
  }

  Result<void> removes()
  {
    const auto count = reader_.le<std::uint64_t>();
    if (!count)
      return wrong("cut off before the remove count", count.error());
    std::optional<std::string_view> last;
    for (std::uint64_t i = 0; i < *count; ++i)
    {
      const auto key = reader_.lp();
      if (!key)
        return wrong("cut off in the key of remove " + std::to_string(i), key.error());
      if (last && *key <= *last)
        return wrong("the key of remove " + std::to_string(i) + " is not above the one before");
      if (!writes_.try_emplace(std::string(*key), std::nullopt).second)
        return wrong("the key of remove " + std::to_string(i) + " is also written");
      last = *key;
    }
    return {};
  }

  Result<void> wrong(const std::string& reason) const
  {
    return fail(ErrorCode::corrupt, "the write set's map " + quoted_map(name_) + " is malformed: " + reason);
  }
  Result<void> wrong(const std::string& reason, Error cause) const
  {
    return fail("the write set's map " + quoted_map(name_) + " is malformed: " + reason, std::move(cause));
  }

  base::Reader& reader_;
  std::string_view name_;
  MapWrites& writes_;
};
}

void encode(const WriteSet& writes, Domain domain, std::string& out)
{
  for (const auto& [name, map] : writes)
  {
    if (map.empty() || is_public(name) != (domain == Domain::public_maps))
      continue;
    std::uint64_t puts = 0;
    for (const auto& [key, value] : map)
      puts += value.has_value() ? 1 : 0;

    base::append_lp(out, name);
    base::append_le<std::uint64_t>(out, 0);
    base::append_le<std::uint64_t>(out, 0);
    base::append_le<std::uint64_t>(out, puts);
    for (const auto& [key, value] : map)
    {
      if (!value)
        continue;
      base::append_lp(out, key);
      base::append_lp(out, *value);
    }
    base::append_le<std::uint64_t>(out, map.size() - puts);
    if (map.size() == puts)
      continue;
    for (const auto& [key, value] : map)
      if (!value)
        base::append_lp(out, key);
  }
}

Result<void> decode(std::string_view bytes, Domain domain, WriteSet& writes)
{
  if (bytes.size() > longest_domain)
    return fail(ErrorCode::corrupt, "a write set of " + std::to_string(bytes.size()) + " bytes is too long");
  base::Reader reader(bytes);
  std::optional<std::string_view> last;
  while (!reader.done())
  {
    const auto name = reader.lp();
    if (!name)
      return fail(
          "the write set is malformed: cut off in a map name at byte " + std::to_string(bytes.size() - reader.left()),
          name.error());
    if (is_public(*name) != (domain == Domain::public_maps))
      return fail(
          ErrorCode::corrupt, "the write set's map " + quoted_map(*name) + " does not belong into the " +
                                  (domain == Domain::public_maps ? "public" : "private") + " domain");
    if (last && *name <= *last)
      return fail(ErrorCode::corrupt, "the write set's map " + quoted_map(*name) + " is not above the one before");
    const auto [at, added] = writes.try_emplace(std::string(*name));
    if (!added)
      return fail(ErrorCode::corrupt, "the write set's map " + quoted_map(*name) + " comes twice");
    if (auto done = MapDecoder(reader, *name, at->second).run(); !done)
      return done;
    last = *name;
  }
  return {};
}
}
