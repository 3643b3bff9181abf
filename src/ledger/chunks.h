#pragma once

#include "base/files.h"
#include "base/mutex.h"
#include "concordat/error.h"
#include "concordat/transaction.h"
#include "ledger/chunk_format.h"
#include "ledger/entry_scanner.h"
#include "ledger/secrets.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace concordat::ledger
{
/// Error::not_found for a ledger that holds less than was committed, naming the first entry that is missing.
/// @param why  more about it, or nothing
std::unexpected<Error> missing_entries(Seqno first, Seqno committed, const std::string& why);

struct ChunkLimits
{
  Seqno acknowledged = 0; ///< entries up to here are known to have been committed
  /// Whether a signature that says what was committed before it says that it was synced here. It does not on one of
  /// several nodes, which stores batches that the others have agreed on already.
  bool alone = true;
  std::uint64_t end_at_most = max_chunk_end; ///< another one than the format's is for tests
};

/// Append-only chunk files of one node's ledger (ledger-format.md §1).
///
/// Owned by one thread; `read` may be called from any thread for entries at or below the last one synced.
/// A torn tail (bytes after the last whole entry of the last file) is cut at open, and said in `opened()`. Only the
/// framing of entries is looked at: whether they are the right ones is for whoever holds the secret and the tree.
class ChunkFiles
{
public:
  struct Opened
  {
    std::uint64_t cut_bytes = 0;    ///< how much of a torn tail was cut
    std::string cut_file;           ///< of which file
    std::vector<std::string> notes; ///< what else was done on the directory, sentences for the log
  };

  /// Opens `directory`, creating it if missing. Handles names and states as ledger-format.md §1.4 says: `.recovery`
  /// files are set aside as `.ignored`, `.ignored` ones skipped; a completed but uncommitted chunk keeps its name. The
  /// bytes of uncommitted files are written to fresh files that are synced and renamed over them, so that what an
  /// earlier process wrote but failed to sync is on the disk, or refused, before anything is served.
  /// @param secrets tell whether what follows the last whole entry was acknowledged
  /// @return Error::corrupt naming file and offset when a committed chunk fails its check, or chunks do not follow
  ///         each other; `missing_entries` when less than `acknowledged` is there; nothing is changed then
  static Result<std::unique_ptr<ChunkFiles>>
  open(base::FileSystem& files, const base::Path& directory, const LedgerSecrets& secrets, ChunkLimits limits = {});

  const Opened& opened() const
  {
    return opened_;
  }
  Seqno last() const; ///< of the last entry appended; 0 if there is none
  /// Bytes of the entries since the end of the last completed chunk.
  std::uint64_t open_chunk_bytes() const;

  /// Appends the whole entries of a batch, the first of them with seqno last() + 1. An entry with `chunk_after`
  /// completes the chunk; so does a batch that would let it grow beyond what its positions can name, before it.
  /// On an error the files may hold a part of them: call `truncate(last())` before anything else.
  /// @return with nothing written: Error::invalid when these are not the entries that come next, Error::limit when no
  ///         chunk could hold them
  Result<void> append(const std::vector<std::string_view>& entries);
  /// Makes everything appended durable. After a failure only a new `open` tells what is there: all later calls fail.
  Result<void> sync();
  /// Cuts all entries after `seqno`, durably. @pre seqno ≥ the last committed
  Result<void> truncate(Seqno seqno);
  /// Renames completed chunks that end at or below `seqno` to `ledger_A-B.committed`.
  Result<void> commit(Seqno seqno);

  /// The bytes of one entry. Error::not_found outside 1 … last().
  Result<std::string> read(Seqno seqno) const;

  /// Streams entries from `from` to last(), for replay: whole entries, many to a call to the file. Not to be used after
  /// a `truncate` below what it has read.
  class Stream
  {
  public:
    /// The bytes of the next entry, valid until the next call; nothing at the end.
    Result<std::optional<std::string_view>> next();

  private:
    friend class ChunkFiles;
    const ChunkFiles* chunks_ = nullptr;
    Seqno next_ = 1;
    std::optional<EntryScanner> scanner_; ///< over the rest of the file that holds next_
  };
  Stream stream(Seqno from) const;

  /// True if the entry lies in a file that is named as committed.
  bool in_committed_file(Seqno seqno) const;

private:
  friend class ChunkOpener;

  struct Chunk
  {
    Seqno first = 1;
    Seqno last = 0; ///< first − 1 if empty
    std::string name;
    std::shared_ptr<base::File> file; ///< null once committed, then opened when needed
    bool complete = false;
    bool committed = false;
    bool unsynced = false;
    std::uint64_t end = 8;                ///< offset after the last entry
    std::vector<std::uint32_t> positions; ///< of the entries; dropped once committed, then read from the file
  };

  /// Where an entry lies, taken under the lock so that the file can be read without it.
  struct Place
  {
    std::shared_ptr<const base::File> file; ///< null for a committed one, until it is opened
    std::string name;
    Seqno first = 0; ///< of the file
    Seqno last = 0;  ///< of the file
    std::uint64_t begin = 0;
    std::uint64_t end = 0;       ///< of the entry
    std::uint64_t chunk_end = 0; ///< of all entries of the file
  };

  ChunkFiles(base::FileSystem& files, base::Path directory, std::uint64_t end_at_most);

  /// As the owner sees them: nobody else changes them, so that it needs no lock to look.
  const std::vector<Chunk>& chunks() const NO_THREAD_SAFETY_ANALYSIS
  {
    return chunks_;
  }
  /// Changes one of `chunks()`; readers see all of the change or nothing.
  template <typename Change> void change(const Chunk& chunk, const Change& change) EXCLUDES(mutex_)
  {
    const auto number = static_cast<std::size_t>(&chunk - chunks().data());
    const base::WriteLock lock(mutex_);
    change(chunks_[number]);
  }
  void add(Chunk chunk) EXCLUDES(mutex_);
  Result<void> usable() const;
  base::Path path(const std::string& name) const;
  Result<void> sync_file(const Chunk& chunk);
  Result<void> sync_directory();
  Result<void> begin_chunk(Seqno first);
  Result<void> write_entries(const Chunk& chunk, const std::string_view* entries, std::size_t count);
  Result<void> complete(const Chunk& chunk);
  Result<void> cut(const Chunk& chunk, Seqno last);
  Result<Place> find(Seqno seqno) const;
  Result<void> open_committed(Place& place) const;
  /// Opens the file and finds begin and end of the entry in its positions table.
  Result<void> locate_committed(Place& place, Seqno seqno) const;

  base::FileSystem& files_;
  base::Path directory_;
  const std::uint64_t end_at_most_;
  Opened opened_;
  std::atomic<Seqno> last_ = 0;
  bool unfinished_ = false;     ///< an append or truncate failed: files may hold more than chunks_ says
  bool unknown_ = false;        ///< a sync failed
  bool names_unsynced_ = false; ///< a file was created, renamed or removed since the last sync of the directory

  mutable base::SharedMutex mutex_;
  std::vector<Chunk> chunks_ GUARDED_BY(mutex_);

  mutable base::Mutex cache_mutex_;
  /// Committed files opened lately, the last used one last: a long ledger has more files than a process may open.
  mutable std::vector<std::pair<Seqno, std::shared_ptr<const base::File>>> cache_ GUARDED_BY(cache_mutex_);
};
}
