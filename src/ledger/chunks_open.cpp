#include "base/check.h"
#include "base/encoding.h"
#include "ledger/chunk_format.h"
#include "ledger/chunk_name.h"
#include "ledger/chunk_scan.h"
#include "ledger/chunks.h"
#include "ledger/entry.h"

#include <algorithm>

namespace concordat::ledger
{
namespace
{
/// What a file is called while it is written again. Every reader skips it if a crash leaves it behind.
constexpr std::string_view rewrite_suffix = ".rewrite.ignored";
constexpr std::uint64_t copy_size = std::uint64_t{4} << 20;

std::unexpected<Error> corrupt(const std::string& name, const std::string& what)
{
  return fail(ErrorCode::corrupt, "ledger file '" + name + "': " + what);
}
}

/// Looks at a ledger directory, decides what to do about each file, and only then changes anything.
class ChunkOpener
{
public:
  ChunkOpener(
      base::FileSystem& files, const base::Path& directory, const LedgerSecrets& secrets, const ChunkLimits& limits,
      ChunkFiles& into)
      : files_(files),
        directory_(directory),
        secrets_(secrets),
        acknowledged_(limits.acknowledged),
        alone_(limits.alone),
        into_(into)
  {
  }

  Result<void> run()
  {
    if (!files_.exists(directory_))
    {
      if (auto made = files_.make_directory(directory_); !made)
        return made;
      if (auto synced = files_.sync_directory(base::parent(directory_)); !synced)
        return synced;
    }
    if (auto listed = list(); !listed)
      return listed;
    if (auto checked = check_committed(); !checked)
      return checked;
    if (auto checked = check_uncommitted(); !checked)
      return checked;
    if (auto checked = check_reach(); !checked)
      return checked;
    return change();
  }

private:
  Result<void> list()
  {
    const auto names = files_.list(directory_);
    if (!names)
      return std::unexpected(names.error());
    for (const auto& name : *names)
    {
      if (!name.starts_with("ledger_"))
        continue;
      if (name.ends_with(rewrite_suffix))
        leftovers_.push_back(name);
      if (is_ignored_name(name))
        continue;
      const auto parsed = ChunkName::parse(name);
      if (!parsed)
        note("'" + name + "' is not the name of a ledger file and was left alone");
      else if (parsed->recovery)
        set_aside_.push_back(name);
      else if (parsed->committed)
        committed_.emplace_back(*parsed, name);
      else
        uncommitted_.emplace_back(*parsed, name);
    }
    const auto by_first = [](const auto& a, const auto& b) { return a.first.first < b.first.first; };
    std::ranges::sort(committed_, by_first);
    std::ranges::sort(uncommitted_, by_first);
    return {};
  }

  Result<void> check_committed()
  {
    for (const auto& [named, name] : committed_)
    {
      if (named.first != next_)
        return corrupt(
            name, "transaction " + std::to_string(next_) + " is expected here; a file is missing or doubled");
      auto chunk = check_committed(named, name);
      if (!chunk)
        return std::unexpected(chunk.error());
      into_.add(std::move(*chunk));
      next_ = *named.last + 1;
    }
    return {};
  }

