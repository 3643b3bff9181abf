#include "kv/test_random.h"
#include "kv/test_store.h"

#include <functional>
#include <limits>
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

namespace
{
/// A transaction under way, and what it did so far.
struct Running
{
  int number = 0;
  std::unique_ptr<WriteTransaction> tx;
  std::vector<std::function<std::string(Transaction&)>> operations = {};
  std::vector<std::string> results = {};
};

/// Random transactions, run in an interleaved way.
class Interleaved
{
public:
  /// @param prepared  each is made ready beside the head, and others commit meanwhile; else those commit before it
  Interleaved(const TestRandom& random, bool removes, bool prepared, std::uint64_t far_behind)
      : random_(random),
        removes_(removes),
        prepared_(prepared),
        store_(options(prepared, far_behind))
  {
  }

  void run()
  {
    store_.fill(store_.reserve({}), {0, 1}, {{"signatures", {{"5", "first"}}}});
    for (int step = 0; step < 300; ++step)
    {
      if (open_.size() < 4)
        open_.push_back({step, random_.chance(70) ? store_.begin() : store_.begin_fresh()});
      if (random_.chance(10))
        sign(std::to_string(step));
      act(std::to_string(step));
    }
  }

  /// Runs them again, one after the other in the order of their seqnos: a store that is serializable gives every one
  /// of them the same reads again.
  void check() const
  {
    State serial;
    serial.apply({{"signatures", {{"5", "first"}}}}, {0, 1});
    for (const auto& [seqno, running] : committed_)
    {
      WriteTransaction again(std::make_shared<const State>(serial));
      for (std::size_t i = 0; i < running.operations.size(); ++i)
        ASSERT_EQ(running.operations[i](again), running.results[i]) << "seqno " << seqno << " operation " << i;
      ASSERT_EQ(again.writes(), running.tx->writes());
      serial.apply(again.writes(), {0, seqno});
    }
    const auto head = store_.begin_fresh()->base();
    ASSERT_EQ(head->maps().size(), serial.maps().size());
    for (const auto& [name, tree, version] : serial.maps())
    {
      EXPECT_EQ(head->find(name)->version, version);
      ASSERT_TRUE(Tree::same_range(head->find(name)->tree, tree, ""));
    }
  }

  /// What became of each transaction: its seqno; 0 after a conflict.
  const std::map<int, Seqno>& outcomes() const
  {
    return outcomes_;
  }

private:
  StoreOptions options(bool prepared, std::uint64_t far_behind)
  {
    StoreOptions made;
    made.large = prepared ? 0 : std::numeric_limits<std::uint64_t>::max();
    made.far_behind = far_behind;
    made.most_rounds = 3;
    made.prepared = [this] { others_commit(); };
    made.turns = false; // others commit within it
    return made;
  }

  void sign(const std::string& text)
  {
    if (reserved_ == 0)
    {
      below_ = store_.reserve([&](TxId txid) { reserved_ = txid.seqno; });
      return;
    }
    Running signature{0, std::make_unique<WriteTransaction>(below_)};
    signature.operations.push_back([text](Transaction& tx) { return tx.put("signatures", "5", text), ""; });
    signature.results.push_back(signature.operations.back()(*signature.tx));
    store_.fill(below_, {0, reserved_}, signature.tx->writes());
    committed_.emplace(std::exchange(reserved_, 0), std::move(signature));
  }

  void act(const std::string& value)
  {
    const auto chosen = random_.below(open_.size());
    const std::string name = random_.chance(85) ? "records" : "signatures";
    const auto key = std::to_string(random_.below(12));
    const auto steps = random_.below(4);
    std::function<std::string(Transaction&)> operation;
    switch (random_.below(7))
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
      if (!removes_)
        return;
      operation = [name, key](Transaction& tx) { return tx.remove(name, key), ""; };
      break;
    case 4:
    case 5:
      operation = [name, key, value](Transaction& tx) { return tx.put(name, key, value), ""; };
      break;
    default:
      if (!open_[chosen].tx->writes().empty())
        commit(take(chosen));
      return;
    }
    open_[chosen].results.push_back(operation(*open_[chosen].tx));
    open_[chosen].operations.push_back(std::move(operation));
  }

  Running take(std::size_t at)
  {
    auto taken = std::move(open_[at]);
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
    return taken;
  }

  void commit(Running running)
  {
    if (random_.chance(50))
      for (auto at = open_.size(); at-- > 0;)
        if (!open_[at].tx->writes().empty() && random_.chance(50))
          meanwhile_.push_back(take(at));
    if (!prepared_)
      others_commit();
    settle(std::move(running));
    // It may have been refused before it was made ready.
    others_commit();
  }

  void others_commit()
  {
    for (auto others = std::exchange(meanwhile_, {}); auto& other : others)
      settle(std::move(other));
  }

  void settle(Running running)
  {
    const auto txid = store_.commit(*running.tx, {});
    outcomes_[running.number] = txid ? txid->seqno : 0;
    if (txid)
      committed_.emplace(txid->seqno, std::move(running));
  }

  TestRandom random_;
  const bool removes_;
  const bool prepared_;
  mutable Store store_;
  std::map<Seqno, Running> committed_;
  std::map<int, Seqno> outcomes_;
  std::vector<Running> open_;
  std::vector<Running> meanwhile_;
  Seqno reserved_ = 0;
  Snapshot below_;
};
}

TEST(Store, CommittedTransactionsReadWhatASerialRunReads)
{
  TestRandom random;
  std::ptrdiff_t conflicts = 0;
  for (int round = 0; round < 60; ++round)
  {
    random.generator().discard(5'000);
    const bool removes = round % 2 == 0;
    Interleaved plain(random, removes, false, 0);
    plain.run();
    plain.check();
    for (const std::uint64_t far_behind : {0, 1000})
    {
      Interleaved prepared(random, removes, true, far_behind);
      prepared.run();
      prepared.check();
      // What is put and removed again while one is prepared may be a conflict or not: that depends on when it is
      // looked.
      ASSERT_TRUE(removes || prepared.outcomes() == plain.outcomes());
    }
    for (const auto& [number, seqno] : plain.outcomes())
      conflicts += seqno == 0 ? 1 : 0;
  }
  EXPECT_GT(conflicts, 50);
}
}
