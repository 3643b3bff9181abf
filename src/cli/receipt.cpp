#include "cli/receipt.h"

#include "base/encoding.h"
#include "cli/whole_file.h"
#include "crypto/certificate.h"
#include "ledger/receipt.h"

#include <chrono>
#include <thread>

namespace concordat::cli
{
namespace
{
constexpr std::uint64_t max_receipt_size = 1 << 20;

/// The answer is not there yet but will be: the node is fetching it, or the transaction is not committed everywhere.
bool is_on_its_way(const Response& response)
{
  return response.status == 202 || response.status == 503 ||
         (response.status == 404 && read_error(response).type == "TransactionPendingOrUnknown");
}

Attempt<std::string> read_receipt(const std::string& file)
{
  auto text = read_whole(file, max_receipt_size);
  if (!text)
    return refuse(Exit::failed, "cannot read the receipt: " + text.error().describe());
  return std::move(*text);
}
}

Outcome run_receipt_get(const ReceiptOptions& options, Console& console)
{
  using Clock = std::chrono::steady_clock;
  const auto txid = TxId::parse(options.txid);
  if (!txid)
    return refuse(Exit::usage, "a transaction id has the form VIEW.SEQNO, such as 2.18");
  auto connection = connect(options.connection, Identity::none);
  if (!connection)
    return std::unexpected(connection.error());

  const auto end = Clock::now() + std::chrono::seconds(options.timeout_seconds);
  auto pause = std::chrono::milliseconds(20);
  auto response = request(*connection, "GET", "/app/receipt?transaction_id=" + txid->to_string());
  while (response && is_on_its_way(*response) && Clock::now() < end)
  {
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(1000));
    response = request(*connection, "GET", "/app/receipt?transaction_id=" + txid->to_string());
  }
  if (!response)
    return std::unexpected(response.error());
  if (response->status == 202)
    return refuse(
        Exit::failed,
        "the node has not prepared the receipt after " + std::to_string(options.timeout_seconds) + " seconds",
        "try again with a longer --timeout");
  if (!response->ok())
  {
    auto failure = refused(*response);
    if (response->status == 404)
      failure.next = "concordat tx status " + txid->to_string() + " says what became of it";
    return std::unexpected(std::move(failure));
  }

  const auto& file = options.file.empty() ? "-" : options.file;
  if (const auto written = write_whole(file, printable_json(response->body) + "\n", console.out); !written)
    return refuse(Exit::failed, "cannot write the receipt: " + written.error().describe());
  return {};
}

Outcome run_receipt_verify(const ReceiptOptions& options, Console& console)
{
  const auto expected = TxId::parse(options.txid);
  if (!options.txid.empty() && !expected)
    return refuse(Exit::usage, "a transaction id has the form VIEW.SEQNO, such as 2.18");
  const auto text = read_receipt(options.file);
  if (!text)
    return std::unexpected(text.error());
  const auto service = read_service_certificate(options.connection);
  if (!service)
    return std::unexpected(service.error());

  const auto receipt = ledger::Receipt::from_json(*text);
  if (!receipt)
    return refuse(Exit::not_verified, "this is not a receipt: " + printable(receipt.error().describe()));
  const auto proven = receipt->verify(*service);
  if (!proven)
    return refuse(
        Exit::not_verified, "the receipt does not verify: " + printable(proven.error().describe()),
        "do not rely on it; check that the certificate is that of the service that issued it");
  if (expected && *proven != *expected)
    return refuse(
        Exit::not_verified,
        "the receipt is that of transaction " + proven->to_string() + ", not of " + expected->to_string());

  console.out << "verified: the service signed transaction " << proven->to_string()
              << (receipt->components ? "" : ", a signature transaction") << '\n'
              << "  root   " << base::to_hex(base::as_view(receipt->root())) << '\n'
              << "  node   " << printable(receipt->node_id) << '\n';
  if (receipt->components && receipt->components->claims_digest)
    console.out << "  claims " << base::to_hex(base::as_view(*receipt->components->claims_digest)) << '\n';
  return {};
}
}
