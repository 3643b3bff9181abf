#include "node/request_run.h"

#include "base/check.h"
#include "base/log.h"
#include "node/answers.h"
#include "node/redirection.h"
#include "node/tables.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace
{
constexpr unsigned max_attempts = 30;
constexpr std::string_view respond_header = "x-concordat-respond";
constexpr std::string_view txid_header = "x-ms-ccf-transaction-id";
}

/// What is kept until the order has said what became of a transaction: no more than the answer needs, because it is let
/// go on the order's thread, which many wait for.
struct RequestRun::Answer
{
  void tell(const Result<void>& outcome);

  std::shared_ptr<http::Exchange> exchange;
  View session_view;
  Response response;
  TxId txid;
};

void RequestRun::Answer::tell(const Result<void>& outcome)
{
  auto id = txid.to_string();
  // It had its place: who asks `/tx` for it learns what became of it.
  if (!outcome)
  {
    auto refused = answers::not_committed(outcome.error());
    refused.headers.emplace_back(txid_header, std::move(id));
    return exchange->respond(std::move(refused));
  }
  // The view may have ended between the check of the session and the order: the transaction stands, but the client
  // must not believe that it follows on their earlier ones.
  if (txid.view != session_view)
  {
    auto lost = answers::session_lost(session_view, txid.view);
    lost.headers.emplace_back(txid_header, std::move(id));
    return exchange->respond(std::move(lost), true);
  }
  response.headers.emplace_back(txid_header, std::move(id));
  exchange->respond(std::move(response));
}

RequestRun::RequestRun(
    Services& services, const Endpoint& endpoint, kv::RunBy runs_by, std::shared_ptr<http::Exchange> exchange,
    Parameters parameters, View session_view)
    : services_(services),
      endpoint_(endpoint),
      runs_by_(runs_by),
      exchange_(std::move(exchange)),
      parameters_(std::move(parameters)),
      session_view_(session_view),
      client_(client_of(exchange_->session()))
{
}

const Request& RequestRun::request() const
{
  return exchange_->request();
}

const Caller& RequestRun::caller() const
{
  return caller_;
}

std::string_view RequestRun::path_parameter(std::string_view name) const
{
  for (const auto& [known, value] : parameters_)
    if (known == name)
      return value;
  return {};
}

std::shared_ptr<ReadTransaction> RequestRun::state()
{
  CHECK(reads_, "a command endpoint has no state");
  return reads_;
}

Transaction& RequestRun::transaction()
{
  CHECK(writes_, "only a read_write endpoint has a transaction");
  return *writes_;
}

std::shared_ptr<const void>& RequestRun::kept()
{
  return kept_;
}

bool RequestRun::is_member(std::string_view id)
{
  return state()->has(tables::member_certs, id);
}

std::optional<Party> RequestRun::member(std::string_view id)
{
  return find_member(*state(), id);
}

std::optional<Party> RequestRun::user(std::string_view id)
{
  return find_user(*state(), id);
}

const http::Session& RequestRun::session() const
{
  return exchange_->session();
}

bool RequestRun::move(Phase from, Phase to)
{
  return phase_.compare_exchange_strong(from, to);
}

void RequestRun::answer(Response response, bool close)
{
  if (move(Phase::open, Phase::answered))
    exchange_->respond(std::move(response), close);
}

void RequestRun::refuse(base::Refusal why)
{
  // Noted before the attempt to answer: if the order has the request now, and gives it back, `order` finds the note.
  reason_ = why;
  refused_ = true;
  answer(answers::given_up(why, runs_));
}

void RequestRun::not_queued(const Error& why)
{
  answer(answers::not_queued(why));
}

std::optional<Response> RequestRun::lost_session() const
{
  const auto now = services_.ordering.view();
  return now == session_view_ ? std::nullopt : std::optional(answers::session_lost(session_view_, now));
}

std::optional<std::string> RequestRun::owner()
{
  boost::json::array details;
  const auto found =
      client_->authenticate(endpoint_.policies, services_.store.committed(), services_.clock.unix_seconds(), details);
  if (found)
    return found->id;
  auto response = answers::unauthenticated(std::move(details));
  if (endpoint_.observer)
    endpoint_.observer(response);
  answer(std::move(response));
  return std::nullopt;
}

void RequestRun::run()
{
  runs_ = true;
  if (phase_ != Phase::open)
    return;
  try
  {
    switch (endpoint_.mode)
    {
    case Mode::command:
      return run_command();
    case Mode::read_only:
      return run_read();
    case Mode::read_write:
      return run_write();
    }
  }
  catch (const std::exception& thrown)
  {
    spdlog::error("a request to {} failed: {}", endpoint_.path, thrown.what());
    answer(answers::endpoint_failed());
  }
}

/// Authenticates and calls the handler. What a library throws becomes an answer.
template <typename State> Response RequestRun::call(State& state_for_caller)
{
  boost::json::array details;
  auto found = client_->authenticate(endpoint_.policies, state_for_caller, services_.clock.unix_seconds(), details);
  auto response = Response{};
  if (found)
  {
    caller_ = std::move(*found);
    response = name_ ? handled_once() : handled();
  }
  else
    response = answers::unauthenticated(std::move(details));
  if (endpoint_.observer)
    endpoint_.observer(response);
  return response;
}

Response RequestRun::handled()
{
  try
  {
    return endpoint_.handler(*this);
  }
  catch (const AccessDenied& denied)
  {
    spdlog::error("a handler of {} was refused: {}", endpoint_.path, denied.what());
    return answers::access_denied(denied.what());
  }
  catch (const std::exception& thrown)
  {
    spdlog::error("a handler of {} failed: {}", endpoint_.path, thrown.what());
    return answers::endpoint_failed();
  }
}

