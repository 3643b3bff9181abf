#include "consensus/received.h"

#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/signature.h"

#include <utility>

namespace concordat::consensus
{
namespace
{
Result<kv::WriteSet> open(const ledger::Entry& entry, ledger::SecretFollower& opener)
{
  kv::WriteSet writes;
  if (auto decoded = kv::decode(entry.public_maps, kv::Domain::public_maps, writes); !decoded)
    return std::unexpected(decoded.error());
  const auto private_maps = opener.open(entry, writes);
  if (!private_maps)
    return std::unexpected(private_maps.error());
  if (auto decoded = kv::decode(*private_maps, kv::Domain::private_maps, writes); !decoded)
    return std::unexpected(decoded.error());
  return writes;
}

Result<void> check_root(const kv::WriteSet& writes, const ledger::MerkleTree& tree)
{
  const auto signature = ledger::read_signature(writes);
  if (!signature)
    return std::unexpected(signature.error());
  if (!signature->record || signature->record->root != tree.root())
    return fail(ErrorCode::corrupt, "it does not end with a signature over what this node has");
  return {};
}
}

Result<kv::Snapshot>
apply_received(const Batch& batch, ledger::SecretFollower& opener, const kv::Snapshot& before, ledger::MerkleTree& tree)
{
  const auto state = std::make_shared<kv::State>(*before);
  for (const auto bytes : batch.entries())
  {
    const auto refused = [&](const Error& cause)
    { return fail("transaction " + std::to_string(tree.size()) + " of another node cannot be applied", cause); };
    const auto entry = ledger::parse_entry(bytes);
    if (!entry)
      return refused(entry.error());
    if (entry->txid.seqno != tree.size() || entry->txid.view < state->txid().view)
      return refused(Error{ErrorCode::corrupt, "it does not follow " + state->txid().to_string(), nullptr});
    const auto writes = open(*entry, opener);
    if (!writes)
      return refused(writes.error());
    if (entry->txid == batch.signature_txid)
      if (auto good = check_root(*writes, tree); !good)
        return refused(good.error());
    state->apply(*writes, entry->txid);
    tree.append(entry->leaf());
  }
  return state;
}
}
