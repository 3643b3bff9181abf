#include "ledger/chunks.h"

#include "base/check.h"
#include "base/encoding.h"
#include "ledger/chunk_format.h"
#include "ledger/chunk_name.h"
#include "ledger/entry.h"

#include <algorithm>

namespace concordat::ledger
{
namespace
{
/// Entries of a batch are gathered up to this before they are written; longer ones are written as they are.
constexpr std::size_t gather_size = std::size_t{1} << 20;

bool has_flag(std::string_view entry, std::uint8_t flag)
{
  return (static_cast<unsigned char>(entry[1]) & flag) != 0;
}
}

std::unexpected<Error> missing_entries(Seqno first, Seqno committed, const std::string& why)
{
  return fail(
      ErrorCode::not_found, "the ledger lacks transaction " + std::to_string(first) +
                                " and all after it, which were committed, up to " + std::to_string(committed) +
                                " at least" + why);
}

ChunkFiles::ChunkFiles(base::FileSystem& files, base::Path directory, std::uint64_t end_at_most)
    : files_(files),
      directory_(std::move(directory)),
      end_at_most_(end_at_most)
{
}

Seqno ChunkFiles::last() const
{
  return last_.load(std::memory_order_acquire);
}

std::uint64_t ChunkFiles::open_chunk_bytes() const
{
  const base::ReadLock lock(mutex_);
  return chunks_.empty() || chunks_.back().complete ? 0 : chunks_.back().end - chunk_header_size;
}

void ChunkFiles::add(Chunk chunk)
{
  const base::WriteLock lock(mutex_);
  chunks_.push_back(std::move(chunk));
}

Result<void> ChunkFiles::usable() const
{
  if (unknown_)
    return fail(
        ErrorCode::io, "an earlier sync of '" + directory_ +
                           "' failed, so what is on the disk is unknown; restart the node, which reads it again");
  return {};
}

base::Path ChunkFiles::path(const std::string& name) const
{
  return base::join(directory_, name);
}

Result<void> ChunkFiles::sync_file(const Chunk& chunk)
{
  if (auto synced = chunk.file->sync(); !synced)
  {
    unknown_ = true;
    return synced;
  }
  return {};
}

Result<void> ChunkFiles::sync_directory()
{
  if (!names_unsynced_)
    return {};
  if (auto synced = files_.sync_directory(directory_); !synced)
  {
    unknown_ = true;
    return synced;
  }
  names_unsynced_ = false;
  return {};
}

Result<void> ChunkFiles::append(const std::vector<std::string_view>& entries)
{
  if (auto good = usable(); !good)
    return good;
  if (unfinished_)
    return fail(ErrorCode::invalid, "an earlier append to '" + directory_ + "' failed and was not truncated");
  auto next = last();
  std::uint64_t total = 0;
  for (const auto entry : entries)
  {
    const auto size = entry_size(entry);
    if (!size)
      return fail("entry " + std::to_string(next + 1) + " is not appended", size.error());
    if (*size != entry.size() || entry_seqno(entry) != next + 1)
      return fail(
          ErrorCode::invalid, "what is to be appended as entry " + std::to_string(next + 1) + " is not exactly that");
    ++next;
    total += *size;
  }
  if (total > end_at_most_ - chunk_header_size)
    return fail(
        ErrorCode::limit, "a batch of " + std::to_string(total) + " bytes is not appended: no ledger file can hold it");

  unfinished_ = true;
  // Positions are 32 bits wide. What lies before ends with a signature, so a chunk may end there.
  if (!chunks().empty() && !chunks().back().complete && total > end_at_most_ - chunks().back().end)
    if (auto completed = complete(chunks().back()); !completed)
      return completed;
  for (std::size_t begin = 0; begin < entries.size();)
  {
    if (!chunks().empty() && !chunks().back().complete && has_flag(entries[begin], chunk_before))
      if (auto completed = complete(chunks().back()); !completed)
        return completed;
    if (chunks().empty() || chunks().back().complete)
      if (auto begun = begin_chunk(entry_seqno(entries[begin])); !begun)
        return begun;

    auto end = begin + 1;
    while (end < entries.size() && !has_flag(entries[end - 1], chunk_after) && !has_flag(entries[end], chunk_before))
      ++end;
    if (auto written = write_entries(chunks().back(), &entries[begin], end - begin); !written)
      return written;
    if (has_flag(entries[end - 1], chunk_after))
      if (auto completed = complete(chunks().back()); !completed)
        return completed;
    begin = end;
  }
  unfinished_ = false;
  last_.store(next, std::memory_order_release);
  return {};
}

Result<void> ChunkFiles::begin_chunk(Seqno first)
{
  const auto name = ChunkName{first, std::nullopt, false, false}.to_string();
  names_unsynced_ = true;
  auto file = files_.open(path(name), base::OpenMode::create);
  if (!file)
    return fail("cannot begin the ledger file '" + name + "'", file.error());
  Chunk chunk;
  chunk.first = first;
  chunk.last = first - 1;
  chunk.name = name;
  chunk.file = std::move(*file);
  chunk.unsynced = true;
  add(std::move(chunk));
  return {};
}

Result<void> ChunkFiles::write_entries(const Chunk& chunk, const std::string_view* entries, std::size_t count)
{
  std::vector<std::uint32_t> positions;
  positions.reserve(count);
  auto end = chunk.end;
  for (std::size_t i = 0; i < count; ++i)
  {
    positions.push_back(static_cast<std::uint32_t>(end));
    end += entries[i].size();
  }
  CHECK(end <= end_at_most_, "the chunk before was ended in time, and the batch is not larger than one can be");

  // The header goes out with the first entries, so that a new file is never seen without it for long.
  std::string gathered;
  std::uint64_t at = chunk.end;
  if (chunk.positions.empty())
  {
    gathered.assign(chunk_header_size, '\0');
    at = 0;
  }
  change(chunk, [](Chunk& changed) { changed.unsynced = true; });
  const auto write = [&chunk, &at](std::string_view bytes) -> Result<void>
  {
    if (auto written = chunk.file->write_at(at, bytes); !written)
      return fail("cannot append to the ledger file '" + chunk.name + "'", written.error());
    at += bytes.size();
    return {};
  };
  for (std::size_t i = 0; i < count; ++i)
  {
    if (!gathered.empty() && gathered.size() + entries[i].size() > gather_size)
    {
      if (auto written = write(gathered); !written)
        return written;
      gathered.clear();
    }
    if (entries[i].size() < gather_size)
      gathered.append(entries[i]);
    else if (auto written = write(entries[i]); !written)
      return written;
  }
  if (!gathered.empty())
    if (auto written = write(gathered); !written)
      return written;

  change(
      chunk,
      [&](Chunk& changed)
      {
        changed.positions.insert(changed.positions.end(), positions.begin(), positions.end());
        changed.last += count;
        changed.end = end;
      });
  return {};
}

Result<void> ChunkFiles::complete(const Chunk& chunk)
{
  // In this order the header never points at a table that is not there, and the next file never outlives this one.
  change(chunk, [](Chunk& changed) { changed.unsynced = true; });
  if (auto written = chunk.file->write_at(chunk.end, positions_table(chunk.positions)); !written)
    return fail("cannot complete the ledger file '" + chunk.name + "'", written.error());
  if (auto synced = sync_file(chunk); !synced)
    return synced;
  if (auto written = chunk.file->write_at(0, chunk_header(chunk.end)); !written)
    return fail("cannot complete the ledger file '" + chunk.name + "'", written.error());
  if (auto synced = sync_file(chunk); !synced)
    return synced;
  if (auto synced = sync_directory(); !synced)
    return synced;
  change(
      chunk,
      [](Chunk& changed)
      {
        changed.complete = true;
        changed.unsynced = false;
      });
  return {};
}

Result<void> ChunkFiles::sync()
{
  if (auto good = usable(); !good)
    return good;
  for (auto chunk = chunks().rbegin(); chunk != chunks().rend() && !chunk->committed; ++chunk)
  {
    if (!chunk->unsynced)
      continue;
    if (auto synced = sync_file(*chunk); !synced)
      return synced;
    change(*chunk, [](Chunk& changed) { changed.unsynced = false; });
  }
  return sync_directory();
}

Result<void> ChunkFiles::truncate(Seqno seqno)
{
  if (auto good = usable(); !good)
    return good;
  // One removal after the other, the last file first: after a crash the files that are left still follow each other.
  while (!chunks().empty() && chunks().back().first > seqno)
  {
    CHECK(!chunks().back().committed, "what is committed is never cut");
    unfinished_ = true;
    names_unsynced_ = true;
    if (auto removed = files_.remove(path(chunks().back().name));
        !removed && removed.error().code != ErrorCode::not_found)
      return fail("cannot remove the ledger file '" + chunks().back().name + "'", removed.error());
    {
      const base::WriteLock lock(mutex_);
      chunks_.pop_back();
      last_.store(std::min(last(), seqno), std::memory_order_release);
    }
    if (auto synced = sync_directory(); !synced)
      return synced;
  }
  if (!chunks().empty())
  {
    const auto& chunk = chunks().back();
    if (chunk.last > seqno || (unfinished_ && !chunk.complete))
    {
      CHECK(!chunk.committed, "what is committed is never cut");
      unfinished_ = true;
      if (auto done = cut(chunk, std::min(seqno, chunk.last)); !done)
        return fail("cannot truncate the ledger file '" + chunk.name + "'", done.error());
    }
  }
  last_.store(std::min(last(), seqno), std::memory_order_release);
  unfinished_ = false;
  return {};
}

Result<void> ChunkFiles::cut(const Chunk& chunk, Seqno last)
{
  const auto kept = static_cast<std::size_t>(last + 1 - chunk.first);
  const std::uint64_t end = kept == chunk.positions.size() ? chunk.end : chunk.positions[kept];
  change(
      chunk,
      [&](Chunk& changed)
      {
        changed.positions.resize(kept);
        changed.end = end;
        changed.last = last;
        changed.complete = false;
        changed.unsynced = true;
        last_.store(std::min(this->last(), last), std::memory_order_release);
      });
  // The header is reset first: until the file is cut, its table is what a reader takes for a torn tail.
  if (auto written = chunk.file->write_at(0, chunk_header(0)); !written)
    return written;
  if (auto synced = sync_file(chunk); !synced)
    return synced;
  if (auto truncated = chunk.file->truncate(end); !truncated)
    return truncated;
  if (auto synced = sync_file(chunk); !synced)
    return synced;
  change(chunk, [](Chunk& changed) { changed.unsynced = false; });
  return {};
}

Result<void> ChunkFiles::commit(Seqno seqno)
{
  if (auto good = usable(); !good)
    return good;
  auto first = chunks().size();
  while (first > 0 && !chunks()[first - 1].committed)
    --first;
  for (auto at = first; at < chunks().size() && chunks()[at].complete && chunks()[at].last <= seqno; ++at)
  {
    const auto& chunk = chunks()[at];
    const auto name = ChunkName{chunk.first, chunk.last, true, false}.to_string();
    names_unsynced_ = true;
    if (auto renamed = files_.rename(path(chunk.name), path(name)); !renamed)
      return fail("cannot name the ledger file '" + chunk.name + "' as committed", renamed.error());
    change(
        chunk,
        [&](Chunk& changed)
        {
          changed.name = name;
          changed.committed = true;
          changed.file = nullptr;
          changed.positions = {};
        });
  }
  // The names last once the next batch does: a start takes a complete file under its old name as well.
  return {};
}
}
