#pragma once

#include "base/clock.h"
#include "consensus/ordering.h"
#include "crypto/certificate.h"
#include "node/dispatcher.h"
#include "node/services.h"
#include "node/tables.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

/// Everything around the dispatcher, faked as far as a test wants to decide what it does.
namespace concordat::node::test
{
constexpr std::int64_t noon = 1'700'000'000;
constexpr std::int64_t day = 24 * 3600;

class FakeClock : public base::Clock
{
public:
  std::chrono::system_clock::time_point now() const override
  {
    return std::chrono::system_clock::time_point(std::chrono::seconds(seconds));
  }
  std::chrono::steady_clock::time_point steady() const override
  {
    return std::chrono::steady_clock::time_point(std::chrono::seconds(seconds));
  }
  std::int64_t seconds = noon;
};

/// Somebody with a certificate, valid from a day before `noon` to ten days behind it unless said otherwise.
inline crypto::Certificate certificate(const std::string& name, std::int64_t from = noon - day, unsigned days = 11)
{
  const auto key = crypto::KeyPair::generate(crypto::Curve::p256);
  crypto::CertificateRequest request;
  request.subject = "CN=" + name;
  request.valid_from = from;
  request.validity_days = days;
  return crypto::self_signed(key, request).value();
}

/// Puts transactions into a real store, and does with them what the test says.
class FakeOrdering : public consensus::Ordering
{
public:
  explicit FakeOrdering(kv::Store& store) : store_(store) {}

  Result<TxId> submit(const kv::WriteTransaction& transaction, const Named& named, Done done) override
  {
    ++submissions;
    if (before_submit)
      before_submit();
    if (!refusals.empty())
    {
      const auto code = refusals.front();
      refusals.pop_front();
      return fail(code, "as the test wants it");
    }
    auto txid = store_.commit(
        transaction,
        [&](kv::Store::Order& order) -> Result<void>
        {
          if (named)
            named(order.next());
          return {};
        });
    if (txid && done)
      waiters.push_back({*txid, std::move(done)});
    return txid;
  }
  void when_committed(TxId id, Done done) override
  {
    barriers.push_back({id, std::move(done)});
  }
  bool asks_others() const override
  {
    return !is_fresh;
  }
  bool when_fresh(Done done) override
  {
    if (is_fresh)
      return true;
    asked.push_back(std::move(done));
    return false;
  }
  bool when_primary(Done done) override
  {
    if (writes)
      return when_fresh(std::move(done));
    done(fail(ErrorCode::unavailable, "this node is not primary"));
    return false;
  }
  View view() const override
  {
    return in_view;
  }
  consensus::Agreement agreement() const override
  {
    return agreed;
  }
  bool can_write() const override
  {
    return writes;
  }
  std::uint64_t waiting() const override
  {
    return waits;
  }
  TxId committed() const override
  {
    return store_.committed()->txid();
  }
  consensus::ViewHistory views() const override
  {
    return history;
  }
  consensus::TxStatus status(TxId) const override
  {
    return known;
  }
  Result<std::optional<Seqno>> signature_covering(Seqno) const override
  {
    return std::nullopt;
  }
  Result<std::string> read(Seqno seqno) const override
  {
    const auto found = entries.find(seqno);
    return found != entries.end() ? Result<std::string>(found->second)
                                  : fail(ErrorCode::not_found, "there is no such entry");
  }

  /// Everything is agreed on, or nothing.
  void settle(const Result<void>& outcome = {})
  {
    if (outcome)
      store_.set_committed(store_.begin_fresh()->base());
    for (auto* const list : {&waiters, &barriers})
      for (const auto& waiter : std::exchange(*list, {}))
        waiter.done(outcome);
  }

  struct Waiter
  {
    TxId id;
    Done done;
  };
  std::vector<Waiter> waiters;
  std::vector<Waiter> barriers;
  std::deque<ErrorCode> refusals;       ///< of the next submissions
  std::map<Seqno, std::string> entries; ///< of the ledger
  std::function<void()> before_submit;
  View in_view = 2;
  bool writes = true;
  bool is_fresh = true;    ///< there is nothing to ask
  std::vector<Done> asked; ///< whether this node still leads
  consensus::Agreement agreed{
      .view = 2, .self = 1, .leader = 1, .primary = true, .configuration = {.voters = {1}}, .progress = {}};
  consensus::ViewHistory history;
  consensus::TxStatus known = consensus::TxStatus::unknown;
  std::uint64_t waits = 0;
  int submissions = 0;

private:
  kv::Store& store_;
};

/// Keeps jobs until the test runs or refuses them.
class FakeExecutor : public base::Executor
{
public:
  Result<void> submit(base::Job job) override
  {
    if (refuses)
      return fail(*refuses, "as the test wants it");
    jobs.push_back(std::move(job));
    return {};
  }
  base::Job take()
  {
    auto job = std::move(jobs.front());
    jobs.pop_front();
    return job;
  }
  std::deque<base::Job> jobs;
  std::optional<ErrorCode> refuses;
};

class FakeExchange : public http::Exchange
{
public:
  FakeExchange(Request request, http::Session& session) : request_(std::move(request)), session_(session) {}
  Request& request() override
  {
    return request_;
  }
  http::Session& session() override
  {
    return session_;
  }
  void respond(Response response, bool close) override
  {
    ++answers;
    answer = std::move(response);
    closed = close;
  }

