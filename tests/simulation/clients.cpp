#include "clients.h"

#include "ledger/receipt.h"
#include "node/json.h"

#include <boost/json.hpp>

#include <algorithm>
#include <utility>

namespace concordat::simulation
{
namespace
{
constexpr std::size_t client_count = 4;
constexpr std::size_t most_jobs = 5;
constexpr std::string_view txid_header = "x-ms-ccf-transaction-id";

std::string code_of(const Response& response)
{
  const auto body = node::parse_json(response.body);
  const auto* const object = body ? body->if_object() : nullptr;
  const auto* const error = object ? object->if_contains("error") : nullptr;
  return error && error->is_object() ? node::string_member(error->get_object(), "code") : "";
}

/// For the tally.
std::string_view refusal_name(std::string_view code)
{
  constexpr std::string_view all[] = {
      "InvalidAuthenticationInfo",  "TooManyPendingTransactions",   "TransactionCommitAttemptsExceedLimit",
      "TooManyPendingRequests",     "RequestDeadlineExceeded",      "NodeCannotHandleRequest",
      "SessionConsistencyLost",     "TransactionReplicationFailed", "TransactionInvalid",
      "TransactionPendingOrUnknown"};
  const auto* const found = std::ranges::find(all, code);
  return found == std::end(all) ? "another refusal" : *found;
}

/// The answers to a request that changed nothing, and never will.
bool says_nothing_was_done(std::string_view code)
{
  constexpr std::string_view all[] = {
      "InvalidAuthenticationInfo", "TooManyPendingTransactions", "TransactionCommitAttemptsExceedLimit",
      "TooManyPendingRequests",    "RequestDeadlineExceeded",    "NodeCannotHandleRequest"};
  return std::ranges::find(all, code) != std::end(all);
}
}

struct Clients::Sent
{
  Client& client;
  std::shared_ptr<http::Session> session;
  Request request;
  std::optional<std::size_t> plan;
  bool early = false;
  bool queued = false;
  bool running = false;
  bool answered = false;
  std::vector<TxId> placed = {};

  bool writes() const
  {
    return request.method == "POST";
  }
};

struct Clients::Client
{
  bool member = false;
  std::shared_ptr<http::Session> session = nullptr; ///< null: not connected
  std::shared_ptr<Sent> waiting = nullptr;
  Seqno acknowledged = 0;       ///< the newest write of the session whose commit was answered
  std::vector<TxId> early = {}; ///< answered before they were committed
};

class Clients::Exchange : public http::Exchange
{
public:
  Exchange(Clients& clients, std::shared_ptr<Sent> sent) : clients_(clients), sent_(std::move(sent)) {}

