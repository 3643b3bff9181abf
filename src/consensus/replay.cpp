#include "consensus/replay.h"

#include "consensus/signature.h"
#include "ledger/entry.h"
#include "ledger/secret_follower.h"
#include "ledger/signature.h"
#include "ledger/torn_tail.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <utility>

namespace concordat::consensus
{
namespace
{
/// Whose descriptors a start has at hand, for nodes that lag.
constexpr std::size_t kept_batches = 65'536;

/// Applies entries batch by batch: a batch takes effect when its signature states the root of the tree below it.
class Replayer
{
public:
  Replayer(ledger::LedgerSecrets& secrets, const Trust& trust)
      : trust_(trust),
        opener_(secrets, trust.receiver, !trust.alone)
  {
  }

  /// What no crash leaves behind: the ledger is not what this node has written. Nothing may be cut because of it.
  const std::optional<Error>& forged() const
  {
    return forged_;
  }

  /// Of the signatures, those by the same node follow each other: the last one stands for all.
  Result<void> verify_newest_signature()
  {
    if (newest_txid_ == TxId{})
      return {};
    if (auto good = verify_signature(newest_txid_, newest_, trust_.service_key); !good)
      return forge("the signature in transaction " + newest_txid_.to_string(), good.error());
    return {};
  }

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

    kv::WriteSet writes;
    if (auto decoded = kv::decode(entry->public_maps, kv::Domain::public_maps, writes); !decoded)
      return decoded;
    const auto private_maps = opener_.open(*entry, writes);
    if (!private_maps && private_maps.error().code == ErrorCode::denied)
      return forge("the ledger is not the one that this node has written", private_maps.error());
    if (!private_maps)
      return std::unexpected(private_maps.error());
    if (auto decoded = kv::decode(*private_maps, kv::Domain::private_maps, writes); !decoded)
      return decoded;

    if (entry->txid.view > last_view_)
    {
      starts_.emplace_back(entry->txid.view, seqno);
      last_view_ = entry->txid.view;
    }
    if (!trust_.alone)
      reading_.bytes += bytes;
    const auto signature = writes.find(ledger::signatures_table);
    if (signature != writes.end())
    {
      if (auto good = check_root(signature->second); !good)
        return good;
      // Authenticated, as its entry was opened.
      const auto committed = trust_.alone ? std::nullopt : ledger::committed_before(writes);
      reading_.writes.emplace_back(entry->txid, std::move(writes));
      tree_.append(entry->leaf());
      return batch_read(*entry, committed.value_or(0));
    }
    tree_.append(entry->leaf());
    reading_.writes.emplace_back(entry->txid, std::move(writes));
    return {};
  }

  /// The last signature that was read.
  Seqno last_good() const
  {
    return newest_txid_.seqno;
  }

  Result<Replayed> finish() &&
  {
    for (auto& left : read_)
    {
      auto batch = Batch::received(left.descriptor, std::move(left.bytes));
      if (!batch)
        return std::unexpected(batch.error());
      out_.tail.push_back({std::move(*batch), std::move(left.record)});
    }
    tree_.truncate((out_.signatures.empty() ? 0 : out_.signatures.back()) + 1);
    out_.tree = std::move(tree_);
    out_.secrets_changed = opener_.changed();
    out_.state = std::make_shared<const kv::State>(std::move(state_));
    return std::move(out_);
  }

private:
  std::unexpected<Error> forge(Error error)
  {
    forged_ = std::move(error);
    return std::unexpected(*forged_);
  }
  std::unexpected<Error> forge(std::string what, const Error& cause)
  {
    return forge(Error{ErrorCode::corrupt, std::move(what), std::make_shared<const Error>(cause)});
  }

  Result<void> check_root(const kv::MapWrites& table)
  {
    const auto found = table.find(ledger::single_key);
    if (found == table.end() || !found->second)
      return fail(ErrorCode::corrupt, "the signature transaction has no signature");
    auto record = ledger::SignatureRecord::from_json(*found->second);
    if (!record)
      return fail("the signature transaction", record.error());
    if (record->root != tree_.root())
      return fail(ErrorCode::corrupt, "the signed root differs from the tree of the entries before it");
    if (record->node != signer_ || record->cert != signer_cert_)
    {
      if (auto good = verify_newest_signature(); !good)
        return good;
      signer_ = std::move(record->node);
      signer_cert_ = std::move(record->cert);
    }
    return {};
  }

  /// What was committed is the same here, or this is another history.
  Result<void> check_mark(TxId signature)
  {
    const auto& mark = trust_.mark;
    if (mark.txid == TxId{} || signature.seqno < mark.txid.seqno || reached_)
      return {};
    reached_ = true;
    out_.loss_accepted = signature != mark.txid || tree_.root() != mark.root;
    if (out_.loss_accepted && !trust_.accept_loss)
      return forge(Error{
          ErrorCode::not_found,
          "transaction " + mark.txid.to_string() +
              " was committed, but this ledger has another history; it is not the one that this node wrote last",
          nullptr});
    return {};
  }

