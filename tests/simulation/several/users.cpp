#include "users.h"

#include "node/json.h"

#include <boost/json.hpp>

#include <algorithm>
#include <utility>

namespace concordat::simulation
{
namespace
{
constexpr std::size_t user_count = 6;
constexpr std::string_view txid_header = "x-ms-ccf-transaction-id";
/// Nobody waits for so long: the node answers before, or is gone.
constexpr Time longest_wait{20'000'000};

std::string code_of(const Response& response)
{
  const auto body = node::parse_json(response.body);
  const auto* const object = body ? body->if_object() : nullptr;
  const auto* const error = object ? object->if_contains("error") : nullptr;
  return error && error->is_object() ? node::string_member(error->get_object(), "code") : "";
}

/// The answers to a request that changed nothing, and never will.
bool says_nothing_was_done(const std::string& code, const std::string& body)
{
  constexpr std::string_view codes[] = {
      "InvalidAuthenticationInfo", "TooManyPendingTransactions", "TransactionCommitAttemptsExceedLimit",
      "TooManyPendingRequests",    "RequestDeadlineExceeded",    "NodeCannotHandleRequest",
      "RequestAlreadyForwarded"};
  constexpr std::string_view words[] = {
      "nothing was done", "Nothing was written, and never will be", "cannot be reached from this node"};
  return std::ranges::find(codes, code) != std::end(codes) ||
         std::ranges::any_of(words, [&](std::string_view said) { return body.find(said) != std::string::npos; });
}
}

struct Users::Sent
{
  User& user;
  Host& host;
  std::uint64_t process;
  std::shared_ptr<http::Session> session;
  Request request;
  std::optional<std::size_t> plan;
  Time at;
  Seqno known;                    ///< what somebody had been told of before
  std::optional<View> primary_in; ///< the view in which the node was primary then
  Seqno session_had;              ///< what the session had been told of before
  bool early = false;
  bool answered = false;
  const bool is_post = request.method == "POST"; ///< forwarding takes the request away
  const std::string asked = request.method + " " + request.path + "?" + request.query;

  bool writes() const
  {
    return is_post;
  }
};

struct Users::User
{
  bool member = false;
  Host* host = nullptr;
  std::uint64_t process = 0;
  std::shared_ptr<http::Session> session = nullptr;
  std::shared_ptr<Sent> waiting = nullptr;
  Seqno had = 0;                ///< of the session: the newest that it was told of
  std::vector<TxId> early = {}; ///< answered before they were committed
};

class Users::Exchange : public http::Exchange
{
public:
  Exchange(Users& users, std::shared_ptr<Sent> sent) : users_(users), sent_(std::move(sent)) {}
  ~Exchange() override
  {
    if (!sent_->answered && !is_gone())
      users_.wrong(*sent_, "it is dropped without an answer");
  }

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
    if (!is_gone())
      users_.answered(*sent_, response, close);
  }
  void resume(std::function<void()> task) override
  {
    if (is_gone())
      return;
    sent_->host.later(
        Time(users_.around_.random.below(500)),
        [task = std::move(task), &host = sent_->host]
        {
          task();
          host.step_soon();
        });
  }

private:
  bool is_gone() const
  {
    return sent_->process != sent_->host.process() || sent_->host.is_dead();
  }

  Users& users_;
  const std::shared_ptr<Sent> sent_;
};

Users::Users(Around& around, std::deque<Plan>& plans, std::string member, std::function<Host*()> any_host)
    : around_(around),
      plans_(plans),
      member_(std::move(member)),
      any_host_(std::move(any_host))
{
  for (std::size_t i = 0; i < user_count; ++i)
  {
    users_.push_back(std::make_unique<User>());
    users_.back()->member = i % 2 == 0;
  }
}

Users::~Users() = default;

void Users::wrong(const Sent& sent, const std::string& what)
{
  around_.verdict.wrong(
      "node " + std::to_string(sent.host.number()) + ": " + sent.asked + (sent.early ? " (executed)" : "") + ": " +
      what);
}

void Users::connect(User& user)
{
  user.host = any_host_();
  if (!user.host)
    return;
  user.process = user.host->process();
  user.session = std::make_shared<http::Session>();
  user.session->interface = "main";
  if (user.member)
    user.session->client_certificate = member_;
  user.had = 0;
}

void Users::act()
{
  auto& random = around_.random;
  auto& user = *users_[random.below(users_.size())];
  if (user.waiting)
  {
    auto& sent = *user.waiting;
    const bool gone = sent.host.process() != sent.process;
    if (!gone && around_.schedule.now() - sent.at > longest_wait)
      wrong(sent, "it is not answered");
    if (!gone)
      return;
    around_.verdict.count("connection lost");
    user.waiting = nullptr;
    user.session = nullptr;
  }
  if (!user.session || user.host->process() != user.process || random.one_in(12))
    connect(user);
  if (!user.host || user.host->is_dead())
  {
    user.session = nullptr;
    return;
  }
  Request request;
  const auto dice = random.below(100);
  if (dice >= 85)
  {
    request.method = "GET";
    request.path = "/app/tx";
    const auto id = !user.early.empty() && random.one_in(2) ? user.early[random.below(user.early.size())]
                                                            : around_.history.named(random.below(1'000'000));
    if (id == TxId{})
      return;
    request.query = "transaction_id=" + id.to_string();
    return send(user, std::move(request), std::nullopt);
  }
  const bool members = user.member && random.one_in(3);
  request.method = dice < 60 ? "POST" : "GET";
  request.path = std::string("/app") + (members ? "/members" : "") + (dice < 60 ? "/write" : "/read");
  if (dice < 60 && random.one_in(5))
    request.headers.emplace_back("x-concordat-respond", "executed");
  const auto plan = plans_.size();
  plans_.push_back(Plan::random(random, dice < 52));
  request.body = std::to_string(plan);
  send(user, std::move(request), plan);
}

