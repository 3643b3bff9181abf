#pragma once

#include "consensus/test_disk.h"
#include "consensus/test_sequencer.h"

#include <deque>
#include <map>
#include <set>
#include <vector>

namespace concordat::consensus
{
/// Several sequencers on simulated disks, in one thread; messages travel when `deliver` is called, as bytes.
class NetworkTest : public ::testing::Test
{
protected:
  struct Called
  {
    EngineId from;
    EngineId to;
    std::string presence;
  };
  struct Sent
  {
    EngineId from;
    EngineId to;
    std::string message;
    std::vector<std::pair<Descriptor, std::string>> batches;
  };

  class Member : public Peers
  {
  public:
    Member(NetworkTest& network, EngineId id) : id_(id), network_(network), files(id)
    {
      sealed_secrets.emplace_back(1, network.secrets_.at(1).raw());
    }

    void call_roll(const std::string& presence) override
    {
      for (const auto& [id, one] : network_.members_)
        if (id != id_)
          answer_roll(std::to_string(id), presence);
    }
    void answer_roll(const std::string& node, const std::string& presence) override
    {
      network_.roll_.push_back({id_, std::stoull(node), presence});
    }
    std::vector<EngineId> ids_of(const std::string& node) const override
    {
      return network_.members_.at(node.empty() ? id_ : std::stoull(node))->ids_;
    }
    void takes_part_as(EngineId id) override
    {
      takes_part_as_ = id;
      if (ids_.back() < id)
        ids_.push_back(id);
    }

    void send(EngineId to, std::string message, std::vector<std::shared_ptr<const Batch>> batches) override
    {
      Sent sent{id_, to, std::move(message), {}};
      for (const auto& batch : batches)
      {
        std::string bytes;
        for (const auto entry : batch->entries())
          bytes += entry;
        sent.batches.emplace_back(batch->descriptor, std::move(bytes));
      }
      network_.sent_.push_back(std::move(sent));
    }

  private:
    const EngineId id_;
    NetworkTest& network_;

  public:
    /// What a start finds again.
    void seal_secrets()
    {
      sealed_secrets.clear();
      for (const auto& [first, secret] : secrets->periods())
        sealed_secrets.emplace_back(first, secret->raw());
    }

    EngineId takes_part_as_ = id_;
    std::vector<EngineId> ids_{id_};
    base::SimulatedFileSystem files;
    SlowDisk disk;
    std::vector<std::pair<Seqno, std::string>> sealed_secrets;
    std::shared_ptr<ledger::LedgerSecrets> secrets;
    KeptState durable;
    std::unique_ptr<Invariants> invariants = std::make_unique<Invariants>();
    std::unique_ptr<kv::Store> store;
    std::unique_ptr<Sequencer> sequencer; ///< null while down
  };

  NetworkTest()
      : secrets_(ledger::LedgerSecret::generate()),
        key_(crypto::KeyPair::generate(crypto::Curve::p256)),
        certificate_(crypto::self_signed(key_, {"CN=service", {}, 0, 1, true}).value().pem())
  {
    options_.doubt = std::chrono::hours(1);
  }

  void begin(std::size_t size)
  {
    for (EngineId id = 1; id <= size; ++id)
      voters_.push_back(id);
    for (const auto id : voters_)
    {
      members_[id] = std::make_unique<Member>(*this, id);
      start(id);
    }
  }

  void start(EngineId id)
  {
    const auto started = try_to_start(id);
    ASSERT_TRUE(started) << started.error().describe();
  }

  /// From what its disk holds.
  Result<void> try_to_start(EngineId id)
  {
    auto& one = member(id);
    one.sequencer.reset();
    one.secrets = ledger::LedgerSecrets::from_raw(one.sealed_secrets);
    one.store = std::make_unique<kv::Store>();
    const auto durable = one.durable.saved;
    auto chunks = ledger::ChunkFiles::open(
        one.files, "ledger", *one.secrets, {.acknowledged = durable.mark.txid.seqno, .alone = false});
    if (!chunks)
      return std::unexpected(chunks.error());
    auto replayed = replay(
        **chunks, *one.secrets,
        Trust{.service_key = key_.public_key(), .mark = durable.mark, .alone = false, .receiver = receiver(id)});
    if (!replayed)
      return std::unexpected(replayed.error());
    auto log = restore_log(durable, *replayed);
    if (!log)
      return std::unexpected(log.error());
    if (!replayed->record)
      log->configuration.voters = voters_;
    const auto last = log->batches.empty() ? replayed->state->seqno() : log->batches.rbegin()->second->descriptor.last;
    if (auto cut = (*chunks)->truncate(last); !cut)
      return cut;
    one.store->reset(replayed->state, replayed->state->txid().view);
    auto options = options_;
    options.engine_id = durable.engine_id != 0 ? durable.engine_id : id;
    one.takes_part_as(options.engine_id);
    options.peers = &one;
    options.seed = id;
    options.invariants = one.invariants.get();
    options.disk = with_disks_ ? &one.disk : nullptr;
    prepare(id, options);
    one.sequencer = std::make_unique<Sequencer>(
        *one.store, one.files, "ledger", *one.secrets, Signer{key_.public_key().id(), key_, certificate_, key_, "", ""},
        clock_, one.durable, options,
        SequencerStart{
            std::move(*chunks), std::move(replayed->tree), std::move(replayed->views), std::move(replayed->signatures),
            durable, std::move(*log)});
    if (comes_back_)
    {
      one.sequencer->come_back({++starts_, accept_loss_});
      return {};
    }
    auto started = one.sequencer->take_part(full_stop_);
    if (!started)
      one.sequencer.reset();
    return started;
  }