  /// A batch as it was read.
  struct Read
  {
    std::vector<std::pair<TxId, kv::WriteSet>> writes;
    std::optional<LogRecord> record;
    Descriptor descriptor;
    Index index = 0;   ///< in the log; 0 if it is not known
    std::string bytes; ///< kept only if it may not be committed
  };

  Result<void> batch_read(const ledger::Entry& signature, Seqno committed)
  {
    const auto seqno = signature.txid.seqno;
    for (const auto& [at, writes] : reading_.writes)
    {
      const auto table = writes.find(LogRecord::table);
      const auto value =
          table == writes.end() ? kv::MapWrites::const_iterator{} : table->second.find(ledger::single_key);
      if (table == writes.end() || value == table->second.end() || !value->second)
        continue;
      auto record = LogRecord::from_json(*value->second);
      if (!record)
        return std::unexpected(record.error());
      reading_.record = std::move(*record);
    }
    count(signature.txid.view);
    if (reading_.record && reading_.record->index == 0)
      return fail(ErrorCode::corrupt, "the ledger does not say where a change of who takes part stands in the log");
    newest_txid_ = signature.txid;
    newest_ = reading_.writes.back().second;
    reading_.descriptor = {reading_.writes.front().first.seqno, seqno, reading_.bytes.size(), signature.leaf()};
    read_.push_back(std::exchange(reading_, {}));
    if (auto same = check_mark(signature.txid); !same)
      return same;
    proven_ = trust_.alone ? seqno : std::max({proven_, committed, reached_ ? trust_.mark.txid.seqno : 0});
    while (!read_.empty() && read_.front().descriptor.last <= proven_)
    {
      take_effect(read_.front());
      read_.pop_front();
    }
    return {};
  }

  /// Batches of a view follow each other in the log, from the first one on, which says where it stands.
  void count(View view)
  {
    if (reading_.record && reading_.record->index != 0)
      index_ = reading_.record->index;
    else if (view != index_view_ || index_ == 0)
      index_ = 0;
    else
      ++index_;
    index_view_ = view;
    reading_.index = index_;
    if (reading_.record)
      reading_.record->index = index_;
  }

  void take_effect(Read& batch)
  {
    const auto seqno = batch.descriptor.last;
    for (const auto& [at, writes] : batch.writes)
      state_.apply(writes, at);
    while (!starts_.empty() && starts_.front().second <= seqno)
    {
      out_.views.begin(starts_.front().first, starts_.front().second);
      out_.batches_in_last_view = 0;
      starts_.pop_front();
    }
    ++out_.batches_in_last_view;
    if (!trust_.alone)
      remember(batch);
    out_.signatures.push_back(seqno);
    tree_.flush(seqno);
  }

  void remember(Read& batch)
  {
    ++out_.batches_since_record;
    if (batch.index != 0)
    {
      if (batch.record)
        for (const auto& [term, index] : batch.record->opened)
          if (index > out_.places.last())
            out_.places.note(index, term, 0);
      out_.places.note(batch.index, batch.writes.back().first.view, batch.descriptor.first);
    }
    if (batch.record)
    {
      out_.record = batch.record;
      out_.batches_since_record = 0;
    }
    out_.recent.push_back({batch.writes.back().first.view, batch.descriptor, std::move(batch.record)});
    if (out_.recent.size() > kept_batches)
      out_.recent.pop_front();
  }

  const Trust& trust_;
  ledger::SecretFollower opener_;
  std::optional<Error> forged_;
  bool reached_ = false; ///< the mark was looked at
  // The newest signature, and who the signatures are by.
  TxId newest_txid_;
  kv::WriteSet newest_;
  std::string signer_;
  std::string signer_cert_;

