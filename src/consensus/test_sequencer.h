#pragma once

#include "base/simulated_files.h"
#include "consensus/replay.h"
#include "consensus/sequencer.h"
#include "crypto/certificate.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace concordat::consensus
{
class StoppedClock : public base::Clock
{
public:
  std::chrono::system_clock::time_point now() const override
  {
    return std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'000));
  }
  std::chrono::steady_clock::time_point steady() const override
  {
    if (asked)
      asked();
    return std::chrono::steady_clock::time_point(passed);
  }
  std::chrono::milliseconds passed{5000};
  std::function<void()> asked;
};

class KeptState : public DurableStateFile
{
public:
  Result<void> save(const DurableState& state) override
  {
    if (fails)
      return fail(ErrorCode::no_space, "no room");
    saved = state;
    return {};
  }
  DurableState saved;
  bool fails = false;
};

/// A sequencer on a simulated disk, begun anew or from what the disk holds.
class SequencerTest : public ::testing::Test
{
protected:
  SequencerTest()
      : secrets_(ledger::LedgerSecret::generate()),
        key_(crypto::KeyPair::generate(crypto::Curve::p256)),
        certificate_(crypto::self_signed(key_, {"CN=service", {}, 0, 1, true}).value().pem())
  {
  }

  void start()
  {
    sequencer_.reset();
    options_.invariants = &invariants_;
    store_ = std::make_unique<kv::Store>();
    auto chunks = ledger::ChunkFiles::open(files_, "ledger", secrets_);
    ASSERT_TRUE(chunks) << chunks.error().describe();
    auto replayed = replay(**chunks, secrets_, Trust{key_.public_key(), durable_.saved.mark});
    ASSERT_TRUE(replayed) << replayed.error().describe();
    const auto index = log_end(durable_.saved, *replayed);
    ASSERT_TRUE(index) << index.error().describe();
    store_->reset(replayed->state, replayed->state->txid().view);
    sequencer_ = std::make_unique<Sequencer>(
        *store_, files_, "ledger", secrets_, Signer{key_.public_key().id(), key_, certificate_, key_, "", ""}, clock_,
        durable_, options_,
        SequencerStart{
            std::move(*chunks),
            std::move(replayed->tree),
            std::move(replayed->views),
            std::move(replayed->signatures),
            durable_.saved,
            {*index, durable_.saved.last_opened().term, *index, {}, {}}});
    const auto opened = sequencer_->open_term();
    ASSERT_TRUE(opened) << opened.error().describe();
  }

  /// Submits one write; what becomes of it is put into `outcome`.
  Result<TxId> write(const std::string& key, const std::string& value, std::optional<bool>& outcome)
  {
    const auto transaction = store_->begin_fresh();
    transaction->put("map", key, value);
    return sequencer_->submit(
        *transaction, {}, [&outcome](const Result<void>& result) { outcome = result.has_value(); });
  }

  std::optional<std::string> committed(const std::string& key)
  {
    kv::SnapshotTransaction state(store_->committed());
    const auto value = state.get("map", key);
    return value ? std::optional(std::string(*value)) : std::nullopt;
  }

  base::SimulatedFileSystem files_{7};
  StoppedClock clock_;
  KeptState durable_;
  SequencerOptions options_;
  Invariants invariants_;
  ledger::LedgerSecrets secrets_;
  crypto::KeyPair key_; ///< of service and node
  std::string certificate_;
  std::unique_ptr<kv::Store> store_;
  std::unique_ptr<Sequencer> sequencer_;
};
}
