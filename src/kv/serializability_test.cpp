#include "kv/test_random.h"
#include "kv/test_store.h"

#include <atomic>
#include <functional>
#include <map>
#include <thread>

namespace concordat::kv
{
using namespace test;

// Every transaction moves an amount between two accounts after reading all of them; the sum stays, and each state
// that anyone sees has it.
TEST(Store, TransactionsOfManyThreadsAreSerializable)
{
  constexpr int threads = 4;
  constexpr int moves = 150;
  constexpr int accounts = 8;
  Store store;
  {
    Pairs start;
    for (int i = 0; i < accounts; ++i)
      start.emplace_back("account" + std::to_string(i), "100");
    write(store, map, start);
  }
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t)
    running.emplace_back(
        [&, t]
        {
          std::mt19937_64 random(static_cast<std::uint64_t>(t));
          for (int i = 0; i < moves; ++i)
          {
            bool done = false;
            for (auto tx = store.begin(); !done; tx = store.begin_fresh())
            {
              int sum = 0;
              const auto cursor = tx->scan_prefix(map, "account");
              while (cursor->next())
                sum += std::stoi(std::string(cursor->value()));
              EXPECT_EQ(sum, accounts * 100);
              const auto from = "account" + std::to_string(random() % accounts);
              const auto to = "account" + std::to_string(random() % accounts);
              tx->put(map, from, std::to_string(std::stoi(std::string(*tx->get(map, from))) - 1));
              tx->put(map, to, std::to_string(std::stoi(std::string(*tx->get(map, to))) + 1));
              done = commit(store, tx).has_value();
            }
          }
        });
  for (auto& thread : running)
    thread.join();
  EXPECT_EQ(store.head_seqno(), 1U + threads * moves);
}

// Replays random transactions, run in an interleaved way, one after the other in the order of their seqnos: a store
// that is serializable gives every one of them the same reads again.
TEST(Store, CommittedTransactionsReadWhatASerialRunReads)
{
  TestRandom random;
  struct Running
  {
    std::unique_ptr<WriteTransaction> tx;
    std::vector<std::function<std::string(Transaction&)>> operations;
    std::vector<std::string> results;
  };
  int conflicts = 0;
  for (int round = 0; round < 60; ++round)
  {
    Store store;
    State serial;
    std::map<Seqno, Running> committed;
    std::vector<Running> open;
    store.fill(store.reserve({}), {0, 1}, {{"signatures", {{"5", "first"}}}});
    serial.apply({{"signatures", {{"5", "first"}}}}, {0, 1});
    Seqno reserved = 0;
    Snapshot below;
    for (int step = 0; step < 300; ++step)
    {
      if (open.size() < 4)
        open.push_back({random.chance(70) ? store.begin() : store.begin_fresh(), {}, {}});
      if (random.chance(10))
      {
        if (reserved == 0)
          below = store.reserve([&](TxId txid) { reserved = txid.seqno; });
        else
        {
          Running signature{std::make_unique<WriteTransaction>(below), {}, {}};
          const auto text = std::to_string(step);
          signature.operations.push_back([text](Transaction& tx) { return tx.put("signatures", "5", text), ""; });
          signature.results.push_back(signature.operations.back()(*signature.tx));
          store.fill(below, {0, reserved}, signature.tx->writes());
          committed.emplace(reserved, std::move(signature));
          reserved = 0;
        }
      }
      const auto chosen = random.below(open.size());
      auto& running = open[chosen];
      const std::string name = random.chance(85) ? "records" : "signatures";
      const auto key = std::to_string(random.below(12));
      const auto value = std::to_string(step);
      const auto steps = random.below(4);
      std::function<std::string(Transaction&)> operation;
      switch (random.below(7))
      {
      case 0:
      case 1:
        operation = [name, key](Transaction& tx) { return std::string(tx.get(name, key).value_or("none")); };
        break;
      case 2:
        operation = [name, key, steps](Transaction& tx)
        {
          std::string seen;
          const auto cursor = tx.scan(name, key, "7");
          for (auto left = steps; left > 0 && cursor->next(); --left)
            seen += std::string(cursor->key()) + "=" + std::string(cursor->value()) + ";";
          return seen;
        };
        break;
      case 3:
        operation = [name, key](Transaction& tx) { return tx.remove(name, key), ""; };
        break;
      case 4:
      case 5:
        operation = [name, key, value](Transaction& tx) { return tx.put(name, key, value), ""; };
        break;
      default:
        if (!running.tx->writes().empty())
        {
          if (const auto txid = store.commit(*running.tx, {}))
            committed.emplace(txid->seqno, std::move(running));
          else
            ++conflicts;
          open.erase(open.begin() + static_cast<std::ptrdiff_t>(chosen));
        }
        continue;
      }
      running.results.push_back(operation(*running.tx));
      running.operations.push_back(std::move(operation));
    }
    for (auto& [seqno, running] : committed)
    {
      WriteTransaction again(std::make_shared<const State>(serial));
      for (std::size_t i = 0; i < running.operations.size(); ++i)
        ASSERT_EQ(running.operations[i](again), running.results[i]) << "seqno " << seqno << " operation " << i;
      ASSERT_EQ(again.writes(), running.tx->writes());
      serial.apply(again.writes(), {0, seqno});
    }
    const auto head = store.begin_fresh()->base();
    ASSERT_EQ(head->maps().size(), serial.maps().size());
    for (const auto& [name, tree, version] : serial.maps())
    {
      EXPECT_EQ(head->find(name)->version, version);
      ASSERT_TRUE(Tree::same_range(head->find(name)->tree, tree, ""));
    }
  }
  EXPECT_GT(conflicts, 50);
}
}
