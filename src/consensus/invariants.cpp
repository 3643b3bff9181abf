#include "consensus/invariants.h"

#include "base/check.h"

#include <algorithm>

namespace concordat::consensus
{
void Invariants::started(TxId committed, Seqno stored)
{
  const base::LockGuard lock(mutex_);
  CHECK(stored >= committed.seqno, "what is committed is stored");
  CHECK(stored >= acknowledged_.seqno, "what was acknowledged is found again");
  CHECK(stored >= published_.seqno, "what was read is found again");
  closed_ = committed.seqno;
  durable_ = stored;
  committed_ = committed;
  published_ = committed;
  logged_ = 0;
  agreed_ = 0;
}

void Invariants::view_begun(View view, TxId committed)
{
  const base::LockGuard lock(mutex_);
  CHECK(view > issued_.view, "a view begins once, or ids and nonces would be given out again");
  CHECK(committed == committed_, "a view begins where the committed ledger ends");
  CHECK(durable_ == committed.seqno, "what was not committed is cut before a view begins");
  issued_ = {view, committed.seqno};
  closed_ = committed.seqno;
}

void Invariants::issued(TxId txid)
{
  const base::LockGuard lock(mutex_);
  CHECK(txid.view == issued_.view && txid.seqno == issued_.seqno + 1, "ids follow each other, none twice");
  issued_ = txid;
}

void Invariants::closed(const Batch& batch, std::uint64_t tree_size, const Digest& signed_root, const Digest& tree_root)
{
  const base::LockGuard lock(mutex_);
  CHECK(batch.descriptor.first == closed_ + 1, "batches follow each other without a gap");
  Seqno expected = closed_;
  for (const auto& transaction : batch.transactions)
    CHECK(transaction->txid.seqno == ++expected, "a batch holds the transactions in their order");
  CHECK(batch.signature_txid.seqno == expected + 1, "the signature ends its batch");
  CHECK(batch.descriptor.last == batch.signature_txid.seqno, "a descriptor says what the batch is");
  CHECK(tree_size == batch.signature_txid.seqno, "what is signed is the tree over everything before the signature");
  CHECK(signed_root == tree_root, "the signed root is the tree's");
  CHECK(batch.state->txid() == batch.signature_txid, "the state of a batch ends with its signature");
  closed_ = batch.signature_txid.seqno;
}

void Invariants::logged(const LogEntry& entry)
{
  const base::LockGuard lock(mutex_);
  CHECK(logged_ == 0 || entry.index == logged_ + 1, "indices of the log have no gap");
  logged_ = entry.index;
}

void Invariants::replaced(Index index)
{
  const base::LockGuard lock(mutex_);
  CHECK(index > agreed_, "what is agreed on is never replaced");
  logged_ = std::min(logged_, index - 1);
}

void Invariants::stored(Seqno last)
{
  const base::LockGuard lock(mutex_);
  CHECK(last <= durable_, "nobody is told of what is not durable");
}

void Invariants::durable(Seqno last)
{
  const base::LockGuard lock(mutex_);
  CHECK(last >= committed_.seqno, "the files hold what is committed");
  durable_ = last;
}

void Invariants::cut(Seqno last)
{
  const base::LockGuard lock(mutex_);
  CHECK(last >= committed_.seqno, "what is committed is never cut");
  durable_ = std::min(durable_, last);
  closed_ = std::min(closed_, last);
  logged_ = 0; // the log goes on behind what is left
}

void Invariants::committed(Index index, TxId signature)
{
  const base::LockGuard lock(mutex_);
  CHECK(agreed_ == 0 || index > agreed_, "entries are committed in the order of the log");
  CHECK(signature.seqno > committed_.seqno && signature.view >= committed_.view, "committed only grows");
  CHECK(signature.seqno <= durable_, "nothing is committed before it is durable");
  agreed_ = index;
  committed_ = signature;
}

void Invariants::published(TxId state)
{
  const base::LockGuard lock(mutex_);
  CHECK(state.seqno > published_.seqno, "readers never go back");
  CHECK(state == committed_, "readers see the committed state");
  published_ = state;
}

void Invariants::acknowledged(TxId txid)
{
  const base::LockGuard lock(mutex_);
  CHECK(
      txid.seqno <= committed_.seqno && txid.view <= committed_.view, "nothing is acknowledged before it is committed");
  CHECK(txid.seqno <= published_.seqno, "readers see a transaction before its writer is answered");
  if (txid.seqno > acknowledged_.seqno)
    acknowledged_ = txid;
}

void Invariants::marked(TxId txid)
{
  const base::LockGuard lock(mutex_);
  CHECK(txid.seqno <= committed_.seqno && txid.seqno <= durable_, "a mark is never ahead of the ledger");
}
}
