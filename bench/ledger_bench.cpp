#include "crypto/hash.h"
#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"

#include <benchmark/benchmark.h>

#include <string>

namespace
{
using namespace concordat;

std::string private_maps(std::size_t value_size)
{
  kv::WriteSet writes;
  writes["app.votes"][std::string(24, 'k')] = std::string(value_size, 'v');
  std::string out;
  kv::encode(writes, kv::Domain::private_maps, out);
  return out;
}

/// One transaction with one private write: encrypted, hashed, leaf computed. What the thread of the handler does.
void encode_entry(benchmark::State& state)
{
  const auto secret = ledger::LedgerSecret::generate();
  const auto maps = private_maps(static_cast<std::size_t>(state.range(0)));
  Seqno seqno = 0;
  std::size_t size = 0;
  for (auto _ : state)
  {
    const auto entry = ledger::encode_entry(secret, {2, ++seqno}, 0, {}, {}, maps);
    size = entry.bytes.size();
    benchmark::DoNotOptimize(entry.leaf);
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
}
BENCHMARK(encode_entry)->Arg(8)->Arg(1024)->Arg(600 * 1024);

/// What a backup and a replay do with each entry.
void parse_open_and_hash_entry(benchmark::State& state)
{
  const auto secret = ledger::LedgerSecret::generate();
  const auto bytes =
      ledger::encode_entry(secret, {2, 1}, 0, {}, {}, private_maps(static_cast<std::size_t>(state.range(0)))).bytes;
  for (auto _ : state)
  {
    const auto entry = ledger::parse_entry(bytes);
    const auto opened = entry->open(secret);
    benchmark::DoNotOptimize(opened->data());
    benchmark::DoNotOptimize(entry->leaf());
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(parse_open_and_hash_entry)->Arg(8)->Arg(600 * 1024);

/// The serial part of a batch: as many appends as given, one root, one flush.
void append_batch_to_tree(benchmark::State& state)
{
  ledger::MerkleTree tree;
  const auto leaf = crypto::sha256("leaf");
  for (auto _ : state)
  {
    for (auto i = state.range(0); i > 0; --i)
      tree.append(leaf);
    benchmark::DoNotOptimize(tree.root());
    tree.flush(tree.size());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(append_batch_to_tree)->Arg(1)->Arg(100)->Arg(5000);

void receipt_path_from_serialised_tree(benchmark::State& state)
{
  ledger::MerkleTree tree;
  const auto leaf = crypto::sha256("leaf");
  for (auto i = state.range(0); i > 0; --i)
    tree.append(leaf);
  const auto bytes = tree.serialise();
  for (auto _ : state)
    benchmark::DoNotOptimize(ledger::MerkleTree::deserialise(bytes)->path(1));
}
BENCHMARK(receipt_path_from_serialised_tree)->Arg(100)->Arg(5000);
}
