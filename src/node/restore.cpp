#include "base/encoding.h"
#include "base/log.h"
#include "consensus/replay.h"
#include "ledger/entry.h"
#include "node/json.h"
#include "node/node.h"
#include "node/secret_change.h"
#include "node/tables.h"

#include <boost/json.hpp>

/// Coming back: from sealed state and ledger to a primary in a new view.
namespace concordat::node
{
namespace
{
/// Adds what can be done about a ledger in which committed transactions are missing.
Error advise(Error error)
{
  if (error.code != ErrorCode::not_found)
    return error;
  return Error{
      error.code,
      "committed transactions are missing. Put back the newest copy of the ledger directory; if there is none, "
      "'--accept-loss' starts the node without them, and records that in the ledger",
      std::make_shared<const Error>(std::move(error))};
}

void log_opened(const ledger::ChunkFiles& chunks)
{
  const auto& opened = chunks.opened();
  if (opened.cut_bytes != 0)
    spdlog::warn(
        "cut a torn tail of {} bytes from {}, which are no whole transaction", opened.cut_bytes, opened.cut_file);
  for (const auto& note : opened.notes)
    spdlog::info("{}", note);
}
}

Result<void> Node::begin_alone()
{
  const auto& directory = configuration_.ledger_directory;
  const auto names = files_.list(directory);
  if (!names)
    return std::unexpected(names.error());
  if (!names->empty())
    return fail(
        ErrorCode::exists, "the ledger directory '" + directory +
                               "' is not empty, but this node has no sealed identity to read it with; give it the "
                               "sealed directory that belongs to it, or an empty ledger directory");
  return create_service();
}

Result<void> Node::restore()
{
  if (!identity_)
    return configuration_.join ? join() : begin_alone();
  if (auto known = know_receiver(); !known)
    return known;
  auto durable = sealed_state_->load();
  if (!durable)
    return fail("cannot unseal the state of consensus", durable.error());
  const consensus::Trust trust{
      identity_->service_key.public_key(), durable->mark, options_.accept_loss, !durable->several, &*receiver_};
  const Seqno acknowledged = trust.accept_loss ? 0 : trust.mark.txid.seqno;
  auto chunks = ledger::ChunkFiles::open(
      files_, configuration_.ledger_directory, *identity_->ledger_secrets,
      {.acknowledged = acknowledged, .alone = trust.alone});
  if (!chunks)
    return fail("cannot open the ledger", advise(chunks.error()));
  log_opened(**chunks);

  const auto began = clock_.steady();
  auto replayed = consensus::replay(**chunks, *identity_->ledger_secrets, trust);
  if (!replayed)
    return fail("cannot restore this node from its ledger", advise(replayed.error()));
  spdlog::info(
      "replayed {} transactions in {} ms", replayed->state->seqno(),
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady() - began).count());
  if (replayed->cut_entries != 0)
    spdlog::warn(
        "cut the last {} ledger entries, from transaction {} on: {}. What is sealed says that transactions up to {} "
        "were "
        "committed; whether these were is not known",
        replayed->cut_entries, replayed->state->seqno() + 1, replayed->cut_reason, trust.mark.txid.to_string());
  if (replayed->secrets_changed)
  {
    spdlog::info("a ledger secret that this node did not know was wrapped for it in the ledger");
    if (auto saved = sealed_state_->save_identity(*identity_); !saved)
      return fail("cannot seal the ledger secret that was found in the ledger", saved.error());
  }
  if (durable->several)
    return take_part(std::move(*chunks), std::move(*replayed), *durable);
  if (!replayed->signatures.empty())
    return go_on(std::move(*chunks), std::move(*replayed), *durable);

  if (identity_->service_created)
    return fail(
        ErrorCode::not_found,
        "the ledger directory '" + configuration_.ledger_directory +
            "' is empty, but this node has created a service; restore its ledger, or remove the sealed directory '" +
            configuration_.sealed_directory + "' to begin a new service");
  spdlog::info("an earlier start ended before the service was created; beginning again");
  chunks->reset();
  if (auto discarded = discard_leftovers(); !discarded)
    return discarded;
  return create_service();
}

/// Who takes ledger secrets out of the ledger, as the identity says.
Result<void> Node::know_receiver()
{
  auto key = crypto::DecryptionKey::from_pem(identity_->encryption_private_key_pem);
  if (!key)
    return fail("the sealed identity holds no key that ledger secrets could be wrapped for", key.error());
  receiver_.emplace(identity_->node_id(), std::move(*key));
  return {};
}

