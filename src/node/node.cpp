#include "node/node.h"

#include "base/check.h"
#include "base/log.h"
#include "consensus/replay.h"
#include "ledger/entry.h"
#include "node/json.h"
#include "node/node_endpoints.h"
#include "node/tables.h"
#include "node/version.h"

#include <boost/json.hpp>

#include <unistd.h>

namespace concordat::node
{
namespace
{
namespace json = boost::json;
}

Node::Node(
    Configuration configuration, std::unique_ptr<Application> application, base::FileSystem& files, base::Clock& clock,
    attestation::Platform& platform)
    : configuration_(std::move(configuration)),
      application_(std::move(application)),
      files_(files),
      clock_(clock),
      platform_(platform)
{
}

Node::~Node()
{
  announce_stop();
  if (sequencer_)
    sequencer_->stop();
  if (sequencer_thread_.joinable())
    sequencer_thread_.join();
  server_.reset();
  if (files_.exists(configuration_.pid_file))
    (void)files_.remove(configuration_.pid_file);
}

void Node::announce_stop()
{
  if (services_)
    services_->stop_notice = true;
}

Result<std::unique_ptr<Node>> Node::start(
    Configuration configuration, std::unique_ptr<Application> application, base::FileSystem& files, base::Clock& clock,
    attestation::Platform& platform)
{
  std::unique_ptr<Node> node(new Node(std::move(configuration), std::move(application), files, clock, platform));
  using Step = Result<void> (Node::*)();
  for (const Step step : {&Node::unseal, &Node::bind, &Node::restore, &Node::open_service, &Node::serve})
    if (auto done = (node.get()->*step)(); !done)
      return std::unexpected(done.error());
  return node;
}

Result<void> Node::unseal()
{
  sealed_.emplace(files_, platform_.sealing_key());
  sealed_state_.emplace(files_, *sealed_, configuration_.sealed_directory);
  if (!sealed_state_->has_identity())
    return {};
  auto identity = sealed_state_->load_identity();
  if (!identity)
    return fail("cannot unseal this node's identity", identity.error());
  identity_.emplace(std::move(*identity));
  return {};
}

Result<void> Node::bind()
{
  http::Server::Options options;
  options.threads = configuration_.worker_threads;
  for (const auto& interface : configuration_.interfaces)
    options.interfaces.push_back(interface.listen);
  auto server = http::Server::start(
      options,
      [this](const std::shared_ptr<http::Exchange>& exchange)
      {
        const auto* const dispatcher = serving_.load(std::memory_order_acquire);
        if (dispatcher)
          dispatcher->handle(exchange);
        else
          exchange->respond(Response::error(503, "InternalError", "This node is starting"), true);
      });
  if (!server)
    return std::unexpected(server.error());
  server_ = std::move(*server);
  for (const auto& interface : configuration_.interfaces)
    addresses_[interface.listen.name] = server_->address(interface.listen.name);
  return {};
}

void Node::start_sequencer(consensus::SequencerStart start, const std::string& node_certificate_pem)
{
  consensus::Signer signer{identity_->node_id(),   identity_->node_key,        node_certificate_pem,
                           identity_->service_key, configuration_.cose_issuer, configuration_.cose_subject};
  consensus::SequencerOptions options;
  options.chunk_size = configuration_.chunk_size;
  options.max_uncommitted = configuration_.max_uncommitted;
  sequencer_ = std::make_unique<consensus::Sequencer>(
      store_, files_, configuration_.ledger_directory, identity_->ledger_secret, std::move(signer), clock_,
      *sealed_state_, options, std::move(start));
}

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

  auto chunks = ledger::ChunkFiles::open(files_, configuration_.ledger_directory, identity_->ledger_secret);
  if (!chunks)
    return fail("cannot open the ledger", chunks.error());
  const auto& opened = (*chunks)->opened();
  if (opened.cut_bytes != 0)
    spdlog::warn("cut a torn tail of {} bytes from {}", opened.cut_bytes, opened.cut_file);
  for (const auto& note : opened.notes)
    spdlog::info("{}", note);

