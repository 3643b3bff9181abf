#pragma once

#include "kv/store.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace concordat::kv::test
{
inline constexpr auto map = "public:records";
using Pairs = std::vector<std::pair<std::string, std::string>>;

inline Result<Seqno> commit(Store& store, const std::unique_ptr<WriteTransaction>& tx)
{
  const auto txid = store.commit(*tx, {});
  if (!txid)
    return std::unexpected(txid.error());
  return txid->seqno;
}

/// Writes in a transaction of its own, over the head; later ones begin behind it.
inline void write(Store& store, std::string_view name, const Pairs& puts)
{
  const auto tx = store.begin_fresh();
  for (const auto& [key, value] : puts)
    tx->put(name, key, value);
  ASSERT_TRUE(commit(store, tx));
  store.begin_fresh();
}

inline Pairs all(Cursor& cursor)
{
  Pairs found;
  while (cursor.next())
    found.emplace_back(cursor.key(), cursor.value());
  return found;
}

inline void expect_equal(const State& state, const State& expected)
{
  ASSERT_EQ(state.txid(), expected.txid());
  ASSERT_EQ(state.maps().size(), expected.maps().size());
  for (const auto& [name, tree, version] : expected.maps())
  {
    const auto* const found = state.find(name);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->version, version);
    found->tree.check();
    EXPECT_EQ(found->tree.size(), tree.size());
    auto x = found->tree.lower_bound("");
    for (auto y = tree.lower_bound(""); y.valid(); y.next(), x.next())
    {
      ASSERT_TRUE(x.valid());
      ASSERT_EQ(x.key(), y.key());
      ASSERT_EQ(x.version(), y.version());
      ASSERT_EQ(x.value(), y.value());
    }
    ASSERT_FALSE(x.valid());
  }
}

template <typename Id> bool refused(const Result<Id>& result)
{
  return !result && result.error().code == ErrorCode::conflict;
}
}