  /// For tests that change the ledger's secret.
  virtual const ledger::SecretReceiver* receiver(EngineId)
  {
    return nullptr;
  }
  virtual void prepare(EngineId, SequencerOptions&) {}

  Member& member(EngineId id)
  {
    return *members_.at(id);
  }
  /// The member that takes part under this id; 0: none.
  EngineId who_is(EngineId id) const
  {
    for (const auto& [name, one] : members_)
      if (one->takes_part_as_ == id)
        return name;
    return 0;
  }
  Sequencer& sequencer(EngineId id)
  {
    return *member(id).sequencer;
  }

  /// As if the power had failed: what was not synced may be lost.
  void crash(EngineId id)
  {
    member(id).sequencer.reset();
    member(id).files.crash();
  }

  /// Hands over what was sent, between those that are not cut off, until nobody has anything to say.
  void deliver()
  {
    deliver_but(0);
  }

  /// The same, but one of them takes its steps by itself.
  void deliver_but(EngineId runs)
  {
    for (bool any = true; any;)
    {
      any = false;
      for (auto& [id, one] : members_)
      {
        if (one->sequencer && id != runs)
          any = one->sequencer->step() || any;
        if (!hung_.contains(id))
          any = one->disk.work() || any;
      }
      auto sent = std::exchange(sent_, {});
      for (auto& one : sent)
      {
        any = true;
        hand_over(std::move(one));
      }
      for (auto& one : std::exchange(roll_, {}))
      {
        any = true;
        if (!cut_off_.contains(one.from) && !cut_off_.contains(one.to) && member(one.to).sequencer)
          sequencer(one.to).hear(std::to_string(one.from), std::move(one.presence));
      }
    }
  }

  void hand_over(Sent one)
  {
    const auto to = who_is(one.to);
    if (to == 0 || cut_off_.contains(one.from) || cut_off_.contains(to) || !member(to).sequencer)
      return;
    std::vector<std::shared_ptr<const Batch>> batches;
    for (auto& [descriptor, bytes] : one.batches)
    {
      auto batch = Batch::received(descriptor, std::move(bytes));
      ASSERT_TRUE(batch) << batch.error().describe();
      batches.push_back(std::move(*batch));
    }
    sequencer(to).deliver(std::move(one.message), std::move(batches));
  }

  void pass(int ticks)
  {
    for (int i = 0; i < ticks; ++i)
    {
      clock_.passed += options_.tick;
      deliver();
    }
  }

  /// Until there is one among those that are connected.
  EngineId elect()
  {
    for (int i = 0; i < 100; ++i)
    {
      pass(1);
      for (auto& [id, one] : members_)
        if (one->sequencer && !cut_off_.contains(id) && one->sequencer->can_write())
          return id;
    }
    ADD_FAILURE() << "nobody was elected";
    return 0;
  }

  Result<TxId>
  write(EngineId id, const std::string& key, const std::string& value, std::optional<Result<void>>& outcome)
  {
    const auto transaction = member(id).store->begin_fresh();
    transaction->put("map", key, value);
    return sequencer(id).submit(*transaction, {}, [&outcome](const Result<void>& result) { outcome = result; });
  }

  std::optional<std::string> committed(EngineId id, const std::string& key)
  {
    kv::SnapshotTransaction state(member(id).store->committed());
    const auto value = state.get("map", key);
    return value ? std::optional(std::string(*value)) : std::nullopt;
  }

  StoppedClock clock_;
  SequencerOptions options_;
  ledger::LedgerSecrets secrets_; ///< that all begin with
  crypto::KeyPair key_;
  std::string certificate_;
  std::vector<EngineId> voters_;
  bool full_stop_ = false; ///< said to those that start
  std::map<EngineId, std::unique_ptr<Member>> members_;
  std::deque<Sent> sent_;
  std::deque<Called> roll_;
  bool comes_back_ = false; ///< who is started has been part of the network
  bool accept_loss_ = false;
  std::uint64_t starts_ = 0;
  std::set<EngineId> cut_off_;
  bool with_disks_ = false; ///< written elsewhere than where the steps are
  std::set<EngineId> hung_; ///< whose disk does nothing
};
}