  const auto began = clock_.steady();
  auto replayed = consensus::replay(**chunks, identity_->ledger_secret);
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

Result<TxId> Node::commit_now(const std::function<Result<void>(Transaction&, TxId)>& write)
{
  const auto transaction = store_.begin_fresh();
  const TxId expected{sequencer_->view(), store_.head_seqno() + 1};
  if (auto written = write(*transaction, expected); !written)
    return std::unexpected(written.error());
  std::optional<Result<void>> outcome;
  const auto txid = sequencer_->submit(*transaction, {}, [&](const Result<void>& result) { outcome = result; });
  if (!txid)
    return txid;
  CHECK(*txid == expected, "nobody else writes while the node starts");
  sequencer_->step();
  CHECK(outcome, "a step settles everything that was submitted before it");
  if (!*outcome)
    return std::unexpected(outcome->error());
  return txid;
}

Result<void> Node::create_service()
{
  const auto threshold = initial_recovery_threshold(configuration_);
  if (!threshold)
    return std::unexpected(threshold.error());
  const auto founders = read_founders(files_, configuration_);
  if (!founders)
    return std::unexpected(founders.error());

  identity_.emplace(Identity::generate(configuration_.curve));
  if (auto saved = sealed_state_->save_identity(*identity_); !saved)
    return fail("cannot seal this node's identity", saved.error());
  auto chunks = ledger::ChunkFiles::open(files_, configuration_.ledger_directory, identity_->ledger_secret);
  if (!chunks)
    return fail("cannot make the ledger directory", chunks.error());
  const auto certificates = make_certificates(configuration_, *identity_, addresses_, clock_.unix_seconds());
  if (!certificates)
    return std::unexpected(certificates.error());
  const auto evidence = platform_.evidence(identity_->key_digest());
  if (!evidence)
    return fail("cannot get the platform's evidence", evidence.error());
  const auto record = node_record(configuration_, *identity_, *evidence, founders->node_data, addresses_);

  start_sequencer({std::move(*chunks), {}, {}, {}, {}, 0}, certificates->node.pem());
  if (auto opened = sequencer_->open_term(); !opened)
    return fail("cannot become primary", opened.error());
  const auto created = commit_now(
      [&](Transaction& transaction, TxId txid) -> Result<void>
      {
        write_genesis(
            transaction, *founders, *identity_, *certificates, record, *evidence, *threshold, configuration_, txid);
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
  const auto now = node_record(configuration_, *identity_, *evidence, data ? *data : json::value(), addresses_);
  if (to_canonical_json(now) == to_canonical_json(*record))
    return {};
  const auto certificates = make_certificates(configuration_, *identity_, addresses_, clock_.unix_seconds());
  if (!certificates)
    return std::unexpected(certificates.error());
  const auto service = read_object(state, tables::service_info, ledger::single_key);
  const auto issuer = crypto::Certificate::from_pem(service ? string_member(*service, "cert") : "");
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

Result<void> Node::open_service()
{
  kv::SnapshotTransaction state(store_.committed());
  if (!configuration_.open_service || is_open(state))
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

Result<void> Node::serve()
{
  const auto evidence = platform_.evidence(identity_->key_digest());
  if (!evidence)
    return fail("cannot get the platform's evidence", evidence.error());
  evidence_ = *evidence;
  const auto certificates = make_certificates(configuration_, *identity_, addresses_, clock_.unix_seconds());
  if (!certificates)
    return std::unexpected(certificates.error());
  const auto& node_to_node = configuration_.node_to_node_interface;
  services_.reset(new Services{
      configuration_, store_, *sequencer_, identity_->ledger_secret, evidence_, clock_, identity_->node_id(),
      certificates->self_signed.pem(),
      string_member(node_to_node, node_to_node.contains("published_address") ? "published_address" : "bind_address"),
      [this] { return server_->metrics(); }});

  const auto app_is_open = [this, flag = std::make_shared<OpenFlag>()] { return (*flag)(store_.committed()); };
  std::vector<Frontend> frontends;
  frontends.push_back({"/app", application_->info(), application_->endpoints(), app_is_open});
  frontends.push_back(
      {"/node",
       {"Concordat node", "What operators ask a node.", std::string(version), {}},
       node_endpoints(*services_),
       [] { return true; }});
  frontends.push_back(
      {"/gov", {"Concordat governance", "What members decide on.", std::string(version), {}}, {}, [] { return true; }});
  dispatcher_ = std::make_unique<Dispatcher>(*services_, std::move(frontends));
  serving_.store(dispatcher_.get(), std::memory_order_release);
  sequencer_thread_ = std::thread([this] { sequencer_->run(); });

  if (auto written = write_outputs(); !written)
    return written;
  kv::SnapshotTransaction state(store_.committed());
  const auto endorsed = state.get(tables::node_certificates, identity_->node_id());
  CHECK(endorsed, "the service knows this node");
  for (const auto& interface : configuration_.interfaces)
  {
    const http::TlsIdentity shown{
        interface.endorsed_by_service ? std::string(*endorsed) : services_->self_signed_certificate_pem,
        identity_->node_key.private_pem()};
    if (auto set = server_->set_identity(interface.listen.name, shown); !set)
      return fail("cannot serve interface '" + interface.listen.name + "'", set.error());
    spdlog::info("interface '{}' listens on {}", interface.listen.name, addresses_[interface.listen.name]);
  }
  return {};
}

Result<void> Node::write_outputs()
{
  kv::SnapshotTransaction state(store_.committed());
  const auto service = read_object(state, tables::service_info, ledger::single_key);
  CHECK(service, "the service exists");
  json::object addresses;
  for (const auto& [name, address] : addresses_)
    addresses[name] = address;
  const std::pair<std::optional<base::Path>, std::string> outputs[] = {
      {configuration_.service_certificate_file, string_member(*service, "cert")},
      {configuration_.node_certificate_file, services_->self_signed_certificate_pem},
      {configuration_.rpc_addresses_file, to_canonical_json(addresses)},
      {configuration_.node_to_node_address_file, services_->node_to_node_address},
      {configuration_.pid_file, std::to_string(::getpid()) + "\n"}};
  for (const auto& [path, content] : outputs)
    if (path)
      if (auto written = files_.replace(*path, content); !written)
        return fail("cannot write an output file", written.error());
  return {};
}
}
