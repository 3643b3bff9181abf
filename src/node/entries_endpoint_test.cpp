#include "node/entries_endpoint.h"

#include "base/encoding.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"
#include "node/json.h"
#include "node/test_join.h"
#include "node/test_support.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

/// The fake node's state says that its last transaction is a signature, and its ledger that of `service`.
class EntriesEndpoint : public testing::Test
{
protected:
  EntriesEndpoint()
  {
    const auto last = service.tree.size() - 1;
    auto below = ledger::MerkleTree();
    for (Seqno seqno = 1; seqno <= last; ++seqno)
    {
      node.ordering.entries[seqno] = service.entries[seqno - 1];
      if (seqno < last)
        below.append(ledger::parse_entry(service.entries[seqno - 1])->leaf());
    }
    put(ledger::signatures_table, ledger::single_key,
        to_canonical_json(json::object{
            {"node", "n"},
            {"root", base::to_hex(base::as_view(below.root()))},
            {"seqno", last},
            {"sig", ""},
            {"view", service.view},
            {"commit_seqno", 0},
            {"commit_view", 0},
            {"hashed_nonce", std::string(64, '0')}}));
    put(ledger::tree_table, ledger::single_key, below.serialise());
    node.serve({}, {entries_endpoint(node.services)});
  }
  void put(std::string_view table, std::string_view key, std::string_view value)
  {
    const auto transaction = node.store.begin_fresh(kv::RunBy::node);
    transaction->put(table, key, value);
    ASSERT_TRUE(node.ordering.submit(*transaction, {}, {}));
    node.ordering.settle();
  }
  void set_status(const crypto::Certificate& who, std::string_view status)
  {
    put(tables::node_info, who.public_key().id(), to_canonical_json(json::object{{"status", status}}));
  }
  Response ask(const crypto::Certificate* who, const std::string& query)
  {
    Request request;
    request.method = "GET";
    request.path = "/node/concordat/entries";
    request.query = query;
    session = node.session(who);
    const auto sent = node.send(*session, request);
    while (!node.pool.jobs.empty())
      node.pool.take().run();
    return sent->answer.value();
  }
  static std::string body_of(const Response& response)
  {
    std::string all;
    std::string piece;
    while (response.stream && response.stream->next(piece))
      all += piece;
    return all;
  }

  test::FakeNode node;
  test::ServiceToJoin service;
  const crypto::Certificate joiner = test::certificate("joiner");
  std::shared_ptr<http::Session> session;
};
}

TEST_F(EntriesEndpoint, ATrustedNodeIsGivenTheLedgerUpToItsLastSignature)
{
  set_status(joiner, "Trusted");
  for (const Seqno from : {1, 3, 5})
  {
    const auto response = ask(&joiner, "from=" + std::to_string(from));
    ASSERT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(test::header_of(response, "x-concordat-committed"), service.end().txid.to_string());
    EXPECT_EQ(test::header_of(response, "x-concordat-root"), base::to_hex(base::as_view(service.end().root)));
    EXPECT_TRUE(body_of(response) == service.bytes(from)) << from;
  }
}

TEST_F(EntriesEndpoint, WhoHasItAllIsGivenNothingMore)
{
  set_status(joiner, "Trusted");
  const auto response = ask(&joiner, "from=6");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(body_of(response), "");
  EXPECT_EQ(ask(&joiner, "from=7").status, 404);
}

TEST_F(EntriesEndpoint, NobodyElseIsGivenAnything)
{
  EXPECT_EQ(ask(nullptr, "from=1").status, 401);
  EXPECT_EQ(ask(&joiner, "from=1").status, 401);
  EXPECT_EQ(ask(&node.member, "from=1").status, 401);
  for (const auto* const status : {"Pending", "Retired", ""})
  {
    set_status(joiner, status);
    const auto response = ask(&joiner, "from=1");
    EXPECT_EQ(response.status, 403) << status;
    EXPECT_FALSE(response.stream) << status;
  }
}

TEST_F(EntriesEndpoint, WhereToBeginMustBeSaid)
{
  set_status(joiner, "Trusted");
  for (const auto* const query : {"", "from", "from=", "from=0", "from=-1", "from=1x", "from=99999999999999999999999"})
    EXPECT_EQ(ask(&joiner, query).status, 400) << query;
}

TEST_F(EntriesEndpoint, ALargeEntryIsHandedOutInPieces)
{
  set_status(joiner, "Trusted");
  const std::string large(1'000'000, 'x');
  node.ordering.entries[2] = large;
  const auto response = ask(&joiner, "from=2");
  std::string piece;
  std::string all;
  while (response.stream->next(piece))
  {
    EXPECT_LE(piece.size(), std::size_t{64} << 10);
    all += piece;
  }
  EXPECT_TRUE(all == large + service.bytes(3));
}

TEST_F(EntriesEndpoint, AnEntryThatCannotBeReadEndsTheAnswer)
{
  set_status(joiner, "Trusted");
  node.ordering.entries.erase(3);
  const auto response = ask(&joiner, "from=2");
  EXPECT_TRUE(body_of(response) == service.entries[1]);
}
}