  std::optional<Response> answer;
  bool closed = false;
  int answers = 0;

private:
  Request request_;
  http::Session& session_;
};

inline std::string code_of(const Response& response)
{
  constexpr std::string_view begin = R"("code":")";
  const auto at = response.body.find(begin);
  if (at == std::string::npos)
    return "";
  const auto start = at + begin.size();
  return response.body.substr(start, response.body.find('"', start) - start);
}

inline std::string header_of(const Response& response, std::string_view name)
{
  return std::string(find_header(response.headers, name).value_or(""));
}

inline std::string txid_of(const Response& response)
{
  return header_of(response, "x-ms-ccf-transaction-id");
}

/// A node that has no ledger and no sockets. Its first state is transaction 2.5 and knows `member` and `user`.
class FakeNode
{
public:
  FakeNode()
  {
    kv::State state;
    state.apply(
        {{std::string(tables::member_certs), {{member.id(), member.pem()}}},
         {std::string(tables::user_certs), {{user.id(), user.pem()}}},
         {"records", {{"known", "before"}}}},
        {2, 5});
    store.reset(std::make_shared<const kv::State>(state), 2);
  }

  /// @param app  the application's endpoints
  void serve(std::vector<Endpoint> app, std::vector<Endpoint> node = {})
  {
    std::vector<Frontend> frontends(2);
    frontends[0].prefix = "/app";
    frontends[0].endpoints = std::move(app);
    frontends[0].open = [this] { return open; };
    frontends[1].prefix = "/node";
    frontends[1].endpoints = std::move(node);
    frontends[1].open = [] { return true; };
    frontends[1].runs_by = kv::RunBy::node;
    dispatcher = std::make_unique<Dispatcher>(services, std::move(frontends));
  }

  std::shared_ptr<http::Session> session(const crypto::Certificate* caller = nullptr) const
  {
    auto made = std::make_shared<http::Session>();
    made->interface = "main";
    if (caller)
      made->client_certificate = caller->der();
    return made;
  }

  std::shared_ptr<FakeExchange> send(http::Session& session, Request request) const
  {
    auto exchange = std::make_shared<FakeExchange>(std::move(request), session);
    dispatcher->handle(exchange);
    return exchange;
  }
  std::shared_ptr<FakeExchange>
  send(http::Session& session, const std::string& method, const std::string& path, std::string body = "") const
  {
    Request request;
    request.method = method;
    request.path = path;
    request.body = std::move(body);
    return send(session, std::move(request));
  }
  /// On a connection of its own that stays open.
  std::shared_ptr<FakeExchange> send(const std::string& method, const std::string& path, std::string body = "")
  {
    sessions_.push_back(session());
    return send(*sessions_.back(), method, path, std::move(body));
  }

  std::string stored(std::string_view key)
  {
    return std::string(store.begin_fresh()->get("records", key).value_or("nothing"));
  }

  const crypto::Certificate member = certificate("member");
  const crypto::Certificate user = certificate("user");
  FakeClock clock;
  kv::Store store;
  FakeOrdering ordering{store};
  FakeExecutor pool;
  Configuration configuration;
  attestation::Evidence evidence;
  ledger::LedgerSecrets secrets{ledger::LedgerSecret::generate()};
  Services services{configuration, store, ordering, secrets, evidence, clock, pool, "node", "", "", {}};
  std::unique_ptr<Dispatcher> dispatcher;
  bool open = true;

private:
  std::vector<std::shared_ptr<http::Session>> sessions_;
};

inline Endpoint endpoint(std::string method, std::string path, Mode mode, Handler handler)
{
  Endpoint made;
  made.method = std::move(method);
  made.path = std::move(path);
  made.mode = mode;
  made.place = Place::io_thread;
  made.handler = std::move(handler);
  return made;
}

/// Writes the body under the key "k".
inline Endpoint writer(int* runs = nullptr)
{
  return endpoint(
      "POST", "/write", Mode::read_write,
      [runs](Context& context)
      {
        if (runs)
          ++*runs;
        (void)context.transaction().get("records", "k");
        context.transaction().put("records", "k", context.request().body);
        return Response::text("written");
      });
}
}
