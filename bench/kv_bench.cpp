// The store's tree and transactions. Keys as the reconciliation application has them: 4 bytes of organisation number
// and the 20 characters of a legal entity identifier; values of 8 bytes.

#include "kv/store.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

namespace
{
using namespace concordat;
using namespace concordat::kv;

constexpr std::string_view value = "12345678";
constexpr std::size_t snapshot_every = 10000;

std::string key_of(std::uint32_t organisation, std::mt19937_64& random)
{
  constexpr std::string_view letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  std::string key;
  for (int shift = 24; shift >= 0; shift -= 8)
    key.push_back(static_cast<char>(organisation >> shift));
  for (int i = 0; i < 20; ++i)
    key.push_back(letters[random() % letters.size()]);
  return key;
}

/// Keys of three organisations, each with the same number of records, in random order.
std::vector<std::string> random_keys(std::size_t count)
{
  std::mt19937_64 random(42);
  std::vector<std::string> keys;
  keys.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
    keys.push_back(key_of(static_cast<std::uint32_t>(i % 3), random));
  return keys;
}

std::vector<std::string> sorted_keys(std::size_t count)
{
  auto keys = random_keys(count);
  std::sort(keys.begin(), keys.end());
  return keys;
}

double resident_bytes()
{
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

void report_memory(benchmark::State& state, const Tree& tree, double before)
{
  const auto entries = static_cast<double>(tree.size());
  state.counters["tree_bytes_per_entry"] = static_cast<double>(tree.memory()) / entries;
  state.counters["process_bytes_per_entry"] = (resident_bytes() - before) / entries;
}

/// One by one, a snapshot kept until the next one is taken.
void put_with_snapshots(benchmark::State& state, const std::vector<std::string>& keys)
{
  for (auto _ : state)
  {
    const double before = resident_bytes();
    Tree tree;
    Tree snapshot;
    for (std::size_t i = 0; i < keys.size(); ++i)
    {
      if (i % snapshot_every == 0)
        snapshot = tree;
      tree.put(keys[i], i, value);
    }
    state.PauseTiming();
    report_memory(state, tree, before);
    snapshot = Tree();
    tree = Tree();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(keys.size()));
}

void tree_put_random(benchmark::State& state)
{
  put_with_snapshots(state, random_keys(static_cast<std::size_t>(state.range(0))));
}
BENCHMARK(tree_put_random)->Arg(1000000)->Arg(3000000)->Unit(benchmark::kMillisecond);

void tree_put_sorted(benchmark::State& state)
{
  put_with_snapshots(state, sorted_keys(static_cast<std::size_t>(state.range(0))));
}
BENCHMARK(tree_put_sorted)->Arg(1000000)->Arg(3000000)->Unit(benchmark::kMillisecond);

Tree tree_of(const std::vector<std::string>& keys)
{
  Tree tree;
  for (const auto& key : keys)
    tree.put(key, 1, value);
  return tree;
}

void tree_find_random(benchmark::State& state)
{
  const auto keys = random_keys(static_cast<std::size_t>(state.range(0)));
  const Tree tree = tree_of(keys);
  std::mt19937_64 random(1);
  for (auto _ : state)
    benchmark::DoNotOptimize(tree.find(keys[random() % keys.size()]));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(tree_find_random)->Arg(1000000)->Arg(3000000);

void tree_scan(benchmark::State& state)
{
  const auto keys = random_keys(static_cast<std::size_t>(state.range(0)));
  const Tree tree = tree_of(keys);
  for (auto _ : state)
    for (auto at = tree.lower_bound(""); at.valid(); at.next())
      benchmark::DoNotOptimize(at.key());
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(keys.size()));
}
BENCHMARK(tree_scan)->Arg(1000000)->Unit(benchmark::kMillisecond);

void tree_erase_random(benchmark::State& state)
{
  const auto keys = random_keys(static_cast<std::size_t>(state.range(0)));
  const Tree full = tree_of(keys);
  for (auto _ : state)
  {
    Tree tree = full;
    Tree snapshot;
    for (std::size_t i = 0; i < keys.size(); ++i)
    {
      if (i % snapshot_every == 0)
        snapshot = tree;
      tree.erase(keys[i]);
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(keys.size()));
}
BENCHMARK(tree_erase_random)->Arg(1000000)->Unit(benchmark::kMillisecond);

/// Batches of 10,000 records in key order into a map of a million, each replacing or adding, with the state before
/// kept as a snapshot: what replay does, and a primary with large submissions.
void state_apply(benchmark::State& state)
{
  const bool dense = state.range(0) != 0;
  const auto keys = sorted_keys(1000000);
  State head;
  {
    WriteSet all;
    for (const auto& key : keys)
      all["records"].emplace_hint(all["records"].end(), key, std::string(value));
    head.apply(all, {2, 1});
  }
  std::mt19937_64 random(7);
  Seqno seqno = 1;
  for (auto _ : state)
  {
    state.PauseTiming();
    WriteSet batch;
    auto& writes = batch["records"];
    const std::size_t start = random() % (keys.size() - snapshot_every);
    for (std::size_t i = 0; i < snapshot_every; ++i)
      writes.emplace(dense ? keys[start + i] : keys[random() % keys.size()], std::string(value));
    state.ResumeTiming();
    const State snapshot = head;
    head.apply(batch, {2, ++seqno});
    benchmark::DoNotOptimize(snapshot);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(snapshot_every));
}
BENCHMARK(state_apply)->ArgName("neighbouring_keys")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

void write_set_build(benchmark::State& state)
{
  const auto keys = sorted_keys(snapshot_every);
  const auto empty = std::make_shared<const State>();
  for (auto _ : state)
  {
    WriteTransaction tx(empty);
    for (const auto& key : keys)
      tx.put("records", key, value);
    benchmark::DoNotOptimize(tx.writes());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(keys.size()));
}
BENCHMARK(write_set_build)->Unit(benchmark::kMillisecond);

void write_set_encode_decode(benchmark::State& state)
{
  WriteSet writes;
  for (const auto& key : sorted_keys(snapshot_every))
    writes["records"].emplace_hint(writes["records"].end(), key, std::string(value));
  for (auto _ : state)
  {
    std::string bytes;
    encode(writes, Domain::private_maps, bytes);
    WriteSet back;
    benchmark::DoNotOptimize(decode(bytes, Domain::private_maps, back));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(snapshot_every));
}
BENCHMARK(write_set_encode_decode)->Unit(benchmark::kMillisecond);

/// One small transaction: reads a key, writes it; batches are closed after every hundredth.
void store_commit(benchmark::State& state)
{
  const auto keys = random_keys(1000000);
  Store store;
  {
    const auto tx = store.begin();
    for (const auto& key : keys)
      tx->put("records", key, value);
    if (!store.commit(*tx, {}))
      return state.SkipWithError("the first transaction failed");
  }
  store.begin_fresh();
  std::mt19937_64 random(3);
  std::uint64_t n = 0;
  std::uint64_t conflicts = 0;
  for (auto _ : state)
  {
    const auto& key = keys[random() % keys.size()];
    const auto tx = store.begin();
    benchmark::DoNotOptimize(tx->get("records", key));
    tx->put("records", key, value);
    conflicts += store.commit(*tx, {}) ? 0 : 1;
    if (++n % 100 == 0)
    {
      TxId reserved;
      const auto below = store.reserve([&](TxId txid) { reserved = txid; });
      store.set_committed(store.fill(below, reserved, {{"public:signatures", {{"s", std::string(500, 's')}}}}));
    }
  }
  state.counters["conflicts"] = static_cast<double>(conflicts);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(store_commit);

/// Large transactions, 17,000 random records of a million each, with a snapshot taken before: made ready beside the
/// head, or as small ones are.
void store_commit_large(benchmark::State& state)
{
  const auto keys = random_keys(1000000);
  StoreOptions options;
  if (state.range(0) == 0)
    options.large = ~std::uint64_t{0};
  Store store(options);
  {
    const auto tx = store.begin();
    for (const auto& key : keys)
      tx->put("records", key, value);
    if (!store.commit(*tx, {}))
      return state.SkipWithError("the first transaction failed");
  }
  std::mt19937_64 random(3);
  for (auto _ : state)
  {
    state.PauseTiming();
    const auto tx = store.begin_fresh();
    for (int i = 0; i < 17000; ++i)
      tx->put("records", keys[random() % keys.size()], value);
    state.ResumeTiming();
    benchmark::DoNotOptimize(store.commit(*tx, {}));
  }
  state.SetItemsProcessed(state.iterations() * 17000);
}
BENCHMARK(store_commit_large)->ArgName("prepared")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
}
