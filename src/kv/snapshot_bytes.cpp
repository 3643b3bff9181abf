#include "kv/snapshot_bytes.h"

#include "base/encoding.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>
#include <vector>

namespace concordat::kv
{
namespace
{
/// Keys and values begin at multiples of this within a record.
constexpr std::uint64_t alignment = 8;
constexpr std::uint64_t version_size = 8;

std::uint64_t padding(std::uint64_t size)
{
  return (alignment - size % alignment) % alignment;
}

std::uint64_t record_size(std::uint64_t key, std::uint64_t value)
{
  const auto versioned = version_size + value;
  return 8 + key + padding(key) + 8 + versioned + padding(versioned);
}

struct Record
{
  std::uint32_t hash;
  std::string_view key;
  std::string_view value;
  Seqno version;
};

void encode_map(const State::Map& map, std::string& out)
{
  std::vector<Record> records;
  records.reserve(map.tree.size());
  std::uint64_t size = 0;
  for (auto at = map.tree.lower_bound({}); at.valid(); at.next())
  {
    const auto key = at.key();
    records.push_back({static_cast<std::uint32_t>(snapshot_hash(key)), key, at.value(), at.version()});
    size += record_size(key.size(), at.value().size());
  }
  std::ranges::sort(records, {}, [](const Record& record) { return std::tuple(record.hash, record.key); });

  base::append_lp(out, map.name);
  base::append_le<std::uint64_t>(out, map.version);
  base::append_le<std::uint64_t>(out, size);
  for (const auto& record : records)
  {
    base::append_lp(out, record.key);
    out.append(padding(record.key.size()), '\0');
    const auto versioned = version_size + record.value.size();
    base::append_le<std::uint64_t>(out, versioned);
    base::append_le<std::uint64_t>(out, record.version);
    out.append(record.value);
    out.append(padding(versioned), '\0');
  }
}

class MapReader
{
public:
  MapReader(std::string_view name, std::string_view body, Seqno version)
      : name_(name),
        body_(body),
        reader_(body),
        version_(version)
  {
  }

  Result<void> run(Tree& tree)
  {
    Tree::Writer writer(tree);
    std::optional<std::tuple<std::uint32_t, std::string_view>> last;
    while (!reader_.done())
    {
      const auto key = field(0);
      if (!key)
        return wrong("its keys", key.error());
      const auto versioned = field(version_size);
      if (!versioned)
        return wrong("its values", versioned.error());
      base::Reader value(*versioned);
      const auto version = value.le<std::uint64_t>();
      const auto place = std::tuple(static_cast<std::uint32_t>(snapshot_hash(*key)), *key);
      // Who wrote it may have put keys with the same hash in any order.
      if (last && (std::get<0>(place) < std::get<0>(*last) || place == *last))
        return wrong("a key is not where it belongs");
      last = place;
      // Old releases kept what was removed, with a negative version.
      if (std::bit_cast<std::int64_t>(*version) < 0)
        continue;
      if (*version == 0 || *version > version_)
        return wrong("a key has version " + std::to_string(*version) + ", and its map " + std::to_string(version_));
      const auto before = tree.size();
      writer.put(*key, *version, value.rest());
      if (tree.size() == before)
        return wrong("a key comes twice");
    }
    return {};
  }

private:
  Result<std::string_view> field(std::uint64_t least)
  {
    const auto bytes = reader_.lp();
    if (!bytes)
      return bytes;
    const auto filling = reader_.take(padding(bytes->size()));
    if (!filling)
      return filling;
    if (bytes->size() < least || filling->find_first_not_of('\0') != std::string_view::npos)
      return fail(
          ErrorCode::corrupt, "a field of " + std::to_string(bytes->size()) + " bytes that ends at byte " +
                                  std::to_string(body_.size() - reader_.left()) + " cannot be");
    return bytes;
  }
  Result<void> wrong(const std::string& what) const
  {
    return fail(ErrorCode::corrupt, "the snapshot's map " + quoted_map(name_) + " is malformed: " + what);
  }
  Result<void> wrong(const std::string& what, Error cause) const
  {
    return fail("the snapshot's map " + quoted_map(name_) + " is malformed: " + what, std::move(cause));
  }

  const std::string_view name_;
  const std::string_view body_;
  base::Reader reader_;
  const Seqno version_;
};
}

std::uint64_t siphash_2_4(std::uint64_t k0, std::uint64_t k1, std::string_view bytes)
{
  std::uint64_t v0 = k0 ^ 0x736f6d6570736575;
  std::uint64_t v1 = k1 ^ 0x646f72616e646f6d;
  std::uint64_t v2 = k0 ^ 0x6c7967656e657261;
  std::uint64_t v3 = k1 ^ 0x7465646279746573;
  const auto rounds = [&](int count)
  {
    for (; count > 0; --count)
    {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  };
  const auto absorb = [&](std::uint64_t word)
  {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  };
  base::Reader reader(bytes);
  while (reader.left() >= 8)
    absorb(*reader.le<std::uint64_t>());
  auto last = std::uint64_t{bytes.size()} << 56;
  const auto rest = reader.rest();
  for (std::size_t i = 0; i < rest.size(); ++i)
    last |= std::uint64_t{static_cast<unsigned char>(rest[i])} << (8 * i);
  absorb(last);
  v2 ^= 0xff;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

std::uint64_t snapshot_hash(std::string_view key)
{
  return siphash_2_4(0x7720796f726c694b, 0x2165726568207361, key);
}

void encode_snapshot(const State& state, Domain domain, std::string& out)
{
  for (const auto& map : state.maps())
    if (is_public(map.name) == (domain == Domain::public_maps))
      encode_map(map, out);
}

Result<void> decode_snapshot(std::string_view bytes, Domain domain, Seqno last, State& state)
{
  base::Reader reader(bytes);
  std::optional<std::string_view> before;
  while (!reader.done())
  {
    const auto wrong = [&](const std::string& what)
    {
      return fail(
          ErrorCode::corrupt,
          "the snapshot is malformed at byte " + std::to_string(bytes.size() - reader.left()) + ": " + what);
    };
    const auto name = reader.lp();
    const auto version = name ? reader.le<std::uint64_t>() : std::unexpected(name.error());
    const auto body = version ? reader.lp() : std::unexpected(version.error());
    if (!body)
      return wrong("a map is cut off");
    if (is_public(*name) != (domain == Domain::public_maps))
      return wrong("the map " + quoted_map(*name) + " belongs into the other domain");
    if (before && *name <= *before)
      return wrong("the map " + quoted_map(*name) + " is not above the one before");
    if (*version > last)
      return wrong("the map " + quoted_map(*name) + " was written after the snapshot was taken");
    before = *name;
    if (auto read = MapReader(*name, *body, *version).run(state.restore_map(*name, *version)); !read)
      return read;
  }
  return {};
}
}
