#include "ledger/chunk_verifier.h"

#include "base/encoding.h"
#include "ledger/chunk_format.h"
#include "ledger/entry.h"
#include "ledger/entry_scanner.h"
#include "ledger/lost_signature.h"

namespace concordat::ledger
{
void ChunkVerifier::run(std::shared_ptr<const base::File> file)
{
  file_ = std::move(file);
  const auto named = ChunkName::parse(name_);
  if (!named->committed && is_just_begun())
    return findings_.oddity(name_, "the chunk was begun, but its header is not written yet");
  if (auto looked = look(); !looked)
    return complain(looked.error().describe());
  if (named->committed && table_ == 0)
    return complain("a committed file whose positions table was never written");
  auto end = table_ == 0 ? size_ : table_;
  if (end > max_chunk_end)
    return complain("entries beyond 4 GiB cannot be named by a positions table; this is not a ledger file");
  if (end < chunk_header_size || end > size_)
  {
    complain("offset 0: no positions table can stand at " + std::to_string(end));
    end = size_;
  }
  if (!read_entries(end))
    return;
  if (table_ != 0)
    check_end(*named);
}

void ChunkVerifier::complain(std::string text)
{
  findings_.error(name_, std::move(text));
}

/// Reads header and size as they were at one moment: a node may be completing the file meanwhile.
Result<void> ChunkVerifier::look()
{
  for (int attempt = 0; attempt < 3; ++attempt)
  {
    const auto before = header();
    const auto size = file_->size();
    const auto after = header();
    if (!before || !size || !after)
      return std::unexpected(!before ? before.error() : !size ? size.error() : after.error());
    table_ = *after;
    size_ = *size;
    if (*before == *after)
      break;
  }
  return {};
}

/// The header of a new file is zeros; a node may not have written all of them.
bool ChunkVerifier::is_just_begun() const
{
  const auto start = file_->read_at(0, chunk_header_size);
  return start && start->size() < chunk_header_size && start->find_first_not_of('\0') == std::string::npos;
}

Result<std::uint64_t> ChunkVerifier::header() const
{
  const auto bytes = file_->read_at(0, chunk_header_size);
  if (!bytes)
    return std::unexpected(bytes.error());
  const auto table = base::Reader(*bytes).le<std::uint64_t>();
  if (!table)
    return fail(ErrorCode::corrupt, "the file is shorter than its header");
  return *table;
}

bool ChunkVerifier::read_entries(std::uint64_t end)
{
  EntryScanner scanner(file_, chunk_header_size, end);
  positions_at_ = table_;
  while (true)
  {
    const auto at = scanner.offset();
    const auto bytes = scanner.next();
    if (!bytes)
    {
      if (grew())
      {
        scanner = EntryScanner(file_, at, size_);
        continue;
      }
      if (!is_being_completed(at))
        judge_rest(at, bytes.error().describe());
      return false;
    }
    if (!*bytes)
      return true;
    const auto entry = parse_entry(**bytes);
    const auto place = "offset " + std::to_string(at) + ": ";
    if (!entry)
    {
      judge_rest(at, place + entry.error().describe());
      return false;
    }
    if (entry->is_snapshot || entry->txid.seqno != check_.next())
    {
      judge_rest(
          at, place + "transaction " + entry->txid.to_string() + " stands where seqno " +
                  std::to_string(check_.next()) + " belongs");
      return false;
    }
    compare_position(at);
    check_.add(*entry, count_ == 0);
    ++count_;
  }
}

/// From here on the bytes are no entries. In the file that was being written last that is what a kill leaves of a
/// batch, unless a signature of the service shows that there was more: what is signed may not be missing.
void ChunkVerifier::judge_rest(std::uint64_t at, const std::string& why)
{
  if (!is_last_ || table_ != 0 || !check_.service())
    return complain(why);
  const auto remains = look_for_signature(*file_, at, size_, *check_.service(), check_.root());
  if (!remains)
    return complain(remains.error().describe());
  if (*remains == Remains::signature_beyond)
    return complain(why + "; a signature of the service further on shows that signed entries are damaged");
  findings_.note(
      name_, "it ends in " + std::to_string(size_ - at) +
                 " bytes that are no whole transaction and that nothing "
                 "signs, as when a node is killed: " +
                 why);
}

/// A node was in the middle of writing a batch to the open chunk, and has got further.
bool ChunkVerifier::grew()
{
  if (table_ != 0)
    return false;
  const auto size = file_->size();
  if (!size || *size <= size_ || *size > max_chunk_end)
    return false;
  size_ = *size;
  return true;
}

/// All that follows the entries is their positions table, which is written before the header: a node is at it, or was
/// when it stopped. Nothing is missing then.
bool ChunkVerifier::is_being_completed(std::uint64_t at)
{
  if (table_ != 0 || count_ == 0)
    return false;
  const auto rest = file_->read_at(at, static_cast<std::size_t>(size_ - at));
  if (!rest || *rest != positions_table(positions_so_far_))
    return false;
  findings_.oddity(name_, "the chunk has its positions table, but its header does not say so yet");
  return true;
}

/// The table is read along with the entries, a block at a time.
void ChunkVerifier::compare_position(std::uint64_t at)
{
  if (table_ == 0)
    positions_so_far_.push_back(static_cast<std::uint32_t>(at));
  if (table_ == 0 || table_differs_)
    return;
  constexpr std::size_t block = std::size_t{64} << 10;
  if (positions_.empty())
  {
    auto bytes = file_->read_at(positions_at_, block);
    if (!bytes)
      return complain(bytes.error().describe());
    positions_buffer_ = std::move(*bytes);
    positions_at_ += positions_buffer_.size();
    positions_ = positions_buffer_;
  }
  base::Reader reader(positions_);
  const auto position = reader.le<std::uint32_t>();
  table_differs_ = !position || *position != at;
  positions_ = reader.rest();
}

void ChunkVerifier::check_end(const ChunkName& named)
{
  if (table_differs_ || size_ < table_ || size_ - table_ != 4 * count_)
    complain("the positions table differs from the entries");
  if (count_ == 0)
    return complain("a complete chunk without entries");
  if (named.last && *named.last != check_.next() - 1)
    complain("it ends at " + std::to_string(check_.next() - 1));
  if (!check_.last_was_signature())
    complain("a complete chunk does not end in a signature");
}
}