/// Runs the handler if the request was not made before; its answer becomes part of what it has written.
Response RequestRun::handled_once()
{
  const auto asker = RequestIds::asker(caller_, exchange_->session().client_certificate);
  if (!asker)
    return answers::bad_request_id("the header x-concordat-request-id is for callers who show a certificate");
  if (auto first = services_.request_ids.find(*writes_, *name_, *asker))
  {
    first_ = first->seqno;
    return std::move(first->response);
  }
  auto response = handled();
  // What wrote nothing may run again.
  if (response.ok() && !writes_->writes().empty())
    services_.request_ids.keep(*writes_, *name_, *asker, response);
  return response;
}

void RequestRun::run_command()
{
  const auto committed = services_.store.committed();
  answer(call(committed));
}

void RequestRun::run_read()
{
  const auto committed = services_.store.committed();
  const auto state = std::make_shared<kv::SnapshotTransaction>(committed, runs_by_);
  reads_ = state;
  auto response = call(committed);
  if (response.ok() && state->touched())
    response.headers.emplace_back(txid_header, committed->txid().to_string());
  reads_.reset();
  answer(std::move(response));
}

std::unique_ptr<kv::WriteTransaction> RequestRun::begin(bool again)
{
  // On a backup the head stays where it was: only a primary writes there. What runs on any node sees what is committed.
  if (forwarding_of(endpoint_) == Forwarding::never && !services_.ordering.can_write())
    return std::make_unique<kv::WriteTransaction>(services_.store.committed(), runs_by_);
  return again ? services_.store.begin_fresh(runs_by_) : services_.store.begin(runs_by_);
}

void RequestRun::run_write()
{
  auto name = RequestName::of(request());
  if (!name)
    return answer(answers::bad_request_id(name.error().message));
  name_ = std::move(*name);
  for (unsigned attempt = 0; attempt < max_attempts; ++attempt)
  {
    // The handler's view of the state may be kept no longer than the transaction: an alias that owns nothing.
    const auto transaction = begin(attempt != 0);
    // After the transaction has begun: one that began in an earlier view conflicts when it is ordered, and comes back
    // here. Before anything is written, because an error never writes.
    if (auto lost = lost_session())
      return answer(std::move(*lost), true);
    writes_ = transaction.get();
    reads_ = std::shared_ptr<ReadTransaction>(std::shared_ptr<void>(), transaction.get());
    auto response = call(static_cast<ReadTransaction&>(*transaction));
    if (first_.value_or(0) != 0)
      return answer_again(transaction->base()->txid(), std::move(response));
    if (!response.ok())
      return answer(std::move(response));
    if (transaction->writes().empty())
      return answer_when_committed(transaction->base()->txid(), transaction->touched(), std::move(response));
    if (order(*transaction, std::move(response)))
      return;
  }
  answer(answers::too_many_conflicts());
}

/// Hands a transaction to the order, which answers from then on.
/// @return false after a conflict, if the caller still waits
bool RequestRun::order(const kv::WriteTransaction& transaction, Response response)
{
  // First the phase, then the submission: a request that may be committed is never told that nothing was written.
  if (!move(Phase::open, Phase::ordering))
    return true;
  const auto early = find_header(request().headers, respond_header) == "executed";
  const auto held = std::make_shared<Answer>(Answer{exchange_, session_view_, std::move(response), {}});
  consensus::Ordering::Done done;
  if (!early)
    done = [held](const Result<void>& outcome) { held->tell(outcome); };
  const auto txid = services_.ordering.submit(transaction, [held](TxId id) { held->txid = id; }, std::move(done));
  if (!txid && txid.error().code == ErrorCode::conflict)
  {
    phase_ = Phase::open;
    // Who gave the request up meanwhile could not answer it.
    if (!refused_)
      return false;
    answer(answers::given_up(reason_, true));
    return true;
  }
  kept_.reset();
  if (!txid)
    exchange_->respond(answers::refused(txid.error()));
  else if (!early)
    exchange_->note_transaction(txid->to_string());
  else // only a transaction that has its place in the order
    held->tell({});
  return true;
}

void RequestRun::answer_when_committed(TxId read, bool touched, Response response)
{
  // What was read may never be committed: the answer waits for the transaction itself, not for its seqno, which
  // belongs to another one after a repair.
  if (!move(Phase::open, Phase::ordering))
    return;
  if (touched)
    response.headers.emplace_back(txid_header, read.to_string());
  const auto held = std::make_shared<Response>(std::move(response));
  const auto tell = [exchange = exchange_, held](const Result<void>& outcome)
  { exchange->respond(outcome ? std::move(*held) : answers::refused(outcome.error())); };
  const bool anywhere = forwarding_of(endpoint_) == Forwarding::never;
  services_.ordering.when_committed(
      read,
      [&ordering = services_.ordering, tell, anywhere](const Result<void>& outcome)
      {
        // What was read is committed; that nobody has gone on without this node is for the others to say.
        if (!outcome || (anywhere ? ordering.when_fresh(tell) : ordering.when_primary(tell)))
          tell(outcome);
      });
}

/// The first answer to a request that was made before, once it is known to stand: the first may still wait itself.
void RequestRun::answer_again(TxId read, Response response)
{
  if (!move(Phase::open, Phase::ordering))
    return;
  const auto held = std::make_shared<Response>(std::move(response));
  services_.ordering.when_committed(
      read,
      [&ordering = services_.ordering, exchange = exchange_, held, first = *first_](const Result<void>& outcome)
      {
        if (!outcome)
          return exchange->respond(answers::refused(outcome.error()));
        // Where its view began is final only now.
        held->headers.emplace_back(txid_header, TxId{ordering.views().view_of(first), first}.to_string());
        exchange->respond(std::move(*held));
      });
}
}
