#include "cli/ledger.h"

#include "base/files.h"
#include "ledger/verifier.h"

#include <fmt/format.h>

namespace concordat::cli
{
namespace
{
constexpr std::size_t shown_bytes = 100;

Attempt<ledger::VerifyReport>
verify(const LedgerOptions& options, const std::function<void(const ledger::ShownTransaction&)>& on_transaction)
{
  ledger::VerifyOptions verify_options;
  verify_options.committed_only = options.committed_only;
  verify_options.recovery = options.recovery;
  verify_options.strict = options.strict;
  if (!options.service_certificate.empty())
  {
    auto pem = read_file(options.service_certificate, "the service's certificate");
    if (!pem)
      return std::unexpected(pem.error());
    verify_options.service_certificate_pem = std::move(*pem);
  }
  base::RealFileSystem files;
  for (const auto& directory : options.directories)
    if (!files.list(directory))
      return refuse(Exit::failed, "cannot read the directory " + directory, "give the ledger directory of a node");
  return ledger::verify_ledger(files, options.directories, verify_options, on_transaction);
}

void print_findings(const ledger::VerifyReport& report, std::ostream& out)
{
  for (const auto& finding : report.findings)
    out << (finding.is_note ? "note: " : "error: ") << printable(finding.place) << ": " << printable(finding.text)
        << '\n';
}

Failure not_verified()
{
  return {Exit::not_verified, "the ledger does not verify", "keep the files as they are; compare with another node's"};
}

std::string shortened(std::string_view text, bool full)
{
  if (full || text.size() <= shown_bytes)
    return printable(text);
  return printable(text.substr(0, shown_bytes)) + fmt::format("… ({} bytes)", text.size());
}

bool is_wanted(const ledger::ShownTransaction& transaction, const LedgerOptions& options)
{
  if (!options.txid.empty() && transaction.txid.to_string() != options.txid)
    return false;
  if (options.table.empty())
    return true;
  for (const auto& table : transaction.tables)
    if (table.name.starts_with(options.table))
      return true;
  return false;
}

/// What is known of a transaction, said beside it where it is not both signed and committed.
std::string_view standing(TxId txid, const std::optional<ledger::Verdict>& verdict)
{
  if (!verdict || txid.seqno > verdict->signed_up_to.seqno)
    return "  NOT SIGNED: anybody may have written it";
  if (!verdict->committed_up_to || txid.seqno > verdict->committed_up_to->seqno)
    return "  signed; the ledger does not show that it was committed";
  return "";
}

void show(
    const ledger::ShownTransaction& transaction, const std::optional<ledger::Verdict>& verdict,
    const LedgerOptions& options, Console& console)
{
  console.out << paint(console, Colour::bold, transaction.txid.to_string())
              << paint(console, Colour::yellow, standing(transaction.txid, verdict));
  if (transaction.private_bytes > 0)
    console.out << "  " << transaction.private_bytes << " bytes encrypted";
  console.out << '\n';
  for (const auto& table : transaction.tables)
  {
    if (!options.table.empty() && !table.name.starts_with(options.table))
      continue;
    console.out << "  " << paint(console, Colour::green, printable(table.name)) << '\n';
    for (const auto& [key, value] : table.writes)
      console.out << "    " << shortened(key, options.full) << (value ? " = " : " removed")
                  << (value ? shortened(*value, options.full) : "") << '\n';
  }
}

void print_verdict(const ledger::VerifyReport& report, std::ostream& out)
{
  if (!report.verdict)
  {
    out << "nothing is proven\n";
    return;
  }
  const auto& verdict = *report.verdict;
  out << "verified up to " << verdict.signed_up_to.to_string() << ": signed by "
      << (verdict.service_signed_itself ? "" : "nodes of ") << "the service " << printable(verdict.service.subject())
      << ", key " << verdict.service.public_key().id() << '\n'
      << (verdict.service_was_given
              ? "  it is the service of the certificate given\n"
              : "  nobody vouches for it: the ledger itself names it; compare the key, or give --service-cert\n");
  if (verdict.committed_up_to)
    out << "  committed up to " << verdict.committed_up_to->to_string() << " at least, as the service signed later\n";
  else
    out << "  nothing in it shows that any of it was committed\n";
  const auto& services = verdict.services;
  for (std::size_t i = 0; i + 1 < services.size(); ++i)
    out << "  from " << services[i].from.to_string() << " to before " << services[i + 1].from.to_string()
        << " written by an earlier service, key " << services[i].cert.public_key().id()
        << (services[i].endorsed_at ? ", endorsed by the one after it" : ", not endorsed by the one after it") << '\n';
  out << "the service is " << printable(verdict.service_status) << '\n';
}

/// Whether what was proven when the ledger was read before is proven of what was read now. A node may have gone on
/// writing in between.
bool still_proven(const std::optional<ledger::Verdict>& before, const std::optional<ledger::Verdict>& now)
{
  return !before || (now && now->signed_up_to.seqno >= before->signed_up_to.seqno &&
                     now->committed_up_to.value_or(TxId{}).seqno >= before->committed_up_to.value_or(TxId{}).seqno);
}
}

Outcome run_ledger_verify(const LedgerOptions& options, Console& console)
{
  const auto report = verify(options, {});
  if (!report)
    return std::unexpected(report.error());
  print_findings(*report, console.out);
  console.out << fmt::format(
      "{} chunks, {} transactions, {} signatures by nodes, {} by the service\n", grouped(report->chunks),
      grouped(report->entries), grouped(report->signatures), grouped(report->cose_signatures));
  print_verdict(*report, console.out);
  return report->ok() ? Outcome{} : std::unexpected(not_verified());
}

Outcome run_ledger_show(const LedgerOptions& options, Console& console)
{
  // What is signed is known at the end only, so the ledger is read twice.
  const auto before = verify(options, {});
  if (!before)
    return std::unexpected(before.error());
  bool found = false;
  const auto report = verify(
      options,
      [&](const ledger::ShownTransaction& transaction)
      {
        const auto& verdict = before->verdict;
        if (!is_wanted(transaction, options))
          return;
        found = true;
        if (!options.strict || (verdict && transaction.txid.seqno <= verdict->signed_up_to.seqno))
          show(transaction, verdict, options, console);
      });
  if (!report)
    return std::unexpected(report.error());
  if (!still_proven(before->verdict, report->verdict))
    return refuse(Exit::not_verified, "the ledger was changed while it was read; what was printed is not proven");
  if (!report->ok())
  {
    print_findings(*report, console.err);
    return std::unexpected(not_verified());
  }
  if (!found && !options.txid.empty())
    return refuse(Exit::failed, "there is no transaction " + printable(options.txid) + " in the ledger");
  return {};
}
}
