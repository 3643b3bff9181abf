#include "world.h"

#include "consensus/replay.h"
#include "crypto/certificate.h"
#include "ledger/entry.h"
#include "ledger/verifier.h"
#include "node/json.h"
#include "node/tables.h"

#include <boost/json.hpp>
#include <openssl/rand.h>

namespace concordat::simulation
{
namespace
{
const base::Path ledger_directory = "ledger";
const base::Path sealed_directory = "sealed";
constexpr std::uint64_t chunk_size = 6000; // so that a history of some dozen batches has several chunks

/// OpenSSL's interface for a random generator of one's own is deprecated without one that suits a test.
std::mt19937_64 openssl_random;

int fill(unsigned char* out, int size)
{
  for (int i = 0; i < size; ++i)
    out[i] = static_cast<unsigned char>(openssl_random());
  return 1;
}
}

void seed_openssl(std::uint64_t seed)
{
  openssl_random.seed(seed);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  static const RAND_METHOD method = {[](const void*, int) { return 1; },         fill, [] {},
                                     [](const void*, int, double) { return 1; }, fill, [] { return 1; }};
  RAND_set_rand_method(&method);
#pragma GCC diagnostic pop
}

World::World(std::uint64_t seed)
    : random_(seed),
      files_(seed),
      sealing_key_(32, 'k'),
      identity_(node::Identity{
          crypto::KeyPair::generate(crypto::Curve::p256), crypto::KeyPair::generate(crypto::Curve::p256), "", "",
          std::make_shared<ledger::LedgerSecrets>(ledger::LedgerSecret::generate()), true})
{
}

World::~World()
{
  stop();
}

std::uint64_t World::below(std::uint64_t bound)
{
  return random_() % bound;
}

void World::stop()
{
  sequencer_.reset();
  store_.reset();
  sealed_state_.reset();
  sealed_.reset();
}

std::optional<std::string> World::run()
{
  if (auto wrong = boot())
    return wrong;
  const auto actions = 30 + below(70);
  for (std::uint64_t i = 0; i < actions; ++i)
    if (auto wrong = act())
      return "action " + std::to_string(i) + ": " + *wrong;
  if (auto wrong = power_loss())
    return wrong;
  return check_ledger();
}

std::optional<std::string> World::act()
{
  std::optional<std::string> wrong;
  const auto dice = below(100);
  if (dice < 50)
    wrong = submit();
  else if (dice < 82)
    wrong = step();
  else if (dice < 86)
    files_.set_crash_after(below(25));
  else if (dice < 89)
    wrong = power_loss();
  else if (dice < 92)
    inject_disk_fault();
  else if (dice < 97)
    clock_.advance(std::chrono::milliseconds(600));
  else
    wrong = check_served();
  if (!wrong)
    wrong = problem_;
  if (!wrong && files_.crashed())
    wrong = power_loss();
  return wrong;
}

void World::inject_disk_fault()
{
  const auto kind = below(2) == 0 ? base::DiskFault::no_space : base::DiskFault::sync_error;
  files_.fail_next(kind, below(6));
}

std::optional<std::string> World::power_loss()
{
  stop();
  files_.crash();
  // The machine may fail again while it comes back.
  for (int attempt = 0;; ++attempt)
  {
    if (attempt < 3 && below(4) == 0)
      files_.set_crash_after(below(12));
    auto wrong = boot();
    if (wrong || !files_.crashed())
      return wrong;
    stop();
    files_.crash();
  }
}

/// Comes back from what is on the disk. A crash on the way is for the caller to see.
std::optional<std::string> World::boot()
{
  sealed_ = std::make_unique<attestation::SealedFiles>(files_, sealing_key_);
  sealed_state_ = std::make_unique<node::SealedState>(files_, *sealed_, sealed_directory);
  store_ = std::make_unique<kv::Store>();
  const auto failed = [&](const Error& error) -> std::optional<std::string>
  {
    if (files_.crashed())
      return std::nullopt;
    return "cannot start: " + error.describe();
  };

  if (auto made = files_.make_directory(sealed_directory); !made)
    return failed(made.error());
  const auto durable = sealed_state_->load();
  if (!durable)
    return failed(durable.error());
  const consensus::Trust trust{identity_.service_key.public_key(), durable->mark};
  auto chunks = ledger::ChunkFiles::open(
      files_, ledger_directory, *identity_.ledger_secrets, {.acknowledged = trust.mark.txid.seqno});
  if (!chunks)
    return failed(chunks.error());
  auto replayed = consensus::replay(**chunks, *identity_.ledger_secrets, trust);
  if (!replayed)
    return failed(replayed.error());
  const auto index = consensus::log_end(*durable, *replayed);
  if (!index)
    return failed(index.error());

  const auto last = replayed->state->seqno();
  if (auto lost = model_.cut(last))
    return lost;
  if (last < served_.seqno)
    return "state that was served is gone: had " + served_.to_string() + ", now ends at " + std::to_string(last);
  if (auto different = model_.compare(*replayed->state))
    return "after a restart " + *different;
  for (Seqno seqno = 1; seqno <= last; ++seqno)
  {
    const bool signature = std::binary_search(replayed->signatures.begin(), replayed->signatures.end(), seqno);
    if (signature == model_.has(seqno))
      return "seqno " + std::to_string(seqno) +
             (signature ? " is a signature where a write was" : " holds nothing known");
  }
  founded_ = last != 0;

  store_->reset(replayed->state, replayed->state->txid().view);
  if (!founded_)
  {
    crypto::CertificateRequest request{"CN=simulated service", {}, clock_.unix_seconds(), 1, true};
    const auto service = crypto::self_signed(identity_.service_key, request);
    request = {"CN=simulated node", {"iPAddress:127.0.0.1"}, clock_.unix_seconds(), 1, false};
    const auto node = crypto::issue(identity_.node_key.public_key(), request, identity_.service_key, *service);
    service_certificate_ = service->pem();
    node_certificate_ = node->pem();
  }
  consensus::SequencerOptions options;
  options.chunk_size = chunk_size;
  sequencer_ = std::make_unique<consensus::Sequencer>(
      *store_, files_, ledger_directory, *identity_.ledger_secrets,
      consensus::Signer{
          identity_.node_id(), identity_.node_key, node_certificate_, identity_.service_key, "issuer", "subject"},
      clock_, *sealed_state_, options,
      consensus::SequencerStart{
          std::move(*chunks), std::move(replayed->tree), std::move(replayed->views), std::move(replayed->signatures),
          *durable, *index});
  if (auto opened = sequencer_->open_term(); !opened)
    return failed(opened.error());
  return found_service();
}

/// The first transaction of a service, so that an auditor's reader can check the ledger.
std::optional<std::string> World::found_service()
{
  if (founded_)
    return std::nullopt;
  const auto transaction = store_->begin_fresh(kv::RunBy::node);
  const auto id = identity_.node_id();
  transaction->put(node::tables::node_info, id, R"({"status":"Trusted"})");
  transaction->put(node::tables::node_certificates, id, node_certificate_);
  transaction->put(
      node::tables::service_info, ledger::single_key,
      node::to_canonical_json(boost::json::object{{"cert", service_certificate_}, {"status", "Open"}}));
  TxId placed;
  const auto submitted = sequencer_->submit(
      *transaction, [&](TxId txid) { placed = txid; },
      [this, &placed](const Result<void>& outcome)
      {
        if (outcome)
          model_.acknowledge(placed);
      });
  if (!submitted)
    return std::nullopt;
  if (auto lost = model_.place(*submitted, transaction->writes()))
    return lost;
  founded_ = sequencer_->step();
  return std::nullopt;
}

std::optional<std::string> World::submit()
{
  if (!founded_)
    return found_service();
  const auto transaction = store_->begin();
  const auto writes = 1 + below(4);
  for (std::uint64_t i = 0; i < writes; ++i)
  {
    const auto map = (below(2) == 0 ? "public:app.map" : "app.map") + std::to_string(below(3));
    const auto key = "key" + std::to_string(below(40));
    if (below(5) == 0)
      transaction->remove(map, key);
    else
      transaction->put(
          map, key, std::string(below(10) == 0 ? below(3000) : below(30), static_cast<char>('a' + below(26))));
  }
  if (below(4) == 0)
    (void)transaction->get("app.map0", "key" + std::to_string(below(40)));
  const auto placed = std::make_shared<TxId>();
  const auto submitted = sequencer_->submit(
      *transaction, [placed](TxId txid) { *placed = txid; },
      [this, placed](const Result<void>& outcome)
      {
        if (outcome)
          model_.acknowledge(*placed);
      });
  if (!submitted)
    return std::nullopt;
  return model_.place(*submitted, transaction->writes());
}

std::optional<std::string> World::step()
{
  const auto view = sequencer_->view();
  const auto committed = sequencer_->committed().seqno;
  sequencer_->step();
  // A repair after a disk fault begins a view where the committed ledger ends; what was refused is gone by then.
  if (sequencer_->view() != view)
    if (auto lost = model_.cut(committed))
      return lost;
  return check_served();
}

/// What readers are given is signed, never goes back, and is what was written up to there.
std::optional<std::string> World::check_served()
{
  const auto state = store_->committed();
  const auto committed = sequencer_->committed();
  if (state->txid() != committed)
    return "state " + state->txid().to_string() + " is served while " + committed.to_string() + " is committed";
  if (committed.seqno < served_.seqno)
    return "the committed state goes back";
  const auto covering = sequencer_->signature_covering(committed.seqno);
  if (committed.seqno != 0 && (!covering || *covering != committed.seqno))
    return "state is served that no signature covers";
  served_ = committed;
  return model_.compare(*state);
}

std::optional<std::string> World::check_ledger()
{
  if (auto wrong = check_served())
    return wrong;
  ledger::VerifyOptions options;
  options.strict = true;
  const auto report = ledger::verify_ledger(files_, {ledger_directory}, options);
  if (!report.ok())
    for (const auto& finding : report.findings)
      if (!finding.is_note)
        return "the ledger does not verify: " + finding.place + ": " + finding.text;
  return std::nullopt;
}
}