  /// Header, shape of the positions table, and its first and last value; entries are verified when they are replayed.
  Result<ChunkFiles::Chunk> check_committed(const ChunkName& named, const std::string& name)
  {
    const auto file = files_.open(base::join(directory_, name), base::OpenMode::read);
    if (!file)
      return fail("cannot open the ledger file '" + name + "'", file.error());
    const auto size = (*file)->size();
    const auto header = (*file)->read_at(0, chunk_header_size);
    if (!size || !header)
      return std::unexpected(!size ? size.error() : header.error());
    const auto table = base::Reader(*header).le<std::uint64_t>().value_or(0);
    if (table == 0)
      return corrupt(name, "offset 0: it is named as committed but was never completed");
    if (table < chunk_header_size + min_entry_size || table > max_chunk_end || table > *size)
      return corrupt(name, "offset 0: no positions table can stand at " + std::to_string(table));
    const auto count = *named.last - named.first + 1;
    if (*size - table != 4 * count || count > *size)
      return corrupt(
          name, "offset " + std::to_string(table) + ": the positions table has " + std::to_string(*size - table) +
                    " bytes where " + std::to_string(count) + " entries need four each");

    const auto first = (*file)->read_at(table, 4);
    const auto last = (*file)->read_at(table + 4 * (count - 1), 4);
    if (!first || !last)
      return std::unexpected(!first ? first.error() : last.error());
    if (base::Reader(*first).le<std::uint32_t>().value_or(0) != chunk_header_size)
      return corrupt(name, "offset " + std::to_string(table) + ": the first entry does not start at 8");
    const std::uint64_t last_at = base::Reader(*last).le<std::uint32_t>().value_or(0);
    if (last_at < chunk_header_size || last_at > table - min_entry_size)
      return corrupt(name, "the positions table places the last entry at offset " + std::to_string(last_at));
    const auto head = (*file)->read_at(last_at, min_entry_size);
    if (!head)
      return std::unexpected(head.error());
    const auto last_size = entry_size(*head);
    if (!last_size || *last_size != table - last_at || entry_seqno(*head) != *named.last)
      return corrupt(
          name, "offset " + std::to_string(last_at) + ": this is not entry " + std::to_string(*named.last) +
                    ", which the name says is the last");

    ChunkFiles::Chunk chunk;
    chunk.first = named.first;
    chunk.last = *named.last;
    chunk.name = name;
    chunk.complete = true;
    chunk.committed = true;
    chunk.end = table;
    return chunk;
  }

  Result<void> check_uncommitted()
  {
    const auto committed_last = next_ - 1;
    for (const auto& [named, name] : uncommitted_)
    {
      auto scanned = scan_chunk(files_, directory_, named, name);
      if (!scanned)
        return std::unexpected(scanned.error());
      const bool is_last = &name == &uncommitted_.back().second;
      if (named.first <= committed_last)
      {
        if (scanned->last() > committed_last)
          return corrupt(
              name, "it holds entries up to " + std::to_string(scanned->last()) +
                        ", committed files other ones up to " + std::to_string(committed_last));
        set_aside_.push_back(name);
        continue;
      }
      if (named.first != next_)
        return corrupt(
            name, "transaction " + std::to_string(next_) + " is expected here; a file is missing, doubled or damaged" +
                      (kept_.empty() ? "" : ", see '" + kept_.back().name + "' " + kept_.back().stopped_because));
      if (named.last && scanned->last() != *named.last && !is_last)
        return corrupt(name, "its last whole entry is " + std::to_string(scanned->last()));
      if (scanned->positions.empty() && !is_last)
        return corrupt(name, "it holds no whole entry, but other files follow");
      next_ = scanned->last() + 1;
      if (auto torn = alone_ ? scanned->check_tail(secrets_) : Result<void>{}; !torn)
        return torn;
      kept_.push_back(std::move(*scanned));
    }
    return {};
  }

  /// Before anything is changed: a tail that is torn but was acknowledged must stay for whoever looks into it.
  Result<void> check_reach() const
  {
    if (next_ > acknowledged_)
      return {};
    std::string why;
    if (!kept_.empty() && !kept_.back().stopped_because.empty())
      why = "; '" + kept_.back().name + "' ends early: " + kept_.back().stopped_because;
    return missing_entries(next_, acknowledged_, why);
  }

  Result<void> change()
  {
    for (const auto& name : leftovers_)
      if (auto removed = files_.remove(base::join(directory_, name)); !removed)
        return removed;
    for (const auto& name : set_aside_)
    {
      if (auto renamed = files_.rename(base::join(directory_, name), base::join(directory_, name + ".ignored"));
          !renamed)
        return renamed;
      note("'" + name + "' was set aside as '" + name + ".ignored'");
    }
    for (auto& scanned : kept_)
      if (auto taken = take(scanned, &scanned == &kept_.back()); !taken)
        return taken;
    if (auto synced = files_.sync_directory(directory_); !synced)
      return synced;
    into_.last_ = next_ - 1;
    return {};
  }

