#include "node/answers.h"

#include "node/json.h"

#include <boost/json.hpp>

namespace concordat::node::answers
{
namespace
{
/// Seconds; as CCF has it after too many conflicts.
constexpr std::string_view pause = "3";

Response later(int status, std::string_view code, std::string_view message)
{
  auto response = Response::error(status, code, message);
  response.headers.emplace_back("retry-after", pause);
  return response;
}

Response stopping()
{
  return Response::error(503, "NodeCannotHandleRequest", "This node is stopping");
}
}

Response unauthenticated(boost::json::array details)
{
  const boost::json::object body{
      {"error",
       {{"code", "InvalidAuthenticationInfo"},
        {"details", std::move(details)},
        {"message", "The caller could not be authenticated by any policy of this endpoint"}}}};
  return Response::json(to_canonical_json(body), 401);
}

Response unknown_verb(const std::vector<std::string_view>& methods, std::string_view method)
{
  // HEAD goes without saying where GET is named: CCF's clients compare this list.
  std::string allow = "OPTIONS";
  for (const auto known : methods)
    allow += ", " + std::string(known);
  auto response =
      method == "OPTIONS"
          ? Response::empty(204)
          : Response::error(405, "UnsupportedHttpVerb", "This path does not know the verb " + std::string(method));
  response.headers.emplace_back("allow", std::move(allow));
  return response;
}

Response session_lost(View started, View now)
{
  return Response::error(
      500, "SessionConsistencyLost",
      "This session started in view " + std::to_string(started) + " and the node is now in view " +
          std::to_string(now) + ", so earlier writes of the session may be lost. The session is closed.");
}

Response refused(const Error& error)
{
  if (error.code == ErrorCode::denied)
    return access_denied(error.describe());
  if (error.code == ErrorCode::invalid) // larger than an entry of the ledger may be: trying again does not help
    return Response::error(413, "TransactionTooLarge", error.describe());
  return error.code == ErrorCode::limit ? too_many_transactions(error.describe())
                                        : Response::error(503, "TransactionReplicationFailed", error.describe());
}

Response no_primary()
{
  return Response::error(503, "InternalError", "No primary is known at present; nothing was done, try again later");
}

Response forwarded_already()
{
  return Response::error(
      503, "RequestAlreadyForwarded",
      "The request was forwarded to a node that is not primary; nothing was done, try again later");
}

Response not_forwarded(std::string_view message)
{
  return Response::error(503, "InternalError", message);
}

Response too_large_to_forward(std::string_view what)
{
  return Response::error(
      413, "RequestBodyTooLarge",
      "The request cannot be forwarded to the primary, as " + std::string(what) +
          "; send it to the primary itself (GET /node/network/nodes/primary)");
}

Response answer_too_large(const Headers& headers)
{
  auto response = Response::error(
      500, "InternalError",
      "The primary's answer is too large to be forwarded, or too many such answers are being sent, and the request may "
      "have taken effect; ask the primary itself (GET /node/network/nodes/primary)");
  if (const auto id = find_header(headers, "x-ms-ccf-transaction-id"))
    response.headers.emplace_back("x-ms-ccf-transaction-id", *id);
  return response;
}

Response forwarding_timeout()
{
  return Response::text("The primary has not answered in time; whether the request took effect is not known", 504);
}

Response fate_unknown(std::string_view why)
{
  return Response::error(
      503, "TransactionReplicationFailed", std::string(why) + "; whether the request took effect is not known here");
}

Response not_committed(const Error& error)
{
  if (error.code == ErrorCode::lost)
    return Response::error(
        503, "TransactionReplicationFailed",
        "Nothing was written, and never will be by this request: " + error.describe());
  return Response::error(
      503, "TransactionReplicationFailed",
      "Whether this took effect is not known; ask GET /app/tx for its transaction id: " + error.describe());
}

Response after_what_never_was(TxId id)
{
  return Response::error(
      409, "TransactionInvalid",
      "Transaction " + id.to_string() + ", which x-concordat-after names, was never committed, and cannot be any more");
}

Response after_what_is_not_here(TxId id)
{
  return later(
      503, "TransactionPendingOrUnknown",
      "Transaction " + id.to_string() +
          ", which x-concordat-after names, is not committed as far as this node knows; try again later");
}

Response too_many_wait_for_state()
{
  return later(
      503, "TooManyPendingRequests", "Too many requests wait for transactions that x-concordat-after names; try again");
}

Response bad_request_id(std::string_view message)
{
  return Response::error(400, "InvalidHeaderValue", message);
}

Response request_id_reused()
{
  return Response::error(
      422, "RequestIdReused",
      "You have made another request under this x-concordat-request-id, which took effect; nothing was done. Give "
      "every request an id of its own");
}

Response answer_not_kept()
{
  return Response::error(
      409, "AnswerNotKept",
      "This request took effect when it was made first, in the transaction that x-ms-ccf-transaction-id names; its "
      "answer was too large to be kept");
}

Response too_many_conflicts()
{
  return later(
      503, "TransactionCommitAttemptsExceedLimit", "Other transactions kept changing what this one reads; try again");
}

Response too_many_transactions(std::string_view message)
{
  return later(503, "TooManyPendingTransactions", message);
}

Response not_queued(const Error& error)
{
  return error.code == ErrorCode::limit
           ? later(503, "TooManyPendingRequests", "Too many of your requests wait already; try again later")
           : stopping();
}

Response given_up(base::Refusal why, bool runs)
{
  switch (why)
  {
  case base::Refusal::crowded:
    return later(
        503, "TooManyPendingRequests",
        "Your requests were most of those that wait, and made room for others; nothing was done, try again later");
  case base::Refusal::stopping:
    return stopping();
  case base::Refusal::late:
    break;
  }
  return runs ? Response::error(
                    504, "RequestDeadlineExceeded",
                    "The endpoint took longer than this node allows; nothing was written. Ask for less at a time")
              : later(
                    503, "RequestDeadlineExceeded",
                    "The request waited for longer than this node allows; nothing was done, try again later");
}

Response access_denied(std::string_view sentence)
{
  return Response::error(500, "InternalError", "The endpoint was refused an access: " + std::string(sentence));
}

Response endpoint_failed()
{
  return Response::error(500, "InternalError", "The endpoint failed");
}
}
