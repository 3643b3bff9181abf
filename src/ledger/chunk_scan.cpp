#include "ledger/chunk_scan.h"

#include "base/encoding.h"
#include "ledger/entry.h"
#include "ledger/entry_scanner.h"
#include "ledger/torn_tail.h"

#include <algorithm>

namespace concordat::ledger
{
namespace
{
constexpr std::uint64_t max_tail_size = std::uint64_t{1} << 30;

/// Why an entry cannot be the one that comes next in the file; empty if it can.
std::string unfit(const Result<Entry>& entry, Seqno seqno, bool first_in_file)
{
  if (!entry)
    return entry.error().describe();
  if (entry->is_snapshot || entry->txid.seqno != seqno)
    return "this is not entry " + std::to_string(seqno);
  if ((entry->flags & chunk_before) != 0 && !first_in_file)
    return "this entry must begin a file";
  return {};
}

Result<void> walk(ScannedChunk& found)
{
  EntryScanner scanner(found.file, chunk_header_size, std::min(found.size, max_chunk_end));
  while (!found.ends_chunk)
  {
    const auto at = scanner.offset();
    const auto bytes = scanner.next();
    if (!bytes && bytes.error().code != ErrorCode::corrupt)
      return std::unexpected(bytes.error());
    if (!bytes || !*bytes)
    {
      found.stopped_because = bytes ? "" : bytes.error().describe();
      return {};
    }
    const auto entry = parse_entry(**bytes);
    if (const auto why = unfit(entry, found.named.first + found.positions.size(), found.positions.empty());
        !why.empty())
    {
      found.stopped_because = "offset " + std::to_string(at) + ": " + why;
      return {};
    }
    found.positions.push_back(static_cast<std::uint32_t>(at));
    found.end = scanner.offset();
    found.ends_chunk = (entry->flags & chunk_after) != 0;
  }
  return {};
}

Result<void> check_table(ScannedChunk& found)
{
  const auto header = found.file->read_at(0, chunk_header_size);
  if (!header)
    return std::unexpected(header.error());
  // The header is written once all entries are on the disk, so no crash leaves it pointing behind the last whole one.
  // What points where no table can stand was never written: a crash left it in a file that was just begun.
  if (const auto table = base::Reader(*header).le<std::uint64_t>().value_or(0);
      table > found.end && table <= max_chunk_end)
    return fail(
        ErrorCode::corrupt, "it was completed, but now its entries end at " + std::to_string(found.end) +
                                (found.stopped_because.empty() ? "" : "; " + found.stopped_because));
  const auto expected = positions_table(found.positions);
  if (*header != chunk_header(found.end) || found.size - found.end != expected.size() || found.positions.empty())
    return {};
  const auto table = found.file->read_at(found.end, expected.size());
  if (!table)
    return std::unexpected(table.error());
  found.complete = *table == expected;
  return {};
}
}

Result<ScannedChunk>
scan_chunk(base::FileSystem& files, const base::Path& directory, const ChunkName& named, const std::string& name)
{
  const auto failed = [&](const Error& cause) { return fail("the ledger file '" + name + "'", cause); };
  ScannedChunk found;
  found.named = named;
  found.name = name;
  auto file = files.open(base::join(directory, name), base::OpenMode::read);
  if (!file)
    return failed(file.error());
  found.file = std::move(*file);
  const auto size = found.file->size();
  if (!size)
    return failed(size.error());
  found.size = *size;
  if (found.size <= chunk_header_size)
    return found;
  if (auto walked = walk(found); !walked)
    return failed(walked.error());
  if (auto checked = check_table(found); !checked)
    return failed(checked.error());
  // A crash may leave the table of a full chunk without the header that points at it.
  if (!found.complete && found.size > max_chunk_end + 4 * found.positions.size())
    return fail(ErrorCode::limit, "the ledger file '" + name + "' is larger than the 4 GiB that a chunk may have");
  return found;
}

Result<void> ScannedChunk::check_tail(const LedgerSecrets& secrets) const
{
  if (complete || size <= end)
    return {};
  const auto damaged = [&](Seqno broken, const std::string& what)
  {
    return fail(
        ErrorCode::corrupt, "ledger file '" + name + "': " + stopped_because + (stopped_because.empty() ? "" : "; ") +
                                "entry " + std::to_string(broken) + what);
  };
  // An entry that asks for the end of the chunk is the last one only if what follows can be the table: else it is the
  // entry that is damaged.
  const auto broken = ends_chunk ? last() : last() + 1;
  if (size - end > max_tail_size)
    return damaged(broken, " is followed by more than a batch can have");
  const auto tail = file->read_at(end, static_cast<std::size_t>(size - end));
  if (!tail)
    return fail("cannot read the ledger file '" + name + "'", tail.error());
  if (acknowledged_after(*tail, broken, secrets))
    return damaged(broken, " is damaged, and transactions after it were acknowledged");
  return {};
}
}
