#include "node/join.h"

#include "attestation/virtual_platform.h"
#include "base/simulated_files.h"
#include "ledger/chunks.h"
#include "node/test_join.h"
#include "node/test_support.h"

#include <deque>

namespace concordat::node
{
namespace
{
class Join : public testing::Test
{
protected:
  Join()
  {
    auto& target = configuration.join.emplace();
    target.target_rpc_address = "10.0.0.1:8080";
    configuration.interfaces.resize(1);
    configuration.interfaces[0].listen.name = "main";
    configuration.interfaces[0].as_configured = {{"bind_address", "10.0.0.2:0"}};
    configuration.interfaces[0].listen.bind_address = "10.0.0.2:0";
    configuration.node_to_node_interface = {{"bind_address", "10.0.0.2:8081"}};
    configuration.service_certificate_file = "service_cert.pem";
    clock.seconds = 1'800'000'000;
    EXPECT_TRUE(files.replace("service_cert.pem", service.certificate.pem()));
  }

  /// What the nodes answer, one after the other; once there is no more, the node is told to stop.
  Result<Identity> join(std::deque<test::FakeClient::Answer> answers)
  {
    JoinMeans means{sealed, files, clock, *platform, addresses, stop};
    means.connect = [&](http::ClientOptions options) -> Result<std::unique_ptr<http::Client>>
    {
      return std::make_unique<test::FakeClient>(
          std::move(options),
          [&](const test::Asked& what) -> Result<Response>
          {
            asked.push_back(what);
            if (answers.empty())
            {
              stop = true;
              return fail(ErrorCode::unavailable, "nobody answers any more");
            }
            const auto answer = answers.front();
            answers.pop_front();
            return answer(what);
          });
    };
    means.wait = [&](std::chrono::milliseconds time)
    {
      ++waits;
      waited = time;
    };
    stop = false;
    return join_service(configuration, std::move(means));
  }
  test::FakeClient::Answer says(Response response) const
  {
    return [response = std::move(response)](const test::Asked&) { return response; };
  }
  test::FakeClient::Answer pending() const
  {
    return says(Response::json(R"({"node_id":"","node_status":"Pending"})"));
  }
  test::FakeClient::Answer lets_in() const
  {
    return [this](const test::Asked& what) { return service.let_in(what.key()); };
  }
  test::FakeClient::Answer ledger(Seqno from = 1) const
  {
    return says(service.ledger(from));
  }

  test::ServiceToJoin service;
  base::SimulatedFileSystem files{9};
  attestation::SealedFiles sealed_files{files, std::string(32, 'k')};
  SealedState sealed{files, sealed_files, "sealed"};
  std::unique_ptr<attestation::VirtualPlatform> platform =
      attestation::VirtualPlatform::open(files, "keys/sealing.key", Digest{1}).value();
  test::FakeClock clock;
  Configuration configuration;
  std::map<std::string, std::string> addresses{{"main", "10.0.0.2:8080"}};
  std::atomic<bool> stop{false};
  std::vector<test::Asked> asked;
  int waits = 0;
  std::chrono::milliseconds waited{0};
};
}

TEST_F(Join, ATrustedNodeHasSecretsAndLedger)
{
  const auto identity = join({lets_in(), ledger()});
  ASSERT_TRUE(identity) << identity.error().describe();
  EXPECT_TRUE(identity->service_created);
  EXPECT_EQ(identity->joined, (JoinedService{"issuer", "subject"}));
  EXPECT_EQ(identity->service_key.public_key().id(), service.key.public_key().id());
  EXPECT_EQ(identity->node_id(), asked[0].key().id());

  files.crash();
  EXPECT_FALSE(sealed.has_keys());
  const auto found = sealed.load_identity();
  ASSERT_TRUE(found) << found.error().describe();
  EXPECT_EQ(found->node_id(), identity->node_id());
  EXPECT_EQ(found->joined, identity->joined);
  EXPECT_EQ(found->ledger_secrets->at(1).raw(), service.secrets.at(1).raw());
  const auto durable = sealed.load();
  ASSERT_TRUE(durable);
  EXPECT_EQ(durable->mark, service.end());
  EXPECT_EQ(durable->term, service.end().txid.view);
  EXPECT_EQ(durable->vote, 0U);
  EXPECT_TRUE(durable->several) << "it does not believe that it is alone";
  const auto chunks = ledger::ChunkFiles::open(files, configuration.ledger_directory, service.secrets);
  ASSERT_TRUE(chunks);
  EXPECT_EQ((*chunks)->last(), 5U);
}

TEST_F(Join, WhatIsAskedShowsWhoAsks)
{
  (void)join({pending()});
  ASSERT_FALSE(asked.empty());
  EXPECT_EQ(asked[0].method + " " + asked[0].target, "POST /node/join");
  EXPECT_EQ(asked[0].options.url, "https://10.0.0.1:8080");
  EXPECT_EQ(asked[0].options.service_certificate_pem, service.certificate.pem());
  const auto request = read_join_request(asked[0].body);
  ASSERT_TRUE(request) << request.error().describe();
  EXPECT_EQ(request->node_to_node_interface.at("published_address"), "10.0.0.2:8081");
  EXPECT_EQ(request->rpc_interfaces.at("main").at("published_address"), "10.0.0.2:8080");
  const auto claims = attestation::check_evidence(request->format, request->quote, request->endorsements);
  ASSERT_TRUE(claims);
  EXPECT_EQ(base::to_hex(base::as_view(claims->report_data)), asked[0].key().id());
}

TEST_F(Join, ItAsksUntilItIsTrusted)
{
  configuration.join->retry_timeout = std::chrono::milliseconds(250);
  const auto identity = join({pending(), pending(), lets_in(), ledger()});
  ASSERT_TRUE(identity) << identity.error().describe();
  EXPECT_EQ(waits, 2);
  EXPECT_EQ(waited, std::chrono::milliseconds(250));
}

TEST_F(Join, AfterARestartTheSameNodeAsks)
{
  const auto stopped = join({pending()});
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::unavailable);
  const auto before = asked[0].key().id();
  asked.clear();
  files.crash();
  const auto identity = join({lets_in(), ledger()});
  ASSERT_TRUE(identity) << identity.error().describe();
  EXPECT_EQ(asked[0].key().id(), before);
}

