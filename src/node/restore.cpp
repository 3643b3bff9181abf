#include "base/log.h"
#include "consensus/replay.h"
#include "ledger/entry.h"
#include "node/json.h"
#include "node/node.h"
#include "node/tables.h"

#include <boost/json.hpp>

/// Coming back: from sealed state and ledger to a primary in a new view.
namespace concordat::node
{
Result<void> Node::restore()
{
  const bool known = identity_ && identity_->service_created;
  if (!identity_)
  {
    if (files_.exists(configuration_.ledger_directory))
    {
      const auto names = files_.list(configuration_.ledger_directory);
      if (!names)
        return std::unexpected(names.error());
      if (!names->empty())
        return fail(
            ErrorCode::exists, "the ledger directory '" + configuration_.ledger_directory +
                                   "' is not empty, but this node has no sealed identity to read it with; give it the "
                                   "sealed directory that "
                                   "belongs to it, or an empty ledger directory");
    }
    return create_service();
  }

  auto chunks = ledger::ChunkFiles::open(files_, configuration_.ledger_directory, *identity_->ledger_secrets);
  if (!chunks)
    return fail("cannot open the ledger", chunks.error());
  const auto& opened = (*chunks)->opened();
  if (opened.cut_bytes != 0)
    spdlog::warn("cut a torn tail of {} bytes from {}", opened.cut_bytes, opened.cut_file);
  for (const auto& note : opened.notes)
    spdlog::info("{}", note);

  const auto began = clock_.steady();
  auto replayed = consensus::replay(**chunks, *identity_->ledger_secrets);
  if (!replayed)
    return fail("cannot restore this node from its ledger", replayed.error());
  if (replayed->cut_entries != 0)
    spdlog::warn(
        "cut the last {} ledger entries, which were never acknowledged: {}", replayed->cut_entries,
        replayed->cut_reason);
  if (replayed->signatures.empty())
  {
    if (known)
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

  auto durable = sealed_state_->load();
  if (!durable)
    return fail("cannot unseal the state of consensus", durable.error());
  const auto index = consensus::log_end(*durable, *replayed);
  if (!index)
    return std::unexpected(index.error());
  spdlog::info(
      "replayed {} transactions in {} ms", replayed->state->seqno(),
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady() - began).count());

  store_.reset(replayed->state, replayed->state->txid().view);
  kv::SnapshotTransaction state(store_.committed());
  const auto certificate = state.get(tables::node_certificates, identity_->node_id());
  if (!certificate)
    return fail(ErrorCode::corrupt, "the ledger does not know this node");
  start_sequencer(
      {std::move(*chunks), std::move(replayed->tree), std::move(replayed->views), std::move(replayed->signatures),
       *durable, *index},
      std::string(*certificate));
  if (auto opened_term = sequencer_->open_term(); !opened_term)
    return fail("cannot become primary", opened_term.error());
  if (!sequencer_->step())
    return fail(ErrorCode::io, "cannot write the ledger; the log says why");
  if (!known)
  {
    identity_->service_created = true;
    if (auto saved = sealed_state_->save_identity(*identity_); !saved)
      return fail("cannot seal this node's identity", saved.error());
  }
  return refresh_record();
}

Result<void> Node::refresh_record()
{
  kv::SnapshotTransaction state(store_.committed());
  const auto id = identity_->node_id();
  auto record = read_object(state, tables::node_info, id);
  const auto evidence = platform_.evidence(identity_->key_digest());
  if (!evidence)
    return fail("cannot get the platform's evidence", evidence.error());
  if (!record)
    return fail(ErrorCode::corrupt, "the ledger does not know this node");
  const auto* const data = record->if_contains("node_data");
  const auto now = node_record(configuration_, *identity_, *evidence, data ? *data : boost::json::value(), addresses_);
  if (to_canonical_json(now) == to_canonical_json(*record))
    return {};
  const auto service = read_object(state, tables::service_info, ledger::single_key);
  const auto issuer = crypto::Certificate::from_pem(service ? string_member(*service, "cert") : "");
  if (issuer)
    if (auto right = check_issuer(*issuer, clock_.unix_seconds()); !right)
      return right;
  const auto certificates = make_certificates(configuration_, *identity_, addresses_, clock_.unix_seconds());
  if (!certificates)
    return std::unexpected(certificates.error());
  if (!issuer || !certificates->node.signed_by(*issuer))
    return fail(ErrorCode::corrupt, "the service certificate in the ledger is not of the sealed service identity");
  const auto written = commit_now(
      [&](Transaction& transaction, TxId) -> Result<void>
      {
        transaction.put(tables::node_info, id, to_canonical_json(now));
        transaction.put(tables::node_certificates, id, certificates->node.pem());
        return {};
      });
  if (!written)
    return fail("cannot write this node's new record", written.error());
  spdlog::info("this node's record has changed and was written in transaction {}", written->to_string());
  return {};
}
}
