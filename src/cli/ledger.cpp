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

void show(const ledger::ShownTransaction& transaction, const LedgerOptions& options, Console& console)
{
  if (!is_wanted(transaction, options))
    return;
  console.out << paint(console, Colour::bold, transaction.txid.to_string());
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
  if (!report->ok())
    return std::unexpected(not_verified());
  console.out << "verified up to " << (report->last_signed ? report->last_signed->to_string() : "nothing signed")
              << "; the service is " << printable(report->service_status) << '\n';
  return {};
}

Outcome run_ledger_show(const LedgerOptions& options, Console& console)
{
  const auto report =
      verify(options, [&](const ledger::ShownTransaction& transaction) { show(transaction, options, console); });
  if (!report)
    return std::unexpected(report.error());
  if (report->ok())
    return {};
  print_findings(*report, console.err);
  return std::unexpected(not_verified());
}
}
