#pragma once

#include "consensus/engine.h"
#include "consensus/ordering.h"
#include "kv/store.h"
#include "ledger/entry.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::consensus
{
/// A transaction that has its place in the order and waits for agreement.
///
/// Whoever submitted it encodes it, on its own thread, after the place is known: the nonce is made of view and seqno.
/// The consensus thread waits for that before it closes the batch. Somebody is told what became of it exactly once.
class Waiting
{
public:
  Waiting(std::uint64_t size, Ordering::Done done) : size_(size), done_(std::move(done)) {}

  TxId txid; ///< set under the store's lock

  /// Of the entry in the ledger, known before it is ordered.
  std::uint64_t size() const
  {
    return size_;
  }
  /// Called once, by whoever submitted it.
  void encoded(ledger::EncodedEntry entry);
  /// Called once, instead of `encoded`: the transaction is in the head, and will never be in the ledger.
  void failed();
  /// Waits for one of the two. @return whether there is an entry
  bool wait() const;
  /// @pre wait() has said true
  const ledger::EncodedEntry& entry() const
  {
    return entry_;
  }
  /// On the consensus thread, once. What the receiver throws is logged: it is nobody else's matter.
  void settle(const Result<void>& outcome);
  /// On the consensus thread: whoever waits is told that nobody knows what becomes of it, and waits no more. Without
  /// effect after the first time.
  void give_up_on(const Error& why);

private:
  enum class Encoding : int
  {
    running,
    done,
    failed,
  };

  void finish(Encoding how);
  void tell(const Result<void>& outcome);

  const std::uint64_t size_;
  ledger::EncodedEntry entry_;
  std::atomic<Encoding> encoding_{Encoding::running};
  Ordering::Done done_;
  bool settled_ = false;
};

/// Transactions that follow each other, and the signature over all up to them: what is agreed on as one.
/// Made by the batcher, not changed any more once it is closed.
struct Batch
{
  std::vector<std::shared_ptr<Waiting>> transactions;
  std::uint64_t bytes = 0; ///< of the entries of `transactions`
  TxId signature_txid;
  kv::Snapshot below; ///< the state below the signature
  /// Of who takes part, which its first transaction records.
  std::optional<ConfigurationChange> change;

  // Once it is closed:
  kv::Snapshot state; ///< the state with the signature
  ledger::EncodedEntry signature;
  Descriptor descriptor;
  Digest root{}; ///< of the tree over everything up to and including the signature
  bool ends_chunk = false;

  /// All entries, in order.
  std::vector<std::string_view> entries() const;

  /// Made by this node: it has its state, and those who wait.
  bool is_own() const
  {
    return state != nullptr;
  }

  /// A batch of another node, as it travels: all entries, one after the other. `bytes` of them are kept.
  /// @return Error::invalid unless they are exactly what the descriptor says. That they are signed by whom they should
  ///         be, and follow from what is there, is for whoever has the tree.
  static Result<std::shared_ptr<const Batch>> received(const Descriptor& descriptor, std::string bytes);

private:
  std::string received_;
};
}
