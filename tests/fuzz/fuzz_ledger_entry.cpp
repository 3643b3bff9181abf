#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"
#include "ledger/receipt.h"
#include "ledger/signature.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace
{
using namespace concordat;

void require(bool holds)
{
  if (!holds)
    std::abort();
}

/// What was read as a tree is written again as it was, and gives every path that it keeps.
void check_tree(std::string_view bytes)
{
  const auto tree = ledger::MerkleTree::deserialise(bytes);
  if (!tree)
    return;
  require(tree->serialise() == bytes);
  if (tree->first_kept() < tree->size())
    require(ledger::fold(tree->leaf(tree->first_kept()), tree->path(tree->first_kept())) == tree->root());
}

/// The maps of a transaction have one encoding only.
void check_writes(const ledger::Entry& entry)
{
  kv::WriteSet writes;
  if (entry.is_snapshot || !kv::decode(entry.public_maps, kv::Domain::public_maps, writes))
    return;
  std::string again;
  kv::encode(writes, kv::Domain::public_maps, again);
  require(again == entry.public_maps);
  if (!ledger::is_signature(writes))
    return;
  if (const auto signature = ledger::read_signature(writes))
    check_tree(signature->tree);
}
}

/// The input is an entry, perhaps with another one after it that is to cover it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  static const ledger::LedgerSecret secret(std::string(32, 'k'));
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_tree(bytes);
  const auto entry = ledger::parse_entry(bytes);
  if (!entry)
    return 0;
  require(entry->bytes.size() == ledger::entry_size(bytes).value());
  require(ledger::entry_seqno(bytes) == entry->txid.seqno);
  (void)entry->leaf();
  (void)entry->open(secret);
  check_writes(*entry);
  const auto covering = ledger::parse_entry(bytes.substr(entry->bytes.size()));
  (void)ledger::make_receipt(*entry, covering ? *covering : *entry, secret);
  return 0;
}
