#pragma once

#include "base/files.h"
#include "concordat/error.h"
#include "ledger/chunk_format.h"
#include "ledger/chunk_name.h"
#include "ledger/secrets.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace concordat::ledger
{
/// What stands in a file that is not named as committed.
struct ScannedChunk
{
  ChunkName named;
  std::string name;
  std::shared_ptr<const base::File> file;
  std::uint64_t size = 0;
  std::uint64_t end = chunk_header_size; ///< offset after the last whole entry
  std::vector<std::uint32_t> positions;
  bool complete = false;       ///< header and table are right
  bool ends_chunk = false;     ///< the last entry asks for the end of the chunk
  std::string stopped_because; ///< why what follows `end` is no entry

  Seqno last() const
  {
    return named.first + positions.size() - 1;
  }

  /// What follows the last whole entry may be cut only if it was never acknowledged; Error::corrupt otherwise.
  /// @param secrets of the ledger
  Result<void> check_tail(const LedgerSecrets& secrets) const;
};

/// Walks the entries of an uncommitted chunk file.
/// @return Error::limit for a file that no chunk can be; other errors are the file's
Result<ScannedChunk>
scan_chunk(base::FileSystem& files, const base::Path& directory, const ChunkName& named, const std::string& name);
}
