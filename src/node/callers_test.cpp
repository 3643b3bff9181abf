#include "node/callers.h"

#include "node/test_support.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace
{
using test::day;
using test::noon;

using Policies = std::vector<AuthPolicy>;

/// A committed state that changes by one entry at a time, each at a seqno of its own.
class Tables
{
public:
  void put(std::string_view table, const std::string& key, const std::string& value)
  {
    apply(table, key, value);
  }
  void remove(std::string_view table, const std::string& key)
  {
    apply(table, key, std::nullopt);
  }
  kv::Snapshot committed() const
  {
    return std::make_shared<const kv::State>(state_);
  }

private:
  void apply(std::string_view table, const std::string& key, std::optional<std::string> value)
  {
    state_.apply({{std::string(table), {{key, std::move(value)}}}}, {2, ++seqno_});
  }

  kv::State state_;
  Seqno seqno_ = 0;
};

struct Known : testing::Test
{
  Known()
  {
    tables.put(tables::member_certs, member.id(), member.pem());
    tables.put(tables::user_certs, user.id(), user.pem());
  }

  /// The policy that passed and what is known of the caller, or the reasons why none passed.
  std::string ask(Client& client, const Policies& policies, std::int64_t now = noon)
  {
    boost::json::array details;
    return told(client.authenticate(policies, tables.committed(), now, details), details);
  }
  std::string ask_in_transaction(Client& client, const Policies& policies, std::int64_t now = noon)
  {
    boost::json::array details;
    kv::SnapshotTransaction state(tables.committed());
    return told(client.authenticate(policies, static_cast<ReadTransaction&>(state), now, details), details);
  }
  static std::string told(const std::optional<Caller>& caller, const boost::json::array& details)
  {
    if (caller)
      return std::string(policy_name(caller->policy)) + " " + boost::json::serialize(caller->data);
    std::string reasons;
    for (const auto& detail : details)
      reasons += std::string(detail.at("auth_policy").as_string()) + ": " +
                 std::string(detail.at("message").as_string()) + "; ";
    return reasons;
  }

  const crypto::Certificate member = test::certificate("member");
  const crypto::Certificate user = test::certificate("user");
  Tables tables;
};

using Callers = Known;
}

TEST_F(Callers, TheFirstPolicyThatPassesWins)
{
  tables.put(tables::user_certs, member.id(), member.pem()); // a member who is a user, too
  Client client(member.der());
  EXPECT_EQ(ask(client, {AuthPolicy::member_cert, AuthPolicy::user_cert}), "member_cert null");
  EXPECT_EQ(ask(client, {AuthPolicy::user_cert, AuthPolicy::member_cert}), "user_cert null");
  EXPECT_EQ(ask(client, {AuthPolicy::no_auth, AuthPolicy::member_cert}), "no_auth null");
  EXPECT_EQ(ask(client, {}), "no_auth null");
}

TEST_F(Callers, AreKnownWhenATableNamesThem)
{
  const auto stranger = test::certificate("stranger");
  const auto node = test::certificate("node");
  const auto is_known = [&](std::string_view der) { return is_known_caller(der, tables.committed()); };
  EXPECT_TRUE(is_known(member.der()));
  EXPECT_TRUE(is_known(user.der()));
  EXPECT_FALSE(is_known(stranger.der()));
  EXPECT_FALSE(is_known(node.der()));
  tables.put(tables::node_info, node.public_key().id(), "{}");
  EXPECT_TRUE(is_known(node.der()));
  tables.remove(tables::member_certs, member.id());
  EXPECT_FALSE(is_known(member.der()));
  EXPECT_FALSE(is_known(""));
  EXPECT_FALSE(is_known("not a certificate"));
}

