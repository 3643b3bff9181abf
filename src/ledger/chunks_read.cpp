#include "base/encoding.h"
#include "ledger/chunk_format.h"
#include "ledger/chunks.h"
#include "ledger/entry.h"

#include <algorithm>

namespace concordat::ledger
{
namespace
{
constexpr std::size_t max_cached_files = 16;
}

bool ChunkFiles::in_committed_file(Seqno seqno) const
{
  const base::ReadLock lock(mutex_);
  const auto chunk = std::ranges::lower_bound(chunks_, seqno, {}, &Chunk::last);
  return seqno >= 1 && chunk != chunks_.end() && chunk->committed;
}

Result<ChunkFiles::Place> ChunkFiles::find(Seqno seqno) const
{
  const base::ReadLock lock(mutex_);
  const auto chunk = std::ranges::lower_bound(chunks_, seqno, {}, &Chunk::last);
  if (seqno < 1 || seqno > last() || chunk == chunks_.end())
    return fail(ErrorCode::not_found, "the ledger has no entry " + std::to_string(seqno));
  Place place{chunk->file, chunk->name, chunk->first, chunk->last, 0, chunk->end, chunk->end};
  if (chunk->committed)
    return place;
  const auto number = static_cast<std::size_t>(seqno - chunk->first);
  place.begin = chunk->positions[number];
  if (seqno != chunk->last)
    place.end = chunk->positions[number + 1];
  return place;
}

Result<void> ChunkFiles::open_committed(Place& place) const
{
  const base::LockGuard lock(cache_mutex_);
  const auto cached = std::ranges::find(cache_, place.first, &decltype(cache_)::value_type::first);
  if (cached != cache_.end())
  {
    std::rotate(cached, cached + 1, cache_.end());
    place.file = cache_.back().second;
    return {};
  }
  auto file = files_.open(path(place.name), base::OpenMode::read);
  if (!file)
    return fail("cannot read the ledger file '" + place.name + "'", file.error());
  if (cache_.size() == max_cached_files)
    cache_.erase(cache_.begin());
  place.file = std::move(*file);
  cache_.emplace_back(place.first, place.file);
  return {};
}

Result<void> ChunkFiles::locate_committed(Place& place, Seqno seqno) const
{
  if (auto opened = open_committed(place); !opened)
    return opened;
  const auto record = place.file->read_at(place.chunk_end + 4 * (seqno - place.first), seqno == place.last ? 4 : 8);
  if (!record)
    return std::unexpected(record.error());
  base::Reader reader(*record);
  const auto begin = reader.le<std::uint32_t>();
  const auto end = seqno == place.last ? place.chunk_end : reader.le<std::uint32_t>().value_or(0);
  if (!begin || *begin < chunk_header_size || end <= *begin || end > place.chunk_end || end - *begin > max_entry_size)
    return fail(
        ErrorCode::corrupt, "'" + place.name + "': the positions table is wrong about entry " + std::to_string(seqno));
  place.begin = *begin;
  place.end = end;
  return {};
}

Result<std::string> ChunkFiles::read(Seqno seqno) const
{
  auto place = find(seqno);
  if (!place)
    return std::unexpected(place.error());
  if (!place->file)
    if (auto located = locate_committed(*place, seqno); !located)
      return std::unexpected(located.error());
  auto bytes = place->file->read_at(place->begin, static_cast<std::size_t>(place->end - place->begin));
  if (!bytes)
    return std::unexpected(bytes.error());
  const auto size = entry_size(*bytes);
  if (!size || *size != bytes->size() || *size != place->end - place->begin || entry_seqno(*bytes) != seqno)
    return fail(
        ErrorCode::corrupt, "'" + place->name + "', offset " + std::to_string(place->begin) + ": this is not entry " +
                                std::to_string(seqno));
  return bytes;
}

ChunkFiles::Stream ChunkFiles::stream(Seqno from) const
{
  Stream stream;
  stream.chunks_ = this;
  stream.next_ = std::max<Seqno>(from, 1);
  return stream;
}

Result<std::optional<std::string_view>> ChunkFiles::Stream::next()
{
  if (next_ > chunks_->last())
    return std::optional<std::string_view>{};
  if (!scanner_ || scanner_->offset() == scanner_->end())
  {
    auto place = chunks_->find(next_);
    if (!place)
      return std::unexpected(place.error());
    if (!place->file)
    {
      // From the first entry on, nothing but the entries themselves says where they are.
      place->begin = chunk_header_size;
      if (auto located =
              next_ == place->first ? chunks_->open_committed(*place) : chunks_->locate_committed(*place, next_);
          !located)
        return std::unexpected(located.error());
    }
    scanner_.emplace(place->file, place->begin, place->chunk_end);
  }
  auto bytes = scanner_->next();
  if (!bytes)
    return fail("ledger entry " + std::to_string(next_) + " cannot be read", bytes.error());
  if (!*bytes || entry_seqno(**bytes) != next_)
    return fail(ErrorCode::corrupt, "the ledger has another entry where " + std::to_string(next_) + " belongs");
  ++next_;
  return bytes;
}
}
