#pragma once

#include "intake/problem.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace concordat::intake
{
/// So much text is taken, unpacked, in one submission.
inline constexpr std::uint64_t max_input_size = std::uint64_t{8} << 30;

/// Bytes that do not change while they are looked at, whatever happens to the file that they came from. Small ones lie
/// in memory, large ones in a temporary file without a name (mode 0600, in TMPDIR or /tmp), mapped.
class InputBytes
{
public:
  InputBytes() = default;
  InputBytes(std::shared_ptr<const void> owner, std::string_view view) : owner_(std::move(owner)), view_(view) {}
  std::string_view view() const
  {
    return view_;
  }

private:
  std::shared_ptr<const void> owner_;
  std::string_view view_;
};

/// Collects bytes. Used by one thread.
class Spool
{
public:
  explicit Spool(std::uint64_t limit = max_input_size, std::size_t in_memory = 64 << 20)
      : limit_(limit),
        in_memory_(in_memory)
  {
  }
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  Attempt<void> append(std::string_view bytes);
  std::uint64_t size() const
  {
    return size_;
  }
  /// The first bytes, at least 64 KiB where there are so many.
  const std::string& head() const
  {
    return head_;
  }
  Attempt<InputBytes> finish();

private:
  Attempt<void> write_out(std::string_view bytes);

  std::uint64_t limit_;
  std::size_t in_memory_;
  std::string memory_;
  std::string head_;
  std::uint64_t size_ = 0;
  int file_ = -1;
};

/// Reads a file, pipe, FIFO, device or standard input (`-`) to its end, and unpacks gzip and zstd. What is no text of
/// records (a workbook, a PDF, an archive) is refused by its beginning, before the rest is read.
Attempt<InputBytes> read_input(const std::string& path);
}
