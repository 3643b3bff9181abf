#include "ledger/verifier.h"

#include "crypto/certificate.h"
#include "ledger/chunk_name.h"
#include "ledger/chunk_verifier.h"
#include "ledger/ledger_check.h"

#include <algorithm>
#include <map>

namespace concordat::ledger
{
namespace
{
struct ChunkFile
{
  base::Path directory;
  std::string name;
  bool committed = false;
};

/// A committed file is never changed, so there can be two of one name only if they are equal: copies in two
/// directories.
bool is_same(base::FileSystem& files, const ChunkFile& one, const ChunkFile& other)
{
  if (one.name != other.name)
    return false;
  const auto first = files.open(base::join(one.directory, one.name), base::OpenMode::read);
  const auto second = files.open(base::join(other.directory, other.name), base::OpenMode::read);
  constexpr std::size_t block = std::size_t{1} << 20;
  for (std::uint64_t at = 0; first && second; at += block)
  {
    const auto left = (*first)->read_at(at, block);
    const auto right = (*second)->read_at(at, block);
    if (!left || !right || *left != *right)
      return false;
    if (left->size() < block)
      return true;
  }
  return false;
}

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
      if (chosen.committed && parsed->committed && !is_same(files, chosen, {directory, name, true}))
        findings.error(
            name,
            "it begins where '" + chosen.name + "' begins and is not the same file; one of them is not of this ledger");
      if (name.size() > chosen.name.size())
        chosen = {directory, name, parsed->committed};
    }
  }
  return found;
}

/// Says what the verdict does not reach.
void judge_end(const LedgerCheck& check, bool given, VerifyReport& report, Findings& findings)
{
  report.verdict = check.verdict().verdict();
  if (const auto& other = check.verdict().signed_by_another())
    findings.error(
        other->to_string(), "signed by another service than that of the certificate given, which says nothing of what "
                            "follows its own last signature");
  if (!report.verdict)
    return findings.error(
        "ledger",
        given ? "nothing in it is signed by the service of the certificate given" : "nothing in it is signed");
  const auto& verdict = *report.verdict;
  if (report.last && report.last->seqno > verdict.signed_up_to.seqno && !check.verdict().signed_by_another())
    findings.oddity(
        TxId{report.last->view, verdict.signed_up_to.seqno + 1}.to_string(),
        "from here to " + report.last->to_string() +
            " no signature covers the transactions: anybody may have written them");
  const auto& named = verdict.services.back().cert;
  if (given && named.der() != verdict.service.der())
    findings.note("service", "the ledger holds another certificate for the same key as the certificate given");
}
}

bool VerifyReport::ok() const
{
  return verdict && std::ranges::all_of(findings, &Finding::is_note);
}

VerifyReport verify_ledger(
    base::FileSystem& files, const std::vector<base::Path>& directories, const VerifyOptions& options,
    const std::function<void(const ShownTransaction&)>& on_transaction)
{
  VerifyReport report;
  VerifyReport discarded;
  Findings findings(report, options.strict);
  std::optional<crypto::Certificate> given;
  if (options.service_certificate_pem)
  {
    auto read = crypto::Certificate::from_pem(*options.service_certificate_pem);
    if (!read)
    {
      findings.error("service", "the certificate given cannot be read: " + read.error().describe());
      return report;
    }
    given = std::move(*read);
  }
  LedgerCheck check(report, findings, given, on_transaction);
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
    ChunkVerifier(now.name, first == chunks.rbegin()->first, check, findings).run(std::move(*file));
  }
  judge_end(check, given.has_value(), report, findings);
  return report;
}
}