TEST_F(Callers, WhoHasNoCertificateOrAnUnreadableOneIsToldSo)
{
  Client nobody("");
  EXPECT_EQ(
      ask(nobody, {AuthPolicy::member_cert, AuthPolicy::any_cert}),
      "member_cert: No caller certificate was given; any_cert: No caller certificate was given; ");
  EXPECT_EQ(ask(nobody, {AuthPolicy::member_cert, AuthPolicy::no_auth}), "no_auth null");
  Client broken("not a certificate");
  EXPECT_EQ(ask(broken, {AuthPolicy::any_cert}), "any_cert: The caller certificate cannot be read; ");
}

TEST_F(Callers, TheIdIsOfTheCertificateAndForNodesOfTheKey)
{
  boost::json::array details;
  tables.put(tables::node_info, user.public_key().id(), "{}");
  Client client(user.der());
  EXPECT_EQ(client.authenticate({AuthPolicy::user_cert}, tables.committed(), noon, details)->id, user.id());
  EXPECT_EQ(
      client.authenticate({AuthPolicy::node_cert}, tables.committed(), noon, details)->id, user.public_key().id());
  EXPECT_EQ(client.authenticate({AuthPolicy::any_cert}, tables.committed(), noon, details)->id, "");
  EXPECT_EQ(ask(client, {AuthPolicy::member_cert}), "member_cert: The caller is not a known member; ");
}

TEST_F(Callers, ALoginBelongsToThePoliciesThatItWasMadeWith)
{
  Client client(user.der());
  EXPECT_EQ(ask(client, {AuthPolicy::user_cert}), "user_cert null");
  EXPECT_EQ(ask(client, {AuthPolicy::member_cert}), "member_cert: The caller is not a known member; ");
  EXPECT_EQ(ask(client, {AuthPolicy::any_cert}), "any_cert null");
  EXPECT_EQ(ask(client, {AuthPolicy::no_auth}), "no_auth null") << "it reads no more tables than the one before";
  // Both tables were written in one transaction, as when a service is created.
  kv::State state;
  state.apply(
      {{std::string(tables::member_certs), {{member.id(), member.pem()}}},
       {std::string(tables::user_certs), {{user.id(), user.pem()}}}},
      {2, 1});
  const auto created = std::make_shared<const kv::State>(state);
  boost::json::array details;
  EXPECT_TRUE(client.authenticate({AuthPolicy::user_cert}, created, noon, details));
  EXPECT_FALSE(client.authenticate({AuthPolicy::member_cert}, created, noon, details));
  // The same place in memory, other policies: endpoints come and go.
  Policies policies{AuthPolicy::user_cert};
  EXPECT_EQ(ask(client, policies), "user_cert null");
  policies[0] = AuthPolicy::member_cert;
  EXPECT_EQ(ask(client, policies), "member_cert: The caller is not a known member; ");
}

TEST_F(Callers, ALoginEndsWhenATableItDependsOnChanges)
{
  Client client(member.der());
  const Policies policies{AuthPolicy::member_cert, AuthPolicy::user_cert};
  EXPECT_EQ(ask(client, policies), "member_cert null");
  tables.put("records", "k", "v");
  EXPECT_EQ(ask(client, policies), "member_cert null");
  tables.put(tables::member_info, member.id(), R"({"member_data":{"bank":1}})");
  EXPECT_EQ(ask(client, policies), R"(member_cert {"bank":1})");
  tables.put(tables::member_info, member.id(), R"({"member_data":{"bank":2}})");
  EXPECT_EQ(ask(client, policies), R"(member_cert {"bank":2})");
  tables.remove(tables::member_info, member.id());
  EXPECT_EQ(ask(client, policies), "member_cert null");
  tables.remove(tables::member_certs, member.id());
  EXPECT_EQ(
      ask(client, policies),
      "member_cert: The caller is not a known member; user_cert: The caller is not a known user; ");
  tables.put(tables::user_certs, member.id(), member.pem());
  EXPECT_EQ(ask(client, policies), "user_cert null");
  tables.put(tables::member_certs, member.id(), member.pem());
  EXPECT_EQ(ask(client, policies), "member_cert null") << "a policy that failed before comes first again";
}