void Users::send(User& user, Request request, std::optional<std::size_t> plan)
{
  ++sent_;
  auto& host = *user.host;
  auto& order = host.node().sequencer();
  const auto sent = std::make_shared<Sent>(Sent{
      user, host, user.process, user.session, std::move(request), plan, around_.schedule.now(),
      around_.history.last_acknowledged(), host.is_primary() ? std::optional(order.view()) : std::nullopt, user.had});
  sent->early = !sent->request.headers.empty() && plan && plans_[*plan].writes();
  user.waiting = sent;
  host.forget_plan();
  host.node().dispatcher().handle(std::make_shared<Exchange>(*this, sent));
  host.step_soon();
}

void Users::answered(Sent& sent, const Response& response, bool close)
{
  sent.host.observe();
  if (std::exchange(sent.answered, true))
    return wrong(sent, "it is answered twice");
  sent.user.waiting = nullptr;
  if (close)
    sent.user.session = nullptr;
  if (!response.ok())
    return check_refusal(sent, response);
  if (sent.plan)
    return check_success(sent, response);
  check_status(response);
}

/// What a plan said, and of which transaction it was told.
void Users::check_success(Sent& sent, const Response& response)
{
  auto& history = around_.history;
  const auto txid = TxId::parse(find_header(response.headers, txid_header).value_or(""));
  if (!txid)
    return wrong(sent, "the answer names no transaction");
  const bool wrote = plans_[*sent.plan].writes() && sent.writes();
  if (wrote && !history.has_place(*sent.plan, *txid))
    return wrong(sent, "the answer names " + txid->to_string() + ", which is not its place in the order");
  if (sent.early)
  {
    around_.verdict.count("early answer");
    sent.user.early.push_back(*txid);
    return;
  }
  around_.verdict.count(wrote ? "write answered" : sent.writes() ? "barrier answered" : "read");
  if (!history.is_committed(*txid) && *txid != TxId{})
    return wrong(sent, "the answer tells of " + txid->to_string() + ", which is not committed");
  if (response.body != history.answer(*sent.plan, wrote ? txid->seqno - 1 : txid->seqno))
    wrong(sent, "the answer of " + txid->to_string() + " does not say what was there");
  const auto& order = sent.host.node().sequencer();
  const bool primary = sent.primary_in && order.can_write() && order.view() == *sent.primary_in;
  if (primary)
    around_.verdict.count("read of a primary");
  if ((sent.writes() || primary) && txid->seqno < sent.known)
    wrong(
        sent, "the answer tells of " + txid->to_string() + ", and somebody had been told of " +
                  std::to_string(sent.known) + " before it was asked for");
  if (txid->seqno < sent.session_had)
    wrong(sent, "the session goes back to " + txid->to_string());
  history.acknowledged(*txid);
  if (wrote)
  {
    ++written_;
    if (sent.user.session == sent.session)
      sent.user.had = std::max(sent.user.had, txid->seqno);
  }
}

void Users::check_refusal(const Sent& sent, const Response& response)
{
  const auto code = code_of(response);
  const auto header = TxId::parse(find_header(response.headers, txid_header).value_or(""));
  const bool nothing = says_nothing_was_done(code, response.body);
  if (nothing)
  {
    around_.verdict.count("told that nothing was done");
    if (sent.plan)
      around_.history.denied(*sent.plan);
  }
  else if (code == "SessionConsistencyLost")
    around_.verdict.count("session lost");
  else if (code == "TransactionReplicationFailed" || response.status == 504)
    around_.verdict.count("told that nothing is known");
  else
    wrong(sent, std::to_string(response.status) + " " + code + ": " + response.body);
  if (!header)
    return;
  if (!sent.plan || !around_.history.has_place(*sent.plan, *header))
    return wrong(sent, code + " names " + header->to_string() + ", which is not its place in the order");
  // The session is over, and the transaction stands.
  if (code == "SessionConsistencyLost" && !sent.early)
    around_.history.acknowledged(*header);
  else if (nothing)
    around_.history.told(*header, consensus::TxStatus::invalid);
}

void Users::check_status(const Response& response)
{
  using consensus::TxStatus;
  const auto said = node::parse_json(response.body);
  const auto id = TxId::parse(node::string_member(said->get_object(), "transaction_id")).value();
  const auto text = node::string_member(said->get_object(), "status");
  for (const auto status : {TxStatus::unknown, TxStatus::pending, TxStatus::committed, TxStatus::invalid})
    if (text == consensus::to_string(status))
    {
      around_.verdict.count(consensus::to_string(status));
      around_.history.told(id, status);
    }
}
}