  Result<void> take(ScannedChunk& scanned, bool is_last)
  {
    // A chunk that another one follows was completed, or the other would not have been begun.
    const bool complete = scanned.complete || scanned.ends_chunk || !is_last;
    const auto useful = scanned.end + (scanned.complete ? 4 * scanned.positions.size() : 0);
    if (scanned.complete != complete)
      note(
          "'" + scanned.name + "' was completed: its last entry ends the chunk, but its positions table was not whole");
    else if (scanned.size > useful)
    {
      into_.opened_.cut_bytes = scanned.size - useful;
      into_.opened_.cut_file = scanned.name;
    }
    if (scanned.positions.empty())
    {
      note("'" + scanned.name + "' held no whole entry and was removed");
      return files_.remove(base::join(directory_, scanned.name));
    }

    // A range in the name of a file that may still be cut would become a lie.
    if (const auto plain = ChunkName{scanned.named.first, std::nullopt, false, false}.to_string();
        plain != scanned.name)
    {
      if (auto renamed = files_.rename(base::join(directory_, scanned.name), base::join(directory_, plain)); !renamed)
        return renamed;
      note("'" + scanned.name + "' is not committed and was renamed to '" + plain + "'");
      scanned.name = plain;
    }

    ChunkFiles::Chunk chunk;
    chunk.first = scanned.named.first;
    chunk.last = scanned.last();
    chunk.name = scanned.name;
    chunk.complete = complete;
    chunk.end = scanned.end;
    if (auto written = write_again(scanned, complete); !written)
      return fail("cannot write the ledger file '" + scanned.name + "' again", written.error());
    auto file = files_.open(base::join(directory_, scanned.name), base::OpenMode::read_write);
    if (!file)
      return std::unexpected(file.error());
    chunk.file = std::move(*file);
    chunk.positions = std::move(scanned.positions);
    into_.add(std::move(chunk));
    return {};
  }

  Result<void> write_again(const ScannedChunk& scanned, bool complete)
  {
    const auto path = base::join(directory_, scanned.name);
    const auto temporary = path + std::string(rewrite_suffix);
    {
      const auto file = files_.open(temporary, base::OpenMode::create);
      if (!file)
        return std::unexpected(file.error());
      if (auto written = (*file)->write_at(0, chunk_header(complete ? scanned.end : 0)); !written)
        return written;
      for (auto at = chunk_header_size; at < scanned.end;)
      {
        const auto bytes = scanned.file->read_at(at, static_cast<std::size_t>(std::min(copy_size, scanned.end - at)));
        if (!bytes)
          return std::unexpected(bytes.error());
        if (bytes->empty())
          return corrupt(scanned.name, "it became shorter while it was read");
        if (auto written = (*file)->write_at(at, *bytes); !written)
          return written;
        at += bytes->size();
      }
      if (complete)
        if (auto written = (*file)->write_at(scanned.end, positions_table(scanned.positions)); !written)
          return written;
      if (auto synced = (*file)->sync(); !synced)
        return synced;
    }
    return files_.rename(temporary, path);
  }

  void note(std::string text)
  {
    into_.opened_.notes.push_back(std::move(text));
  }

  base::FileSystem& files_;
  const base::Path& directory_;
  const LedgerSecrets& secrets_;
  const Seqno acknowledged_;
  const bool alone_;
  ChunkFiles& into_;
  std::vector<std::string> leftovers_;
  std::vector<std::string> set_aside_;
  std::vector<std::pair<ChunkName, std::string>> committed_;
  std::vector<std::pair<ChunkName, std::string>> uncommitted_;
  std::vector<ScannedChunk> kept_;
  Seqno next_ = 1;
};

Result<std::unique_ptr<ChunkFiles>>
ChunkFiles::open(base::FileSystem& files, const base::Path& directory, const LedgerSecrets& secrets, ChunkLimits limits)
{
  std::unique_ptr<ChunkFiles> chunks(new ChunkFiles(files, directory, limits.end_at_most));
  if (auto opened = ChunkOpener(files, directory, secrets, limits, *chunks).run(); !opened)
    return fail("cannot open the ledger in '" + directory + "'", opened.error());
  return chunks;
}
}
