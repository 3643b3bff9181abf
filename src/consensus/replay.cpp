#include "consensus/replay.h"

#include "ledger/entry.h"
#include "ledger/signature.h"
#include "ledger/torn_tail.h"

#include <utility>

namespace concordat::consensus
{
namespace
{
/// Applies entries batch by batch: a batch takes effect when its signature states the root of the tree below it.
class Replayer
{
public:
  explicit Replayer(const ledger::LedgerSecrets& secrets) : secrets_(secrets) {}

  Result<void> add(std::string_view bytes)
  {
    const auto entry = ledger::parse_entry(bytes);
    if (!entry)
      return std::unexpected(entry.error());
    const auto seqno = tree_.size();
    if (entry->is_snapshot || entry->bytes.size() != bytes.size())
      return fail(ErrorCode::corrupt, "not a transaction");
    if (entry->txid.seqno != seqno)
      return fail(
          ErrorCode::corrupt,
          "transaction " + entry->txid.to_string() + " where " + std::to_string(seqno) + " belongs");
    if (entry->txid.view < last_view_)
      return fail(ErrorCode::corrupt, "the view goes back from " + std::to_string(last_view_));

    const auto private_maps = entry->open(secrets_.at(seqno));
    if (!private_maps)
      return std::unexpected(private_maps.error());
    kv::WriteSet writes;
    if (auto decoded = kv::decode(entry->public_maps, kv::Domain::public_maps, writes); !decoded)
      return decoded;
    if (auto decoded = kv::decode(*private_maps, kv::Domain::private_maps, writes); !decoded)
      return decoded;

    if (entry->txid.view > last_view_)
    {
      starts_.emplace_back(entry->txid.view, seqno);
      last_view_ = entry->txid.view;
    }
    const auto signature = writes.find(ledger::signatures_table);
    if (signature != writes.end())
    {
      if (auto good = check_root(signature->second); !good)
        return good;
      pending_.emplace_back(entry->txid, std::move(writes));
      tree_.append(entry->leaf());
      take_effect(seqno);
      return {};
    }
    tree_.append(entry->leaf());
    pending_.emplace_back(entry->txid, std::move(writes));
    return {};
  }

  Seqno last_good() const
  {
    return out_.signatures.empty() ? 0 : out_.signatures.back();
  }

  Replayed finish() &&
  {
    tree_.truncate(last_good() + 1);
    out_.tree = std::move(tree_);
    out_.state = std::make_shared<const kv::State>(std::move(state_));
    return std::move(out_);
  }

private:
  Result<void> check_root(const kv::MapWrites& table) const
  {
    const auto found = table.find(ledger::single_key);
    if (found == table.end() || !found->second)
      return fail(ErrorCode::corrupt, "the signature transaction has no signature");
    const auto record = ledger::SignatureRecord::from_json(*found->second);
    if (!record)
      return fail("the signature transaction", record.error());
    if (record->root != tree_.root())
      return fail(ErrorCode::corrupt, "the signed root differs from the tree of the entries before it");
    return {};
  }

  void take_effect(Seqno seqno)
  {
    for (const auto& [at, writes] : pending_)
      state_.apply(writes, at);
    pending_.clear();
    for (const auto& [view, first] : starts_)
    {
      out_.views.begin(view, first);
      out_.batches_in_last_view = 0;
    }
    starts_.clear();
    ++out_.batches_in_last_view;
    out_.signatures.push_back(seqno);
    tree_.flush(seqno);
  }

  const ledger::LedgerSecrets& secrets_;
  Replayed out_;
  kv::State state_;
  ledger::MerkleTree tree_;
  std::vector<std::pair<TxId, kv::WriteSet>> pending_;
  std::vector<std::pair<View, Seqno>> starts_;
  View last_view_ = 0;
};

/// Whether a signature was written after the batch that follows `last_good` had been acknowledged. The tree that a
/// signature carries begins at the last signature committed before it, so the signature of that batch itself begins
/// at `last_good`, and any later one after it. Only what this node's secret authenticates counts.
bool acknowledged_after(const ledger::ChunkFiles& chunks, const ledger::LedgerSecrets& secrets, Seqno last_good)
{
  auto stream = chunks.stream(last_good + 1);
  while (true)
  {
    const auto bytes = stream.next();
    if (!bytes || !*bytes)
      return false;
    const auto entry = ledger::parse_entry(**bytes);
    const auto committed = entry ? ledger::committed_before(*entry, secrets) : std::nullopt;
    if (committed && *committed > last_good)
      return true;
  }
}
}

Result<Replayed> replay(ledger::ChunkFiles& chunks, const ledger::LedgerSecrets& secrets)
{
  Replayer replayer(secrets);
  auto stream = chunks.stream(1);
  std::optional<Error> failure;
  Seqno next = 1;
  while (true)
  {
    const auto bytes = stream.next();
    if (!bytes)
      return std::unexpected(bytes.error());
    if (!*bytes)
      break;
    if (auto added = replayer.add(**bytes); !added)
    {
      failure = added.error();
      break;
    }
    ++next;
  }

  const auto last_good = replayer.last_good();
  if (failure)
  {
    const auto place = "ledger entry " + std::to_string(next);
    if (chunks.in_committed_file(next) || acknowledged_after(chunks, secrets, last_good))
      return fail(
          place + " is damaged, and transactions after it were acknowledged; restore the ledger directory from a copy",
          *failure);
  }
  if (chunks.in_committed_file(last_good + 1))
    return fail(
        ErrorCode::corrupt,
        "ledger entry " + std::to_string(last_good + 1) + " stands in a committed file but no signature covers it");

  auto replayed = std::move(replayer).finish();
  replayed.cut_entries = chunks.last() - last_good;
  replayed.cut_reason = failure ? failure->describe() : replayed.cut_entries != 0 ? "no signature covers it" : "";
#ifndef CONCORDAT_FAULT_KEEP_TORN_TAIL
  if (replayed.cut_entries != 0)
    if (auto cut = chunks.truncate(last_good); !cut)
      return fail("cannot cut the end of the ledger that no signature covers", cut.error());
#endif
  return replayed;
}

Result<Index> log_end(const DurableState& durable, const Replayed& replayed)
{
  const auto ledger_view = replayed.views.last();
  if (ledger_view > durable.opened_term)
    return fail(
        ErrorCode::corrupt, "the ledger is newer than the stored state of consensus (view " +
                                std::to_string(ledger_view) + " against " + std::to_string(durable.opened_term) +
                                "); one of the two was put back from an older copy");
  return durable.opened_index + (ledger_view == durable.opened_term ? replayed.batches_in_last_view : 0);
}
}