TEST_F(Callers, AUsersCertificateIsValidFromItsFirstToItsLastSecondAlsoInAnOpenSession)
{
  const auto short_lived = test::certificate("short", noon, 1);
  tables.put(tables::user_certs, short_lived.id(), short_lived.pem());
  Client client(short_lived.der());
  const std::string not_valid = "The caller's certificate is not valid now; ";
  for (const auto& [policy, passes, fails] :
       {std::tuple{AuthPolicy::user_cert, "user_cert null", "user_cert: " + not_valid},
        std::tuple{AuthPolicy::any_cert, "any_cert null", "any_cert: " + not_valid}})
  {
    EXPECT_EQ(ask(client, {policy}, noon - 1), fails);
    EXPECT_EQ(ask(client, {policy}, noon), passes);
    EXPECT_EQ(ask(client, {policy}, noon + day - 1), passes);
    EXPECT_EQ(ask(client, {policy}, noon + day), fails) << "although it passed before on this connection";
    EXPECT_EQ(ask_in_transaction(client, {policy}, noon - 1), fails);
    EXPECT_EQ(ask_in_transaction(client, {policy}, noon), passes);
    EXPECT_EQ(ask_in_transaction(client, {policy}, noon + day), fails);
  }
}

TEST_F(Callers, APolicyThatDependsOnTimeIsTriedAgainWhenItsTimeHasCome)
{
  const auto early = test::certificate("early", noon + 1, 1);
  tables.put(tables::user_certs, early.id(), early.pem());
  tables.put(tables::member_certs, early.id(), early.pem());
  Client client(early.der());
  const Policies policies{AuthPolicy::user_cert, AuthPolicy::member_cert};
  EXPECT_EQ(ask(client, policies, noon), "member_cert null") << "a member's validity is not looked at";
  EXPECT_EQ(ask(client, policies, noon + 1), "user_cert null");
  EXPECT_EQ(ask(client, policies, noon + day + 1), "member_cert null");
}

TEST_F(Callers, DataIsThatOfTheTransactionWhateverWasReadBefore)
{
  tables.put(tables::user_info, user.id(), R"({"user_data":"one"})");
  Client client(user.der());
  EXPECT_EQ(ask_in_transaction(client, {AuthPolicy::user_cert}), R"(user_cert "one")");
  // Thrown away with its view: the same seqno stands for something else.
  Tables other;
  other.put(tables::member_certs, member.id(), member.pem());
  other.put(tables::user_certs, user.id(), user.pem());
  other.put(tables::user_info, user.id(), R"({"user_data":"two"})");
  tables = other;
  EXPECT_EQ(ask_in_transaction(client, {AuthPolicy::user_cert}), R"(user_cert "two")");
  tables.put(tables::user_info, user.id(), "not JSON");
  EXPECT_EQ(ask_in_transaction(client, {AuthPolicy::user_cert}), "user_cert null");
}

TEST_F(Callers, DataOfAUserIsNotThatOfAMember)
{
  tables.put(tables::user_certs, member.id(), member.pem());
  const std::string record = R"({"member_data":"as member","user_data":"as user"})";
  tables.put(tables::member_info, member.id(), record);
  tables.put(tables::user_info, member.id(), record);
  Client client(member.der());
  EXPECT_EQ(ask(client, {AuthPolicy::member_cert}), R"(member_cert "as member")");
  EXPECT_EQ(ask(client, {AuthPolicy::user_cert}), R"(user_cert "as user")");
}

TEST_F(Callers, AConnectionHasOneClient)
{
  http::Session session;
  session.client_certificate = member.der();
  const auto client = client_of(session);
  EXPECT_EQ(client_of(session), client);
  EXPECT_EQ(ask(*client, {AuthPolicy::member_cert}), "member_cert null");
}
}