  Replayed out_;
  kv::State state_;
  ledger::MerkleTree tree_;
  Read reading_;          ///< the batch that entries are read of
  std::deque<Read> read_; ///< batches that are not known to be committed
  Seqno proven_ = 0;      ///< what is
  Index index_ = 0;       ///< of the batch read last; 0 if it is not known
  View index_view_ = 0;   ///< its view
  std::deque<std::pair<View, Seqno>> starts_;
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

Result<Replayed> replay(ledger::ChunkFiles& chunks, ledger::LedgerSecrets& secrets, const Trust& trust)
{
  Replayer replayer(secrets, trust);
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
  if (replayer.forged())
    return std::unexpected(*replayer.forged());
  if (auto good = replayer.verify_newest_signature(); !good)
    return std::unexpected(good.error());

  const auto last_good = replayer.last_good();
  if (failure)
  {
    const auto place = "ledger entry " + std::to_string(next);
    // One of several stores batches that the others have agreed on already: what is torn here, beyond the mark, may
    // never have been synced, whatever a later signature says.
    if (chunks.in_committed_file(next) ||
        (!trust.accept_loss && trust.alone && acknowledged_after(chunks, secrets, last_good)))
      return fail(
          place + " is damaged, and transactions after it were acknowledged; restore the ledger directory from a copy",
          *failure);
  }
  if (chunks.in_committed_file(last_good + 1))
    return fail(
        ErrorCode::corrupt,
        "ledger entry " + std::to_string(last_good + 1) + " stands in a committed file but no signature covers it");
  const bool too_short = last_good < trust.mark.txid.seqno;
  if (too_short && !trust.accept_loss)
    return ledger::missing_entries(
        last_good + 1, trust.mark.txid.seqno,
        failure ? "; ledger entry " + std::to_string(next) + " is damaged: " + failure->describe() : "");

  auto finished = std::move(replayer).finish();
  if (!finished)
    return finished;
  auto& replayed = *finished;
  replayed.loss_accepted = replayed.loss_accepted || too_short;
  replayed.cut_entries = chunks.last() - last_good;
  replayed.cut_reason = failure ? failure->describe() : replayed.cut_entries != 0 ? "no signature covers it" : "";
  if (replayed.cut_entries != 0)
    if (auto cut = chunks.truncate(last_good); !cut)
      return fail("cannot cut the end of the ledger that no signature covers", cut.error());
  return finished;
}

namespace
{
/// What is committed, as far back as the terms of all indexes are known.
RestoredLog committed_log(const Replayed& replayed)
{
  RestoredLog log;
  if (!replayed.record)
    return log;
  log.configuration = replayed.record->configuration;
  log.applied = replayed.record->index + replayed.batches_since_record;
  Index index = replayed.recent.front().record ? 0 : log.applied - replayed.recent.size() + 1;
  const auto has_record = [](const CommittedBatch& batch) { return batch.record.has_value(); };
  const bool one_view = std::ranges::none_of(replayed.recent, has_record);
  // From the beginning of the service on, if it is not longer ago.
  bool begun = replayed.recent.front().descriptor.first == 1;
  if (begun)
    index = 1;
  for (const auto& [view, descriptor, record] : replayed.recent)
  {
    // Before the first record nobody knows how many terms were opened in between.
    if (!record && !begun && !one_view)
      continue;
    const auto at = record ? record->index : index;
    for (; begun && index < at; ++index)
    {
      const auto known = std::ranges::find(record->opened, index, &OpenedTerm::index);
      begun = known != record->opened.end();
      if (begun)
        log.entries.push_back({index, known->term, {}, {}});
    }
    if (begun)
      log.entries.push_back({at, view, descriptor, record ? record->change : std::nullopt});
    else
    {
      log.entries.clear();
      log.base = at;
      log.base_term = view;
      begun = true;
    }
    index = at + 1;
  }
  return log;
}
}

Result<RestoredLog> restore_log(const DurableState& durable, const Replayed& replayed)
{
  if (!replayed.record && !replayed.signatures.empty())
    return fail(ErrorCode::corrupt, "the ledger does not say where its transactions stand in the log of consensus");
  auto log = committed_log(replayed);
  log.places = replayed.places;
  auto next = log.applied + 1;
  auto term = log.entries.empty() ? log.base_term : log.entries.back().term;
  auto opened = std::ranges::find_if(durable.opened, [&](const OpenedTerm& one) { return one.index >= next; });
  const auto open_terms = [&](Index before, View at_most)
  {
    for (; opened != durable.opened.end() && opened->index == next && next < before && opened->term <= at_most;
         ++opened)
    {
      term = opened->term;
      log.entries.push_back({next++, term, {}, {}});
    }
  };
  constexpr auto any = std::numeric_limits<std::uint64_t>::max();
  for (const auto& [batch, record] : replayed.tail)
  {
    const auto view = batch->signature_txid.view;
    const auto index = record ? record->index : std::max(next, view == term ? next : any);
    open_terms(index, view);
    if (index != next || view != term || (opened != durable.opened.end() && opened->index <= index))
      break;
    log.batches[next] = batch;
    log.entries.push_back({next++, view, batch->descriptor, record ? record->change : std::nullopt});
  }
  open_terms(any, any);
  return log;
}

Result<Index> log_end(const DurableState& durable, const Replayed& replayed)
{
  const auto ledger_view = replayed.views.last();
  const auto opened = durable.last_opened();
  if (ledger_view > opened.term)
    return fail(
        ErrorCode::corrupt, "the ledger is newer than the stored state of consensus (view " +
                                std::to_string(ledger_view) + " against " + std::to_string(opened.term) +
                                "); one of the two was put back from an older copy");
  return opened.index + (ledger_view == opened.term ? replayed.batches_in_last_view : 0);
}
}
