#include "cli/tx.h"

#include "concordat/transaction.h"

#include <boost/json/parse.hpp>

#include <chrono>
#include <thread>

namespace concordat::cli
{
namespace
{
Attempt<std::string> ask_status(Connection& connection, const TxId& txid)
{
  const auto response = request(connection, "GET", "/app/tx?transaction_id=" + txid.to_string());
  if (!response)
    return std::unexpected(response.error());
  if (!response->ok())
    return std::unexpected(refused(*response));
  boost::system::error_code code;
  const auto answer = boost::json::parse(response->body, code);
  const auto* const status = !code && answer.is_object() ? answer.get_object().if_contains("status") : nullptr;
  if (status == nullptr || !status->is_string())
    return refuse(Exit::failed, "the service's answer holds no status", "check that --url is the address of a node");
  return printable(std::string_view(status->get_string()));
}

Attempt<TxId> read_txid(const std::string& text)
{
  const auto txid = TxId::parse(text);
  if (!txid)
    return refuse(
        Exit::usage, "a transaction id has the form VIEW.SEQNO, such as 2.18",
        "submit prints it, and every answer of the service has it in the header x-ms-ccf-transaction-id");
  return *txid;
}
}

Outcome run_tx_status(const TxOptions& options, Console& console)
{
  const auto txid = read_txid(options.txid);
  if (!txid)
    return std::unexpected(txid.error());
  auto connection = connect(options.connection, Identity::none);
  if (!connection)
    return std::unexpected(connection.error());
  const auto status = ask_status(*connection, *txid);
  if (!status)
    return std::unexpected(status.error());
  console.out << *status << '\n';
  return {};
}

Outcome run_tx_wait(const TxOptions& options, Console& console)
{
  using Clock = std::chrono::steady_clock;
  const auto txid = read_txid(options.txid);
  if (!txid)
    return std::unexpected(txid.error());
  auto connection = connect(options.connection, Identity::none);
  if (!connection)
    return std::unexpected(connection.error());

  const auto end = Clock::now() + std::chrono::seconds(options.timeout_seconds);
  auto pause = std::chrono::milliseconds(10);
  while (true)
  {
    const auto status = ask_status(*connection, *txid);
    if (!status)
      return std::unexpected(status.error());
    if (*status == "Committed")
    {
      console.out << *status << '\n';
      return {};
    }
    if (*status == "Invalid")
      return refuse(
          Exit::failed, "transaction " + txid->to_string() + " is invalid: it will never be committed",
          "send the request again");
    if (Clock::now() >= end)
      return refuse(
          Exit::failed,
          "transaction " + txid->to_string() + " is still " + *status + " after " +
              std::to_string(options.timeout_seconds) + " seconds",
          "wait again with a longer --timeout, or look at /node/consensus for what holds the service up");
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(1000));
  }
}
}
