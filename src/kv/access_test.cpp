#include "kv/access.h"

#include "kv/test_store.h"
#include "kv/transaction_impl.h"

#include <functional>

namespace concordat::kv
{
/// Reaches behind a transaction's checks, as a bug elsewhere might.
struct AccessTest
{
  static void write_unchecked(WriteTransaction& tx, std::string_view name, std::string_view key)
  {
    tx.impl_->writes[std::string(name)][std::string(key)] = "v";
  }
};
}

namespace concordat::kv::test
{
namespace
{
constexpr RunBy everybody[] = {RunBy::application, RunBy::governance_check, RunBy::governance_apply, RunBy::node};

struct Row
{
  std::string_view map;
  std::string_view allowed[4]; ///< as in `everybody`: r, w, rw or nothing
};

/// js-apps.md §6.1, with the node itself as the last column; and names that only look like those of others.
constexpr Row matrix[] = {
    {"records", {"rw", "", "", ""}},
    {"", {"rw", "", "", ""}},
    {"public:records", {"rw", "", "w", ""}},
    {"public:", {"rw", "", "w", ""}},
    {"public:ccf.gov.members.certs", {"r", "r", "rw", "rw"}},
    {"public:ccf.gov.reconciliation.settings", {"r", "r", "rw", "rw"}},
    {"public:ccf.gov.", {"r", "r", "rw", "rw"}},
    {"public:ccf.internal.signatures", {"r", "r", "r", "rw"}},
    {"public:ccf.internal.", {"r", "r", "r", "rw"}},
    {"ccf.gov.x", {"", "", "", "rw"}},
    {"ccf.internal.x", {"", "", "", "rw"}},
    {"ccf.", {"", "", "", ""}},
    {"ccf.gov", {"", "", "", ""}},
    {"ccf.other", {"", "", "", ""}},
    {"public:ccf.", {"", "", "", ""}},
    {"public:ccf.internal", {"", "", "", ""}},
    {"public:ccf.other.x", {"", "", "", ""}},
    {"ccf", {"rw", "", "", ""}},
    {"ccfx.gov.x", {"rw", "", "", ""}},
    {"CCF.internal.x", {"rw", "", "", ""}},
    {"Public:ccf.internal.x", {"rw", "", "", ""}},
    {"public:public:ccf.internal.x", {"rw", "", "w", ""}},
    {" ccf.internal.x", {"rw", "", "", ""}},
};

bool throws_denied(const std::function<void()>& run, std::string_view name)
{
  try
  {
    run();
  }
  catch (const AccessDenied& denied)
  {
    EXPECT_NE(std::string(denied.what()).find(name), std::string::npos) << denied.what();
    return true;
  }
  return false;
}

TEST(Access, EveryMethodKeepsToTheMatrix)
{
  for (const auto& row : matrix)
    for (std::size_t i = 0; i < std::size(everybody); ++i)
    {
      const auto runs_by = everybody[i];
      const bool may_read = row.allowed[i].starts_with("r");
      const bool may_write = row.allowed[i].ends_with("w");
      SCOPED_TRACE(std::string(row.map) + ", runner " + std::to_string(i));
      EXPECT_EQ(rights(runs_by, row.map), (Rights{may_read, may_write}));

      Store store;
      const auto tx = store.begin(runs_by);
      EXPECT_EQ(throws_denied([&] { tx->put(row.map, "k", "v"); }, row.map), !may_write);
      EXPECT_EQ(throws_denied([&] { tx->remove(row.map, "k"); }, row.map), !may_write);
      EXPECT_EQ(throws_denied([&] { tx->get(row.map, "k"); }, row.map), !may_read);
      EXPECT_EQ(throws_denied([&] { tx->has(row.map, "k"); }, row.map), !may_read);
      EXPECT_EQ(throws_denied([&] { tx->version(row.map, "k"); }, row.map), !may_read);
      EXPECT_EQ(throws_denied([&] { tx->scan(row.map); }, row.map), !may_read);
      EXPECT_EQ(tx->writes().contains(row.map), may_write);
      EXPECT_EQ(tx->touched(), may_read || may_write);

      SnapshotTransaction snapshot(store.committed(), runs_by);
      EXPECT_EQ(throws_denied([&] { snapshot.get(row.map, "k"); }, row.map), !may_read);
      EXPECT_EQ(throws_denied([&] { snapshot.version(row.map, "k"); }, row.map), !may_read);
      EXPECT_EQ(throws_denied([&] { snapshot.scan(row.map); }, row.map), !may_read);
      EXPECT_EQ(snapshot.touched(), may_read);
    }
}

TEST(Access, WhoIsNotNamedHasTheRightsOfAnApplication)
{
  Store store;
  EXPECT_EQ(store.begin()->runs_by(), RunBy::application);
  EXPECT_EQ(store.begin_fresh()->runs_by(), RunBy::application);
  EXPECT_EQ(store.begin(RunBy::node)->runs_by(), RunBy::node);
  EXPECT_EQ(store.begin_fresh(RunBy::governance_apply)->runs_by(), RunBy::governance_apply);
  EXPECT_THROW(SnapshotTransaction(store.committed()).get("ccf.internal.x", "k"), AccessDenied);
}

TEST(Access, ATransactionGoesOnAfterARefusal)
{
  Store store;
  const auto tx = store.begin();
  tx->put(map, "a", "1");
  EXPECT_THROW(tx->put("public:ccf.internal.signatures", "k", "v"), AccessDenied);
  EXPECT_THROW(tx->get("ccf.internal.x", "k"), AccessDenied);
  tx->put(map, "b", "2");
  EXPECT_EQ(tx->get(map, "a"), "1");
  ASSERT_TRUE(commit(store, tx));
  const auto state = store.begin_fresh()->base();
  EXPECT_EQ(state->maps().size(), 1U);
  EXPECT_EQ(state->find(map)->tree.size(), 2U);
}

// What the framework adds to an application's transaction gives the application no rights, before or after.
TEST(Access, TheNodesPartOfATransactionIsTheNodesAlone)
{
  const std::string_view ours = "ccf.internal.x";
  Store store;
  const auto tx = store.begin();
  tx->put(map, "a", "1");
  EXPECT_THROW(tx->put(ours, "k", "v"), AccessDenied);
  tx->as_node(
      [&](Transaction& as_node)
      {
        EXPECT_THROW(as_node.put(map, "b", "2"), AccessDenied);
        EXPECT_THROW(as_node.get(map, "a"), AccessDenied);
        as_node.put(ours, "k", "v");
        EXPECT_EQ(as_node.get(ours, "k"), "v");
      });
  EXPECT_THROW(tx->get(ours, "k"), AccessDenied);
  EXPECT_THROW(tx->put(ours, "l", "v"), AccessDenied);
  EXPECT_THROW(tx->remove(ours, "k"), AccessDenied);
  EXPECT_THROW(tx->scan(ours), AccessDenied);
  tx->put(map, "b", "2");
  EXPECT_THROW(tx->as_node([](Transaction&) { throw std::runtime_error("as the test wants it"); }), std::runtime_error);
  EXPECT_THROW(tx->put(ours, "l", "v"), AccessDenied);
  ASSERT_TRUE(commit(store, tx));
  EXPECT_EQ(store.begin_fresh()->base()->find(ours)->tree.size(), 1U);

  const auto other = store.begin();
  other->as_node([&](Transaction& as_node) { as_node.put(ours, "k", "w"); });
  AccessTest::write_unchecked(*other, "ccf.internal.y", "k");
  EXPECT_EQ(commit(store, other).error().code, ErrorCode::denied) << "one map of the node's brings no other";
}

// A map may be read before the write is refused, and written before the read is.
TEST(Access, OneRightDoesNotBringTheOther)
{
  Store store;
  const auto reads_first = store.begin();
  EXPECT_FALSE(reads_first->get("public:ccf.gov.members.certs", "k"));
  EXPECT_THROW(reads_first->put("public:ccf.gov.members.certs", "k", "v"), AccessDenied);
  EXPECT_TRUE(reads_first->writes().empty());

  const auto writes_first = store.begin(RunBy::governance_apply);
  writes_first->put(map, "k", "v");
  EXPECT_THROW(writes_first->get(map, "k"), AccessDenied);
  EXPECT_THROW(writes_first->scan(map), AccessDenied);
}

TEST(Access, WhatMayNotBeWrittenIsNotOrdered)
{
  for (const auto& row : matrix)
    for (std::size_t i = 0; i < std::size(everybody); ++i)
    {
      SCOPED_TRACE(std::string(row.map) + ", runner " + std::to_string(i));
      Store store;
      const auto tx = store.begin(everybody[i]);
      AccessTest::write_unchecked(*tx, row.map, "k");
      bool ordered = false;
      const auto done = store.commit(*tx, [&](Store::Order&) { return ordered = true, Result<void>(); });
      const bool may_write = row.allowed[i].ends_with("w");
      EXPECT_EQ(done.has_value(), may_write);
      EXPECT_EQ(ordered, may_write);
      EXPECT_EQ(store.head_seqno(), may_write ? 1U : 0U);
      if (!done)
      {
        EXPECT_EQ(done.error().code, ErrorCode::denied);
        EXPECT_TRUE(store.begin_fresh()->base()->maps().empty());
      }
    }
}

TEST(Access, ARefusalSaysWhoMayDoWhat)
{
  EXPECT_EQ(
      refusal(RunBy::application, Access::write, "public:ccf.internal.signatures"),
      "an application may not write the map 'public:ccf.internal.signatures', only read it");
  EXPECT_EQ(
      refusal(RunBy::governance_apply, Access::read, "public:records"),
      "a proposal may not read the map 'public:records', only write it");
  EXPECT_EQ(
      refusal(RunBy::application, Access::read, "ccf.\n"),
      "an application may not read the map 'ccf.?': names that begin with 'ccf.' are reserved");
}
}
}
