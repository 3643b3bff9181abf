#include "ledger/verifier.h"

#include "base/encoding.h"
#include "crypto/certificate.h"
#include "ledger/chunk_format.h"
#include "ledger/chunk_name.h"
#include "ledger/entry.h"
#include "ledger/entry_scanner.h"
#include "ledger/ledger_check.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace concordat::ledger
{
namespace
{
struct ChunkFile
{
  base::Path directory;
  std::string name;
};

/// Files to read, by the seqno that their names begin with. Of several for one seqno the longest name is taken, which
/// is the one that says more: `ledger_1-10.committed` before `ledger_1`.
std::map<Seqno, ChunkFile> list_chunks(
    base::FileSystem& files, const std::vector<base::Path>& directories, const VerifyOptions& options,
    Findings& findings)
{
  std::map<Seqno, ChunkFile> found;
  for (const auto& directory : directories)
  {
    const auto names = files.list(directory);
    if (!names)
    {
      findings.error(directory, names.error().describe());
      continue;
    }
    for (const auto& name : *names)
    {
      constexpr std::string_view prefix = "ledger_";
      if (!name.starts_with(prefix) || is_ignored_name(name) || (!options.recovery && name.ends_with(".recovery")) ||
          (options.committed_only && name.find(".committed") == std::string::npos))
        continue;
      const auto parsed = ChunkName::parse(name);
      if (!parsed)
      {
        findings.error(name, "this file name is not understood");
        continue;
      }
      auto& chosen = found[parsed->first];
      if (name.size() > chosen.name.size())
        chosen = {directory, name};
    }
  }
  return found;
}

/// Reads one chunk file and hands its transactions to the check.
class ChunkVerifier
{
public:
  ChunkVerifier(const std::string& name, LedgerCheck& check, Findings& findings)
      : name_(name),
        check_(check),
        findings_(findings)
  {
  }

  void run(std::shared_ptr<const base::File> file)
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

private:
  void complain(std::string text)
  {
    findings_.error(name_, std::move(text));
  }

  /// Reads header and size as they were at one moment: a node may be completing the file meanwhile.
  Result<void> look()
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
  bool is_just_begun() const
  {
    const auto start = file_->read_at(0, chunk_header_size);
    return start && start->size() < chunk_header_size && start->find_first_not_of('\0') == std::string::npos;
  }

  Result<std::uint64_t> header() const
  {
    const auto bytes = file_->read_at(0, chunk_header_size);
    if (!bytes)
      return std::unexpected(bytes.error());
    const auto table = base::Reader(*bytes).le<std::uint64_t>();
    if (!table)
      return fail(ErrorCode::corrupt, "the file is shorter than its header");
    return *table;
  }

  bool read_entries(std::uint64_t end)
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
          complain(bytes.error().describe());
        return false;
      }
      if (!*bytes)
        return true;
      const auto entry = parse_entry(**bytes);
      const auto place = "offset " + std::to_string(at) + ": ";
      if (!entry)
      {
        complain(place + entry.error().describe());
        return false;
      }
      if (entry->is_snapshot || entry->txid.seqno != check_.next())
      {
        complain(
            place + "transaction " + entry->txid.to_string() + " stands where seqno " + std::to_string(check_.next()) +
            " belongs");
        return false;
      }
      compare_position(at);
      check_.add(*entry, count_ == 0);
      ++count_;
    }
  }

  /// A node was in the middle of writing a batch to the open chunk, and has got further.
  bool grew()
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
  bool is_being_completed(std::uint64_t at)
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
  void compare_position(std::uint64_t at)
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

  void check_end(const ChunkName& named)
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

  const std::string& name_;
  LedgerCheck& check_;
  Findings& findings_;
  std::shared_ptr<const base::File> file_;
  std::uint64_t size_ = 0;
  std::uint64_t table_ = 0;
  std::uint64_t count_ = 0;
  bool table_differs_ = false;
  std::string positions_buffer_;
  std::string_view positions_;
  std::uint64_t positions_at_ = 0;
  std::vector<std::uint32_t> positions_so_far_; ///< only of an incomplete chunk
};

void compare_identity(const LedgerCheck& check, const std::string& pem, Findings& findings)
{
  const auto given = crypto::Certificate::from_pem(pem);
  if (!given)
    return findings.error("service", "the certificate given cannot be read: " + given.error().describe());
  const auto found = crypto::Certificate::from_pem(check.service_certificate());
  if (!found || found->der() != given->der())
    findings.error("service", "the identity in the ledger is not the certificate given");
}
}

bool VerifyReport::ok() const
{
  return std::ranges::all_of(findings, &Finding::is_note);
}

VerifyReport verify_ledger(
    base::FileSystem& files, const std::vector<base::Path>& directories, const VerifyOptions& options,
    const std::function<void(const ShownTransaction&)>& on_transaction)
{
  VerifyReport report;
  VerifyReport discarded;
  Findings findings(report, options.strict);
  LedgerCheck check(report, findings, on_transaction);
  const auto chunks = list_chunks(files, directories, options, findings);
  if (chunks.empty())
    findings.error("ledger", "there are no ledger files to verify");
  for (const auto& [first, chunk] : chunks)
  {
    if (first != check.next())
    {
      findings.error(
          chunk.name, "it does not continue the files before it, which end at " + std::to_string(check.next() - 1) +
                          "; nothing from here on can be verified");
      break;
    }
    ++report.chunks;
    auto now = chunk;
    auto file = files.open(base::join(now.directory, now.name), base::OpenMode::read);
    if (!file && file.error().code == ErrorCode::not_found)
    {
      // A node that runs has named it as committed since the directory was listed.
      Findings unheard(discarded, false);
      const auto listed = list_chunks(files, directories, options, unheard);
      if (const auto found = listed.find(first); found != listed.end())
        now = found->second;
      file = files.open(base::join(now.directory, now.name), base::OpenMode::read);
    }
    if (!file)
    {
      findings.error(now.name, file.error().describe());
      continue;
    }
    ChunkVerifier(now.name, check, findings).run(std::move(*file));
  }
  if (options.service_certificate_pem)
    compare_identity(check, *options.service_certificate_pem, findings);
  return report;
}
}