TEST_F(Join, ItsKeyIsSealedBeforeItAsks)
{
  const auto refused = join(
      {[&](const test::Asked&) -> Result<Response>
       {
         files.crash();
         EXPECT_TRUE(sealed.has_keys());
         return Response::error(401, "InvalidQuote", "no");
       }});
  EXPECT_FALSE(refused);
}

TEST_F(Join, ANodeThatIsRefusedStops)
{
  for (const int status : {400, 401, 403, 404})
  {
    asked.clear();
    const auto refused = join({says(Response::error(status, "InvalidQuote", "not\nyou"))});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::denied);
    EXPECT_NE(refused.error().describe().find("InvalidQuote: not?you"), std::string::npos);
    EXPECT_EQ(asked.size(), 1U);
  }
  EXPECT_EQ(waits, 0);
}

TEST_F(Join, WhatMayPassIsTriedAgain)
{
  const auto identity = join(
      {says(Response::error(500, "InternalError", "not now")), says(Response::error(503, "InternalError", "starting")),
       [](const test::Asked&) { return fail(ErrorCode::unavailable, "nobody listens"); },
       [](const test::Asked&) { return fail(ErrorCode::denied, "its certificate is not of the service"); },
       says(Response::json("{}")), lets_in(), ledger()});
  ASSERT_TRUE(identity) << identity.error().describe();
  EXPECT_EQ(waits, 5);
}

TEST_F(Join, ItGoesWhereItIsSentAndThenBeginsAnew)
{
  auto elsewhere = Response::error(308, "NodeCannotHandleRequest", "ask the primary");
  elsewhere.headers.emplace_back("location", "https://10.0.0.3:8080/node/join");
  const auto identity = join({says(elsewhere), pending(), says(elsewhere), lets_in(), ledger()});
  ASSERT_TRUE(identity) << identity.error().describe();
  std::vector<std::string> urls;
  for (const auto& one : asked)
    urls.push_back(one.options.url);
  EXPECT_EQ(
      urls, (std::vector<std::string>{
                "https://10.0.0.1:8080", "https://10.0.0.3:8080", "https://10.0.0.1:8080", "https://10.0.0.3:8080",
                "https://10.0.0.3:8080"}))
      << "the ledger comes from whoever has let it in";
}

TEST_F(Join, ItGoesNowhereItShouldNot)
{
  for (const auto* const location :
       {"", "http://10.0.0.3:8080/node/join", "https://10.0.0.3:8080/node/create", "/node/join",
        "https://nowhere/node/join", "https://a b:80/x?/node/join"})
  {
    asked.clear();
    auto elsewhere = Response::error(308, "NodeCannotHandleRequest", "ask the primary");
    elsewhere.headers.emplace_back("location", location);
    EXPECT_FALSE(join({says(elsewhere)})) << location;
    for (const auto& one : asked)
      EXPECT_EQ(one.options.url, "https://10.0.0.1:8080") << location;
  }
}

TEST_F(Join, NodesThatSendItInCirclesDoNotKeepIt)
{
  auto elsewhere = Response::error(307, "NodeCannotHandleRequest", "ask the primary");
  elsewhere.headers.emplace_back("location", "https://10.0.0.3:8080/node/join");
  const auto identity =
      join({says(elsewhere), says(elsewhere), says(elsewhere), says(elsewhere), says(elsewhere), lets_in(), ledger()});
  ASSERT_TRUE(identity) << identity.error().describe();
  EXPECT_EQ(waits, 1);
}

TEST_F(Join, IfItMayNotFollowItAsksTheSameNodeAgain)
{
  configuration.join->follow_redirect = false;
  auto elsewhere = Response::error(308, "NodeCannotHandleRequest", "ask the primary");
  elsewhere.headers.emplace_back("location", "https://10.0.0.3:8080/node/join");
  const auto identity = join({says(elsewhere), lets_in(), ledger()});
  ASSERT_TRUE(identity);
  EXPECT_EQ(asked[1].options.url, "https://10.0.0.1:8080");
}

