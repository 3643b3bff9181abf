#include "ledger/entry_scanner.h"

#include "base/check.h"
#include "ledger/entry.h"

#include <algorithm>

namespace concordat::ledger
{
namespace
{
constexpr std::uint64_t read_size = std::uint64_t{1} << 20;
}

EntryScanner::EntryScanner(std::shared_ptr<const base::File> file, std::uint64_t from, std::uint64_t to)
    : file_(std::move(file)),
      offset_(from),
      end_(to),
      buffer_at_(from)
{
  CHECK(from <= to, "entries end after they begin");
}

Result<std::string_view> EntryScanner::peek(std::uint64_t size)
{
  CHECK(size <= end_ - offset_, "the caller asks only for what is there");
  const auto buffered = buffer_at_ + buffer_.size();
  if (offset_ < buffer_at_ || offset_ > buffered || size > buffered - offset_)
  {
    const auto wanted = std::min(end_ - offset_, std::max(size, read_size));
    auto bytes = file_->read_at(offset_, static_cast<std::size_t>(wanted));
    if (!bytes)
      return std::unexpected(bytes.error());
    if (bytes->size() < size)
      return fail(ErrorCode::corrupt, "the file ends at offset " + std::to_string(offset_ + bytes->size()));
    buffer_ = std::move(*bytes);
    buffer_at_ = offset_;
  }
  return std::string_view(buffer_).substr(
      static_cast<std::size_t>(offset_ - buffer_at_), static_cast<std::size_t>(size));
}

Result<std::optional<std::string_view>> EntryScanner::next()
{
  if (offset_ == end_)
    return std::optional<std::string_view>{};
  const auto header = peek(std::min<std::uint64_t>(entry_header_size, end_ - offset_));
  if (!header)
    return std::unexpected(header.error());
  const auto size = entry_size(*header);
  if (!size)
    return fail("offset " + std::to_string(offset_), size.error());
  if (*size > end_ - offset_)
    return fail(
        ErrorCode::corrupt, "offset " + std::to_string(offset_) + ": an entry of " + std::to_string(*size) +
                                " bytes does not fit into the " + std::to_string(end_ - offset_) + " that are left");
  const auto bytes = peek(*size);
  if (!bytes)
    return std::unexpected(bytes.error());
  offset_ += *size;
  return std::optional(*bytes);
}
}
