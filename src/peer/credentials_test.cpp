#include "peer/credentials.h"

#include "base/encoding.h"
#include "peer/test_service.h"

#include <gtest/gtest.h>

namespace concordat::peer
{
namespace
{
using test::TestNodeKeys;
using test::TestService;

std::string der(const TestNodeKeys& node)
{
  return crypto::Certificate::from_pem(node.identity.certificate_pem)->der();
}

TEST(Credentials, WhatTheServiceEndorsedCountsWhateverItsTimes)
{
  const TestService service;
  for (const std::int64_t valid_from : {std::int64_t{0}, test::second_of_2026, std::int64_t{4'000'000'000}})
  {
    TestNodeKeys node;
    service.endorse(node, valid_from);
    const auto presented = present(der(node), service.keys());
    EXPECT_TRUE(presented.endorsed) << valid_from;
    EXPECT_EQ(presented.id, node.id());
  }
}

TEST(Credentials, AnyGenerationOfTheServiceEndorses)
{
  const TestService before;
  const TestService now;
  const auto node = before.node();
  EXPECT_TRUE(present(der(node), {now.key.public_key(), before.key.public_key()}).endorsed);
  EXPECT_FALSE(present(der(node), {now.key.public_key()}).endorsed);
}

TEST(Credentials, NobodyElseEndorses)
{
  const TestService service;
  const auto node = service.node();
  EXPECT_FALSE(present(der(TestService().node()), service.keys()).endorsed);
  EXPECT_FALSE(present(der(TestService::self_signed_node()), service.keys()).endorsed);
  EXPECT_FALSE(present(der(node), {}).endorsed);
  EXPECT_FALSE(present(der(node), {node.key.public_key()}).endorsed);
  EXPECT_FALSE(present(service.certificate.der(), service.keys()).endorsed) << "the service itself is no node";

  // A node cannot make nodes: what it signs is not what the service signed.
  TestNodeKeys child;
  const auto parent = crypto::Certificate::from_pem(node.identity.certificate_pem);
  const auto forged =
      crypto::issue(child.key.public_key(), TestService::request("CN=child", test::second_of_2026), node.key, *parent);
  EXPECT_FALSE(present(forged->der(), service.keys()).endorsed);

  TestNodeKeys authority;
  service.endorse(authority, test::second_of_2026, true);
  EXPECT_FALSE(present(der(authority), service.keys()).endorsed) << "another authority is no node";
}

TEST(Credentials, WhatIsNoCertificateIsNobody)
{
  const TestService service;
  auto changed = der(service.node());
  changed[changed.size() / 2] ^= 1;
  for (const auto& bytes : {std::string(), std::string("x"), changed, der(service.node()) + "x"})
  {
    const auto presented = present(bytes, service.keys());
    EXPECT_FALSE(presented.endorsed);
  }
}

class JudgeTest : public testing::Test
{
protected:
  JudgeTest()
  {
    hello.service = service_digest(service.keys());
    hello.from = *to_wire(caller.id());
    hello.to = *to_wire(called.id());
    hello.binding.fill(5);
  }
  Refusal judged() const
  {
    return judge(
        hello, {caller.id(), endorsed}, binding, terms, service.keys(), [this](const NodeId&) { return member; });
  }

  TestService service;
  TestNodeKeys caller;
  TestNodeKeys called;
  Terms terms{called.id(), {1, 2}};
  Hello hello;
  std::string binding = std::string(32, 5);
  bool endorsed = true;
  bool member = true;
};

TEST_F(JudgeTest, WhoIsAllThatIsWelcome)
{
  EXPECT_EQ(judged(), Refusal::none);
}

TEST_F(JudgeTest, EachThingThatIsWrongIsNamed)
{
  const auto right = hello;
  hello.from = *to_wire(called.id());
  EXPECT_EQ(judged(), Refusal::sender);
  hello = right;
  hello.to = *to_wire(caller.id());
  EXPECT_EQ(judged(), Refusal::recipient);
  hello = right;
  hello.service.fill(9);
  EXPECT_EQ(judged(), Refusal::service);
  hello = right;
  hello.versions = {3, 4};
  EXPECT_EQ(judged(), Refusal::version);
  hello = right;
  binding.back() = 6;
  EXPECT_EQ(judged(), Refusal::binding);
  binding.clear();
  EXPECT_EQ(judged(), Refusal::binding);
  binding.assign(32, 5);
  member = false;
  EXPECT_EQ(judged(), Refusal::membership);
  endorsed = false;
  EXPECT_EQ(judged(), Refusal::certificate) << "a stranger learns nothing of the members";
}

TEST_F(JudgeTest, AnAnswerIsHeldAgainstWhoWasCalled)
{
  Answer answer{Refusal::none, 2, service_digest(service.keys())};
  const auto judge_answer = [&](const Presented& presented)
  { return judge(answer, presented, called.id(), terms, service.keys()); };
  EXPECT_EQ(judge_answer({called.id(), true}), Refusal::none);
  EXPECT_EQ(judge_answer({called.id(), false}), Refusal::certificate);
  EXPECT_EQ(judge_answer({caller.id(), true}), Refusal::recipient);
  answer.version = 3;
  EXPECT_EQ(judge_answer({called.id(), true}), Refusal::version);
  answer.version = 0;
  EXPECT_EQ(judge_answer({called.id(), true}), Refusal::version);
  answer.version = 1;
  answer.service.fill(1);
  EXPECT_EQ(judge_answer({called.id(), true}), Refusal::service);
  answer.refusal = Refusal::membership;
  EXPECT_EQ(judge_answer({called.id(), true}), Refusal::membership);
}

TEST(Credentials, IdsHaveOneForm)
{
  const auto id = TestNodeKeys().id();
  ASSERT_TRUE(to_wire(id));
  EXPECT_EQ(from_wire(*to_wire(id)), id);
  std::string upper = id;
  for (auto& c : upper)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  upper[0] = 'A';
  EXPECT_FALSE(to_wire(upper));
  EXPECT_FALSE(to_wire(id.substr(2)));
  EXPECT_FALSE(to_wire("not an id"));
}

TEST(Credentials, OnesThatCannotBeUsedAreRefused)
{
  const TestService service;
  const auto node = service.node();
  EXPECT_TRUE(make_context(node.identity));
  EXPECT_FALSE(make_context({node.identity.certificate_pem, service.node().identity.private_key_pem}));
  EXPECT_FALSE(make_context({"nonsense", node.identity.private_key_pem}));
  EXPECT_FALSE(make_context({node.identity.certificate_pem, ""}));
  EXPECT_FALSE(node_id_of({"nonsense", ""}));
}
}
}