  Request& request() override
  {
    return sent_->request;
  }
  http::Session& session() override
  {
    return *sent_->session;
  }
  void respond(Response response, bool close) override
  {
    clients_.answered(*sent_, response, close);
  }

private:
  Clients& clients_;
  const std::shared_ptr<Sent> sent_;
};

Clients::Clients(
    Random& random, std::deque<Plan>& plans, Model& model, Verdict& verdict, std::string member,
    std::function<void()> look_around, std::function<void()> at_once)
    : random_(random),
      plans_(plans),
      model_(model),
      verdict_(verdict),
      member_(std::move(member)),
      look_around_(std::move(look_around)),
      at_once_(std::move(at_once))
{
  for (std::size_t i = 0; i < client_count; ++i)
  {
    clients_.push_back(std::make_unique<Client>());
    clients_.back()->member = i % 2 == 0;
  }
}

Clients::~Clients() = default;

void Clients::serve(node::Node& node, const std::string& service_certificate_pem)
{
  node_ = &node;
  service_ = crypto::Certificate::from_pem(service_certificate_pem).value();
}

void Clients::process_ended()
{
  jobs_.clear();
  for (auto& client : clients_)
  {
    client->session = nullptr;
    client->waiting = nullptr;
  }
  pool_stopped_ = false;
  ending_.reset();
  node_ = nullptr;
}

void Clients::forget_ids()
{
  for (auto& client : clients_)
    client->early.clear();
}

void Clients::stop_pool()
{
  pool_stopped_ = true;
  for (auto& queued : std::exchange(jobs_, {}))
  {
    queued.sent->queued = false;
    queued.job.refuse(base::Refusal::stopping);
  }
}

void Clients::act()
{
  auto& client = *clients_[random_.below(clients_.size())];
  if (client.waiting || !node_)
    return;
  if (!client.session || random_.one_in(20))
  {
    client.session = std::make_shared<http::Session>();
    client.session->interface = "main";
    if (client.member)
      client.session->client_certificate = member_;
    client.acknowledged = 0;
  }
  Request request;
  const auto dice = random_.below(100);
  if (dice >= 80)
  {
    request.method = "GET";
    request.path = dice < 90 ? "/app/tx" : dice < 95 ? "/app/receipt" : "/app/commit";
    const auto id = !client.early.empty() && random_.one_in(2) ? client.early[random_.below(client.early.size())]
                                                               : model_.named(random_.below(1'000'000));
    if (dice < 95 && id == TxId{})
      return;
    if (dice < 95)
      request.query = "transaction_id=" + id.to_string();
    return send(client, std::move(request), std::nullopt);
  }
  const bool members = random_.one_in(client.member ? 2 : 12);
  request.method = dice < 65 ? "POST" : "GET";
  request.path = std::string("/app") + (members ? "/members" : "") + (dice < 65 ? "/write" : "/read");
  if (dice < 65 && random_.one_in(4))
    request.headers.emplace_back("x-concordat-respond", "executed");
  const auto plan = plans_.size();
  plans_.push_back(Plan::random(random_, dice < 50));
  request.body = std::to_string(plan);
  send(client, std::move(request), plan);
}

void Clients::send(Client& client, Request request, std::optional<std::size_t> plan)
{
  const auto sent = std::make_shared<Sent>(Sent{client, client.session, std::move(request), plan});
  sent->early = !sent->request.headers.empty() && plan && plans_[*plan].writes();
  client.waiting = sent;
  sent->running = true;
  handling_.push_back(sent);
  node_->dispatcher().handle(std::make_shared<Exchange>(*this, sent));
  handling_.pop_back();
  sent->running = false;
}

Result<void> Clients::submit(base::Job job)
{
  if (pool_stopped_)
    return fail(ErrorCode::unavailable, "the pool has stopped");
  if (jobs_.size() >= most_jobs)
    return fail(ErrorCode::limit, "too many wait for a thread");
  handling_.back()->queued = true;
  jobs_.push_back({std::move(job), handling_.back()});
  return {};
}

void Clients::run_job()
{
  if (jobs_.empty())
    return;
  const auto at = jobs_.begin() + static_cast<std::ptrdiff_t>(random_.below(jobs_.size()));
  auto queued = std::move(*at);
  jobs_.erase(at);
  queued.sent->queued = false;
  if (random_.one_in(8))
    return queued.job.refuse(base::Refusal::late);
  queued.sent->running = true;
  handling_.push_back(queued.sent);
  running_.push_back(&queued);
  queued.job.run();
  running_.pop_back();
  handling_.pop_back();
  queued.sent->running = false;
}

void Clients::lose_patience()
{
  if (running_.empty())
    return;
  auto& refuse = running_[random_.below(running_.size())]->job.refuse;
  if (refuse) // once
    std::exchange(refuse, {})(base::Refusal::late);
}

std::optional<std::size_t> Clients::placed(TxId txid)
{
  const auto plan = std::exchange(ending_, std::nullopt);
  if (!plan)
    return plan;
  const auto sent = std::ranges::find(handling_, plan, &Sent::plan);
  if (sent == handling_.end())
    verdict_.wrong("a transaction of nobody's got the place " + txid.to_string());
  else if ((*sent)->answered)
    wrong(**sent, "it was answered before it got the place " + txid.to_string());
  else
    (*sent)->placed.push_back(txid);
  return plan;
}

bool Clients::somebody_waits_for_the_order() const
{
  return std::ranges::any_of(
      clients_,
      [](const auto& client) { return client->waiting && !client->waiting->queued && !client->waiting->running; });
}

void Clients::wrong(const Sent& sent, const std::string& what)
{
  verdict_.wrong(
      sent.request.method + " " + sent.request.path + (sent.early ? " (executed)" : "") +
      (sent.request.query.empty() ? "" : "?" + sent.request.query) + ": " + what);
}

void Clients::answered(Sent& sent, const Response& response, bool close)
{
  check_answer(sent, response, close);
  // Whoever is answered may be quick to ask again.
  at_once_();
}

void Clients::check_answer(Sent& sent, const Response& response, bool close)
{
  look_around_();
  if (std::exchange(sent.answered, true))
    wrong(sent, "it is answered twice");
  sent.client.waiting = nullptr;
  if (close)
    sent.client.session = nullptr;
  if (!response.ok())
    return check_refusal(sent, response);
  if (sent.plan)
    return check_success(sent, response);
  if (sent.request.path == "/app/receipt")
    return check_receipt(sent, response);
  if (sent.request.path == "/app/tx")
    return check_status(response);
  const auto said = node::parse_json(response.body);
  if (node::string_member(said->get_object(), "transaction_id") != node_->sequencer().committed().to_string())
    wrong(sent, "another transaction is said to be the last committed one");
}

/// What a plan said, and of which transaction it was told.
void Clients::check_success(Sent& sent, const Response& response)
{
  const auto header = find_header(response.headers, txid_header);
  const auto txid = TxId::parse(header.value_or(""));
  if (!txid)
    return wrong(sent, "the answer names no transaction");
  auto& order = node_->sequencer();
  const bool wrote = plans_[*sent.plan].writes() && sent.writes();
  if (wrote && (sent.placed.empty() || sent.placed.back() != *txid))
    return wrong(sent, "the answer names " + txid->to_string() + ", which is not its place in the order");
  if (wrote && txid->view != sent.session->first_view)
    wrong(sent, "a session that began in view " + std::to_string(sent.session->first_view) + " goes on in another");
  if (response.body != model_.answer(*sent.plan, wrote ? txid->seqno - 1 : txid->seqno))
    wrong(sent, "the answer of " + txid->to_string() + " does not say what was there");
  verdict_.count(
      wrote           ? (sent.early ? "early answer" : "write answered")
      : sent.writes() ? "barrier answered"
                      : "read");
  if (sent.early)
  {
    sent.client.early.push_back(*txid);
    return;
  }
  // Readers may see a state a moment before its status is known.
  const auto status = order.status(*txid);
  if (status != consensus::TxStatus::committed && (sent.writes() || status != consensus::TxStatus::pending))
    return wrong(sent, "the answer names " + txid->to_string() + ", which is not committed");
  if (node_->store().committed()->seqno() < txid->seqno)
    wrong(sent, "readers do not see " + txid->to_string() + ", which is answered");
  if (txid->seqno < sent.client.acknowledged && sent.client.session == sent.session)
    wrong(sent, "the session goes back to " + txid->to_string());
  model_.acknowledge_all(txid->seqno);
  if (wrote)
    sent.client.acknowledged = txid->seqno;
}

void Clients::check_refusal(const Sent& sent, const Response& response)
{
  const auto code = code_of(response);
  const auto& path = sent.request.path;
  const bool members_only = path.starts_with("/app/members");
  const bool can_write = node_->sequencer().can_write() && !pool_stopped_;
  verdict_.count(refusal_name(code));
  const auto header = find_header(response.headers, txid_header);
  if (header)
  {
    if (sent.placed.empty() || sent.placed.back().to_string() != *header)
      return wrong(sent, code + " names " + std::string(*header) + ", which is not its place in the order");
    // The session is over, and the transaction stands. Of any other refusal it is not known whether it does.
    if (!sent.early && code == "SessionConsistencyLost")
      model_.acknowledge_all(sent.placed.back().seqno);
    else if (code != "SessionConsistencyLost" && code != "TransactionReplicationFailed")
      wrong(sent, code + " names a transaction");
  }
  else if ((says_nothing_was_done(code) || code == "SessionConsistencyLost") && !sent.placed.empty())
    wrong(sent, code + ", but it got the place " + sent.placed.back().to_string());
  if (response.status == 401)
  {
    if (!members_only || sent.client.member)
      wrong(sent, "a caller whom it is for is refused");
  }
  else if (code == "TransactionReplicationFailed")
  {
    if (!sent.writes() || (plans_[*sent.plan].writes() && can_write))
      wrong(sent, "it is refused though the node can write: " + response.body);
  }
  else if (code == "TransactionInvalid" && path == "/app/receipt")
  {
    const auto id = TxId::parse(sent.request.parameter("transaction_id").value());
    verdict_.wrong_if(model_.told(*id, consensus::TxStatus::invalid));
  }
  else if (code == "TransactionPendingOrUnknown" && path == "/app/receipt")
  {
    const auto* const placed = model_.find(TxId::parse(sent.request.parameter("transaction_id").value()).value());
    if (placed && placed->acknowledged)
      wrong(sent, "there is no receipt of what was acknowledged");
  }
  else if (!says_nothing_was_done(code) && code != "SessionConsistencyLost")
    wrong(sent, "it is refused with " + response.body);
}

void Clients::check_status(const Response& response)
{
  using consensus::TxStatus;
  const auto said = node::parse_json(response.body);
  const auto id = TxId::parse(node::string_member(said->get_object(), "transaction_id")).value();
  const auto text = node::string_member(said->get_object(), "status");
  for (const auto status : {TxStatus::unknown, TxStatus::pending, TxStatus::committed, TxStatus::invalid})
    if (text == consensus::to_string(status))
    {
      verdict_.count(consensus::to_string(status));
      verdict_.wrong_if(model_.told(id, status));
    }
  const auto* const placed = model_.find(id);
  if (placed && placed->acknowledged && text != "Committed")
    verdict_.wrong("transaction " + id.to_string() + " was acknowledged and is said to be " + text);
}

void Clients::check_receipt(const Sent& sent, const Response& response)
{
  verdict_.count("receipt");
  const auto receipt = ledger::Receipt::from_json(response.body);
  if (!receipt)
    return wrong(sent, "it cannot be read: " + receipt.error().describe());
  const auto proven = receipt->verify(*service_);
  if (!proven)
    return wrong(sent, "it does not verify: " + proven.error().describe());
  if (proven->to_string() != sent.request.parameter("transaction_id"))
    return wrong(sent, "it proves " + proven->to_string());
  verdict_.wrong_if(model_.told(*proven, consensus::TxStatus::committed));
  const auto* const placed = model_.find(*proven);
  if (placed && receipt->components && receipt->components->claims_digest.value_or(Digest{}) != placed->claims)
    wrong(sent, "it has other claims than were set");
}
}
