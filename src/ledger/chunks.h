#pragma once

#include "base/files.h"
#include "concordat/error.h"
#include "concordat/transaction.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::ledger
{
/// Append-only chunk files of one node's ledger (ledger-format.md §1).
///
/// Owned by one thread; `read` may be called from any thread for entries at or below the last one synced.
/// A torn tail (bytes after the last whole entry of the last file) is cut at open, and said in `opened()`.
class ChunkFiles
{
public:
  struct Opened
  {
    std::uint64_t cut_bytes = 0;  ///< how much of a torn tail was cut
    std::string cut_file;         ///< of which file
    std::vector<std::string> notes;  ///< what else was done on the directory, sentences for the log
  };

  /// Opens `directory`, creating it if missing. Handles names and states as ledger-format.md §1.4 says: `.recovery`
  /// and `.ignored` files are skipped; a completed but uncommitted chunk keeps its name. The bytes of the last,
  /// uncommitted file are written to a fresh file that is synced and renamed over it, so that what an earlier process
  /// wrote but failed to sync is on the disk, or refused, before anything is served.
  /// @return Error::corrupt naming file and offset when a committed chunk fails its check, or chunks do not follow
  ///         each other; nothing is changed then
  static Result<std::unique_ptr<ChunkFiles>> open(base::FileSystem& files, const base::Path& directory);

  const Opened& opened() const
  {
    return opened_;
  }
  Seqno last() const;  ///< of the last entry appended; 0 if there is none
  /// Bytes of the entries since the end of the last completed chunk.
  std::uint64_t open_chunk_bytes() const;

  /// Appends whole entries, the first of them with seqno last() + 1. An entry with `chunk_after` completes the chunk.
  /// On an error the files may hold a part of them: call `truncate(last())` before anything else.
  Result<void> append(const std::vector<std::string_view>& entries);
  /// Makes everything appended durable. After a failure only a new `open` tells what is there.
  Result<void> sync();
  /// Cuts all entries after `seqno`, durably. @pre seqno ≥ the last committed
  Result<void> truncate(Seqno seqno);
  /// Renames completed chunks that end at or below `seqno` to `ledger_A-B.committed`.
  Result<void> commit(Seqno seqno);

  /// The bytes of one entry. Error::not_found outside 1 … last().
  Result<std::string> read(Seqno seqno) const;

  /// Streams entries from `from` to last(), for replay: whole entries, many to a call.
  class Stream
  {
  public:
    /// The bytes of the next entry, valid until the next call; nothing at the end.
    Result<std::optional<std::string_view>> next();

  private:
    friend class ChunkFiles;
    const ChunkFiles* chunks_ = nullptr;
    Seqno next_ = 1;
    std::size_t chunk_ = 0;
    std::uint64_t offset_ = 0;
    std::string buffer_;
    std::size_t at_ = 0;
  };
  Stream stream(Seqno from) const;

  /// True if the entry lies in a file that is named as committed.
  bool in_committed_file(Seqno seqno) const;

private:
  struct Chunk
  {
    Seqno first = 1;
    Seqno last = 0;  ///< first − 1 if empty
    std::string name;
    std::shared_ptr<base::File> file;
    bool complete = false;
    bool committed = false;
    std::uint64_t end = 8;  ///< offset after the last entry
    std::vector<std::uint32_t> positions;  ///< of the entries; dropped once committed, then read from the file
  };

  ChunkFiles(base::FileSystem& files, base::Path directory);

  base::FileSystem& files_;
  base::Path directory_;
  Opened opened_;
  mutable std::shared_mutex mutex_;  ///< guards chunks_ against `read`
  std::vector<Chunk> chunks_;
};
}
