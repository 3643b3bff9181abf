#include "base/log.h"
#include "ledger/entry.h"
#include "node/engine_ids.h"
#include "node/node.h"

/// Beginning: from nothing to a service that has its creation transaction, and opening it.
namespace concordat::node
{
Result<void> Node::create_service()
{
  const auto threshold = initial_recovery_threshold(configuration_);
  if (!threshold)
    return std::unexpected(threshold.error());
  const auto founders = read_founders(files_, configuration_);
  if (!founders)
    return std::unexpected(founders.error());
  const auto governed = application_->governed_at_genesis();
  if (auto good = check_governed(governed); !good)
    return good;

  identity_.emplace(Identity::generate(configuration_.curve));
  if (auto saved = sealed_state_->save_identity(*identity_); !saved)
    return fail("cannot seal this node's identity", saved.error());
  if (auto known = know_receiver(); !known)
    return known;
  auto chunks = ledger::ChunkFiles::open(files_, configuration_.ledger_directory, *identity_->ledger_secrets);
  if (!chunks)
    return fail("cannot make the ledger directory", chunks.error());
  const auto certificates = make_certificates(configuration_, *identity_, addresses_, clock_.unix_seconds());
  if (!certificates)
    return std::unexpected(certificates.error());
  const auto evidence = platform_.evidence(identity_->key_digest());
  if (!evidence)
    return fail("cannot get the platform's evidence", evidence.error());
  const auto record = node_record(configuration_, *identity_, *evidence, founders->node_data, addresses_);

  if (auto started = start_sequencer({std::move(*chunks), {}, {}, {}, {}, {}}, certificates->node.pem()); !started)
    return started;
  if (auto opened = sequencer_->open_term(); !opened)
    return fail("cannot become primary", opened.error());
  const auto created = commit_now(
      [&](Transaction& transaction, TxId txid) -> Result<void>
      {
        write_genesis(
            transaction, *founders, *identity_, *certificates, record, *evidence, *threshold, configuration_, txid);
        (void)give_engine_id(transaction, identity_->node_id());
        transaction.put(consensus::LogRecord::table, ledger::single_key, sequencer_->place().to_json());
        for (const auto& write : governed)
          transaction.put(write.map, write.key, write.value);
        return {};
      });
  if (!created)
    return fail("cannot create the service", created.error());
  identity_->service_created = true;
  if (auto saved = sealed_state_->save_identity(*identity_); !saved)
    return fail("cannot seal this node's identity", saved.error());
  spdlog::info("created the service in transaction {}", created->to_string());
  return {};
}

Result<void> Node::discard_leftovers()
{
  for (const auto& directory : {configuration_.ledger_directory, configuration_.sealed_directory})
  {
    if (!files_.exists(directory))
      continue;
    const auto names = files_.list(directory);
    if (!names)
      return std::unexpected(names.error());
    for (const auto& name : *names)
      if (name.ends_with(".sealed") || name.starts_with("ledger_"))
        if (auto removed = files_.remove(base::join(directory, name)); !removed)
          return removed;
    if (auto synced = files_.sync_directory(directory); !synced)
      return synced;
  }
  identity_.reset();
  return {};
}

Result<void> Node::open_service()
{
  kv::SnapshotTransaction state(store_.committed());
  // One of several is not primary yet; a service that others have joined was opened before, or is by its members.
  if (!configuration_.open_service || is_open(state) || !sequencer_->can_write())
    return {};
  const auto opened = commit_now(
      [](Transaction& transaction, TxId) -> Result<void>
      {
        write_opening(transaction);
        return {};
      });
  if (!opened)
    return fail("cannot open the service", opened.error());
  spdlog::info("opened the service in transaction {}", opened->to_string());
  return {};
}
}
