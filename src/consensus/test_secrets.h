#pragma once

#include "consensus/test_network.h"
#include "crypto/oaep.h"
#include "ledger/secret_record.h"
#include "ledger/wrapped_secret.h"

#include <string>
#include <vector>

namespace concordat::consensus
{
/// Several nodes of which the first primary after a full stop changes the ledger's secret.
class SecretNetworkTest : public NetworkTest
{
protected:
  const ledger::SecretReceiver* receiver(EngineId id) override
  {
    // Made once: keys for RSA take long.
    static const auto receivers = []
    {
      std::map<EngineId, ledger::SecretReceiver> out;
      for (EngineId one = 1; one <= 5; ++one)
        out.emplace(
            one, ledger::SecretReceiver{
                     "node" + std::to_string(one),
                     crypto::DecryptionKey::from_pem(crypto::generate_rsa().private_pem).value()});
      return out;
    }();
    return &receivers.at(id);
  }

  void prepare(EngineId id, SequencerOptions& options) override
  {
    options.receiver = receiver(id);
    options.secret_changed = [this, id]
    {
      if (!unsealed_.contains(id))
        member(id).seal_secrets();
    };
    options.first_after_full_stop = [this, id](Transaction& transaction, Seqno first) -> Result<void>
    {
      if (cannot_seal_)
        return fail(ErrorCode::no_space, "no room");
      change_secret(id, transaction, first);
      return {};
    };
  }

  virtual void change_secret(EngineId id, Transaction& transaction, Seqno first)
  {
    auto& one = member(id);
    one.secrets->add(first, ledger::LedgerSecret::generate());
    one.seal_secrets();
    std::map<std::string, crypto::PublicKey> keys;
    for (const auto voter : voters_)
      if (!left_out_.contains(voter))
        keys.emplace(receiver(voter)->node_id, receiver(voter)->key.public_key());
    const auto before = transaction.version(ledger::secret_history_table, ledger::single_key);
    transaction.put(
        ledger::secret_history_table, ledger::single_key,
        ledger::SecretRecord::of_change(*one.secrets, first, before).to_json());
    transaction.put(
        ledger::wrapped_secrets_table, ledger::single_key,
        ledger::wrap_secret(one.secrets->at(first), first, keys).value());
    ++changes_;
    if (cuts_off_)
      cut_off_.insert(id);
  }

  /// Everybody at once, and all that are named are there again.
  void stop_and_start(const std::vector<EngineId>& again)
  {
    for (const auto id : voters_)
      if (member(id).sequencer)
        crash(id);
    raise_terms();
    full_stop_ = true;
    for (const auto id : again)
      start(id);
    full_stop_ = false;
  }
  /// As those that come back after a full stop do when all are there.
  void raise_terms()
  {
    View highest = 0;
    for (const auto& [id, one] : members_)
      highest = std::max(highest, one->durable.saved.term);
    for (auto& [id, one] : members_)
    {
      one->durable.saved.term = highest + 1;
      one->durable.saved.vote = 0;
    }
  }

  /// First seqnos and secrets, as a node has sealed them.
  std::vector<std::pair<Seqno, std::string>> sealed(EngineId id)
  {
    return member(id).sealed_secrets;
  }
  std::vector<std::pair<Seqno, std::string>> known(EngineId id)
  {
    std::vector<std::pair<Seqno, std::string>> out;
    for (const auto& [first, secret] : member(id).secrets->periods())
      out.emplace_back(first, secret->raw());
    return out;
  }
  bool opens(const ledger::LedgerSecret& secret, EngineId id, Seqno seqno)
  {
    const auto bytes = sequencer(id).read(seqno).value();
    return ledger::parse_entry(bytes).value().open(secret).has_value();
  }
  /// Writes something, which all then have.
  void write_and_check(EngineId primary, const std::string& key)
  {
    std::optional<Result<void>> outcome;
    ASSERT_TRUE(write(primary, key, "1", outcome));
    pass(3);
    ASSERT_TRUE(outcome && *outcome) << key;
    for (const auto id : voters_)
      if (member(id).sequencer && !cut_off_.contains(id))
      {
        EXPECT_EQ(committed(id, key), "1") << id;
      }
  }

  std::set<EngineId> unsealed_; ///< whose disk keeps no secret that they learn
  std::set<EngineId> left_out_; ///< of who is given a new secret
  bool cuts_off_ = false;       ///< who changes the secret is not heard of any more
  bool cannot_seal_ = false;    ///< nobody can change it
  int changes_ = 0;
};
}
