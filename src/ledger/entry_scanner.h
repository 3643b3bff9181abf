#pragma once

#include "base/files.h"
#include "concordat/error.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::ledger
{
/// Walks the entries of a chunk file in order with large reads, holding one buffer of at least 1 MiB, or of the size of
/// a larger entry. Looks at entry headers only. Used by one thread.
class EntryScanner
{
public:
  /// @param from offset of the first entry, `to` where the entries end; both within the file
  EntryScanner(std::shared_ptr<const base::File> file, std::uint64_t from, std::uint64_t to);

  /// The bytes of the next entry, valid until the next call; nothing at the end.
  /// @return Error::corrupt when no whole entry stands at `offset()`; other errors are the file's
  Result<std::optional<std::string_view>> next();

  /// Where the next entry starts.
  std::uint64_t offset() const
  {
    return offset_;
  }
  std::uint64_t end() const
  {
    return end_;
  }
  /// The `size` bytes at `offset()`. @pre they lie before `end()`
  Result<std::string_view> peek(std::uint64_t size);
  /// Moves on without looking. @pre `size` bytes lie before `end()`
  void skip(std::uint64_t size)
  {
    offset_ += size;
  }

private:
  std::shared_ptr<const base::File> file_;
  std::uint64_t offset_;
  std::uint64_t end_;
  std::string buffer_;
  std::uint64_t buffer_at_; ///< offset in the file of the first byte of buffer_
};
}