Result<void>
Node::go_on(std::unique_ptr<ledger::ChunkFiles> chunks, consensus::Replayed replayed, consensus::DurableState durable)
{
  const auto index = consensus::log_end(durable, replayed);
  if (!index)
    return std::unexpected(index.error());
  store_.reset(replayed.state, replayed.state->txid().view);
  kv::SnapshotTransaction state(store_.committed());
  newest_signature_ = newest_signature_time(state, identity_->service_key.public_key());
  const auto certificate = state.get(tables::node_certificates, identity_->node_id());
  if (!certificate)
    return fail(ErrorCode::corrupt, "the ledger does not know this node");
  if (auto renewed = renew_secret(replayed.state->seqno() + 1); !renewed)
    return renewed;

  const auto lost = replayed.loss_accepted ? durable.mark : consensus::Mark{};
  if (auto started = start_sequencer(
          {std::move(chunks),
           std::move(replayed.tree),
           std::move(replayed.views),
           std::move(replayed.signatures),
           durable,
           {*index, durable.last_opened().term, *index, {}, {}}},
          std::string(*certificate));
      !started)
    return started;
  if (auto opened = sequencer_->open_term(); !opened)
    return fail("cannot become primary", opened.error());
  if (auto written = write_first_entry(lost); !written)
    return written;
  if (!identity_->service_created)
  {
    identity_->service_created = true;
    if (auto saved = sealed_state_->save_identity(*identity_); !saved)
      return fail("cannot seal this node's identity", saved.error());
  }
  kv::SnapshotTransaction now(store_.committed());
  for (const auto& warning : application_->look_at_service(now))
    spdlog::warn("{}", warning);
  return refresh_record();
}

/// The nonces of entries are counted, so a ledger that was put back from an older copy would have them given out again.
/// Under a secret that nobody has used they are new, whatever lies on the disk.
Result<void> Node::renew_secret(Seqno first)
{
  identity_->ledger_secrets->add(first, ledger::LedgerSecret::generate());
  // Sealed before its first use: what it encrypts could otherwise be on the disk without anybody who can read it.
  if (auto saved = sealed_state_->save_identity(*identity_); !saved)
  {
    identity_->ledger_secrets->take_back(first);
    return fail("cannot seal the new ledger secret", saved.error());
  }
  return {};
}

/// Of the first primary after a full stop, for the same reason: each of the disks may have been put back meanwhile.
Result<void> Node::change_secret(Transaction& transaction, Seqno first)
{
  if (auto renewed = renew_secret(first); !renewed)
    return renewed;
  write_secret_change(transaction, *identity_->ledger_secrets, identity_->node_id(), first);
  spdlog::info("the ledger's secret changes with transaction {}, as no node was running before", first);
  return {};
}

/// Another primary has changed it. What it has wrapped for this node stays in the ledger, so that this can wait.
void Node::keep_secret()
{
  if (auto saved = sealed_state_->save_identity(*identity_); !saved)
    spdlog::warn("the new ledger secret is not sealed for now: {}", saved.error().describe());
}

/// The entry with which the new secret begins says so; nothing may come before it.
Result<void> Node::write_first_entry(const consensus::Mark& lost)
{
  const auto kept = sequencer_->committed();
  const auto written = commit_now(
      [&](Transaction& transaction, TxId txid) -> Result<void>
      {
        write_secret_change(transaction, *identity_->ledger_secrets, identity_->node_id(), txid.seqno);
        transaction.put(consensus::LogRecord::table, ledger::single_key, sequencer_->place().to_json());
        if (lost == consensus::Mark{})
          return {};
        std::string key;
        base::append_le(key, txid.seqno);
        transaction.put(
            tables::accepted_losses, key,
            to_canonical_json(boost::json::object{
                {"committed", lost.txid.to_string()},
                {"first_missing", kept.seqno + 1},
                {"kept", kept.to_string()},
                {"root", base::to_hex(base::as_view(lost.root))}}));
        return {};
      });
  if (!written)
    return fail("cannot write the ledger", written.error());
  if (lost != consensus::Mark{})
    spdlog::warn(
        "the loss of what was committed up to {} is accepted; the ledger goes on after {}, and transaction {} says so",
        lost.txid.to_string(), kept.to_string(), written->to_string());
  return {};
}
}