TEST_F(Join, SecretsOfAnotherServiceAreNotTaken)
{
  const test::ServiceToJoin other;
  const auto stopped = join({[&](const test::Asked& what) { return other.let_in(what.key()); }});
  ASSERT_FALSE(stopped);
  EXPECT_FALSE(sealed.has_identity());
  EXPECT_EQ(asked.size(), 2U) << "the ledger is not asked for";
}

TEST_F(Join, ACertificateForAnotherNodeIsNotTaken)
{
  const auto other = crypto::KeyPair::generate(crypto::Curve::p256);
  EXPECT_FALSE(join({[&](const test::Asked&) { return service.let_in(other.public_key()); }}));
  EXPECT_FALSE(sealed.has_identity());
}

TEST_F(Join, WithoutALedgerItHasNotJoined)
{
  auto wrong = service.ledger(1);
  wrong.body = wrong.body.substr(1);
  EXPECT_FALSE(join({lets_in(), says(wrong)}));
  EXPECT_FALSE(sealed.has_identity());
  EXPECT_TRUE(sealed.has_keys());
}

TEST_F(Join, ABrokenConnectionIsGoneOnFrom)
{
  auto half = service.ledger(1);
  half.body.resize(half.body.size() / 2);
  half.status = 0;
  const auto identity = join({lets_in(), says(half), lets_in(), ledger(3)});
  ASSERT_TRUE(identity) << identity.error().describe();
  EXPECT_EQ(asked.back().target, "/node/concordat/entries?from=3");
}

TEST_F(Join, WhatAnEarlierProcessHasReceivedIsThrownAway)
{
  auto half = service.ledger(1);
  half.body.resize(half.body.size() / 2);
  half.status = 0;
  EXPECT_FALSE(join({lets_in(), says(half)}));
  ASSERT_FALSE(files.list(configuration.ledger_directory)->empty());
  const auto identity = join({lets_in(), ledger()});
  ASSERT_TRUE(identity) << identity.error().describe();
  EXPECT_EQ(asked.back().target, "/node/concordat/entries?from=1");
}

TEST_F(Join, ALedgerThatIsNotItsOwnStays)
{
  ASSERT_TRUE(files.make_directory(configuration.ledger_directory));
  ASSERT_TRUE(files.replace(base::join(configuration.ledger_directory, "ledger_1"), "somebody's"));
  const auto refused = join({lets_in(), ledger()});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::exists);
  EXPECT_TRUE(asked.empty());
  EXPECT_TRUE(files.exists(base::join(configuration.ledger_directory, "ledger_1")));
}

TEST_F(Join, WithoutTheCertificateOfTheServiceNobodyIsAsked)
{
  ASSERT_TRUE(files.replace("service_cert.pem", "no certificate"));
  EXPECT_FALSE(join({lets_in(), ledger()}));
  ASSERT_TRUE(files.remove("service_cert.pem"));
  EXPECT_FALSE(join({lets_in(), ledger()}));
  EXPECT_TRUE(asked.empty());
}

TEST_F(Join, APowerFailureAtAnyMomentLeavesANodeThatJoins)
{
  for (std::uint64_t operations = 0; operations < 200; ++operations)
  {
    base::SimulatedFileSystem disk{operations + 1};
    ASSERT_TRUE(disk.replace("service_cert.pem", service.certificate.pem()));
    attestation::SealedFiles boxes{disk, std::string(32, 'k')};
    SealedState state{disk, boxes, "sealed"};
    const auto attempt = [&]() -> Result<Identity>
    {
      JoinMeans means{state, disk, clock, *platform, addresses, stop};
      means.connect = [&](http::ClientOptions options) -> Result<std::unique_ptr<http::Client>>
      {
        return std::make_unique<test::FakeClient>(
            std::move(options), [&](const test::Asked& what)
            { return what.method == "POST" ? service.let_in(what.key()) : service.ledger(1); }, 1000);
      };
      means.wait = [](std::chrono::milliseconds) {};
      return join_service(configuration, std::move(means));
    };
    disk.set_crash_after(operations);
    const bool joined = attempt().has_value();
    const bool passed = !disk.crashed();
    disk.crash();
    if (!joined && !state.has_identity())
    {
      const auto again = attempt();
      ASSERT_TRUE(again) << operations << ": " << again.error().describe();
    }
    const auto identity = state.load_identity();
    ASSERT_TRUE(identity) << operations << ": " << identity.error().describe();
    EXPECT_EQ(state.load()->mark, service.end()) << operations;
    const auto chunks = ledger::ChunkFiles::open(disk, configuration.ledger_directory, *identity->ledger_secrets);
    ASSERT_TRUE(chunks) << operations << ": " << chunks.error().describe();
    EXPECT_EQ((*chunks)->last(), 5U) << operations;
    if (passed)
      return;
  }
  FAIL() << "a whole attempt has more operations than were tried";
}
}
