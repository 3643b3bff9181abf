#include "node/node.h"

#include "base/check.h"
#include "node/callers.h"

namespace concordat::node
{
Node::Node(
    Configuration configuration, std::unique_ptr<Application> application, base::FileSystem& files, base::Clock& clock,
    attestation::Platform& platform, StartOptions options)
    : configuration_(std::move(configuration)),
      application_(std::move(application)),
      files_(files),
      clock_(clock),
      platform_(platform),
      options_(options),
      store_({.let_go = [this](kv::Snapshot state) { let_go(std::move(state)); }})
{
}

/// Aside, unless that falls behind: then here, so that no memory piles up.
void Node::let_go(kv::Snapshot state)
{
  if (!aside_)
    return;
  base::Job job;
  job.run = [state = std::move(state)]() mutable { state.reset(); };
  (void)aside_->submit(std::move(job));
}

Node::~Node()
{
  announce_stop();
  control_.reset(); // while what it waits for can still be agreed on
  stopping_ = true;
  if (steward_.joinable())
    steward_.join();
  // Handlers that run may still write: the order ends after them, and settles what they have submitted.
  if (pool_)
    pool_->stop();
  if (sequencer_)
    sequencer_->stop();
  // The way to the others is still there: a primary hands over first.
  if (sequencer_thread_.joinable())
    sequencer_thread_.join();
  if (link_)
    link_->stop();
  if (forwarder_)
    forwarder_->stop();
  if (disk_)
    disk_->stop();
  if (aside_)
    aside_->stop();
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
    attestation::Platform& platform, StartOptions options)
{
  std::unique_ptr<Node> node(
      new Node(std::move(configuration), std::move(application), files, clock, platform, options));
  node->aside_ =
      std::make_unique<base::WorkerPool>(base::WorkerPool::Options{.name = "aside", .threads = 1, .max_jobs = 4});
  node->disk_ =
      std::make_unique<base::WorkerPool>(base::WorkerPool::Options{.name = "disk", .threads = 1, .max_jobs = 4});
  if (auto started = node->take(
          {&Node::lock, &Node::unseal, &Node::bind, &Node::choose_port, &Node::restore, &Node::open_service,
           &Node::serve});
      !started)
    return std::unexpected(started.error());
  return node;
}

Result<std::unique_ptr<Node>> Node::start_driven(
    Configuration configuration, std::unique_ptr<Application> application, base::FileSystem& files, base::Clock& clock,
    attestation::Platform& platform, Driven driven, StartOptions options)
{
  std::unique_ptr<Node> node(
      new Node(std::move(configuration), std::move(application), files, clock, platform, options));
  node->driven_.emplace(std::move(driven));
  for (const auto& interface : node->configuration_.interfaces)
    node->addresses_[interface.listen.name] = interface.listen.bind_address;
  if (auto started = node->take(
          {&Node::lock, &Node::unseal, &Node::choose_port, &Node::restore, &Node::open_service, &Node::prepare_driven});
      !started)
    return std::unexpected(started.error());
  return node;
}

Result<void> Node::take(std::initializer_list<Step> steps)
{
  for (const Step step : steps)
    if (auto done = (this->*step)(); !done)
      return done;
  return {};
}

Result<void> Node::lock()
{
  // The directory itself, not only the sealed one: a copy of that would let a second process write the same files.
  const auto& directory = configuration_.ledger_directory;
  if (auto made = files_.make_directory(directory); !made)
    return made;
  auto lock = files_.lock_directory(directory);
  if (!lock)
    return fail("cannot use the ledger directory", lock.error());
  ledger_lock_ = std::move(*lock);
  return {};
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
  options.descriptors_kept_back = configuration_.open_files_kept_back;
  options.is_known = [this](std::string_view certificate) { return is_known_caller(certificate, store_.committed()); };
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

Result<void> Node::start_sequencer(consensus::SequencerStart start, const std::string& node_certificate_pem)
{
  const auto& joined = identity_->joined;
  consensus::Signer signer{
      identity_->node_id(),
      identity_->node_key,
      node_certificate_pem,
      identity_->service_key,
      joined ? joined->cose_issuer : configuration_.cose_issuer,
      joined ? joined->cose_subject : configuration_.cose_subject};
  consensus::SequencerOptions options;
  options.chunk_size = configuration_.chunk_size;
  options.max_uncommitted = configuration_.max_uncommitted;
  options.max_uncommitted_bytes = configuration_.transactions.max_waiting_size;
  options.max_entry_bytes = configuration_.transactions.max_size;
  options.max_batch_transactions = configuration_.transactions.max_batch_count;
  options.max_batch_bytes = configuration_.transactions.max_batch_size;
  options.aside = aside_.get();
  options.disk = disk_.get();
  options.reader = aside_.get();
  options.receiver = &*receiver_;
  options.secret_changed = [this] { keep_secret(); };
  options.first_after_full_stop = [this](Transaction& transaction, Seqno first)
  { return change_secret(transaction, first); };
  if (!driven_ || driven_->channel)
  {
    if (auto linked = start_link(node_certificate_pem); !linked)
      return linked;
    be_one_of_several(options, start);
  }
  if (driven_)
  {
    options.disk = driven_->disk;
    options.aside = driven_->aside;
    options.reader = driven_->aside;
    options.invariants = driven_->invariants;
    options.placed = driven_->placed;
    options.placed_own = driven_->placed_own;
    options.seed = driven_->seed;
    options.kept_entries = driven_->kept_entries.value_or(options.kept_entries);
  }
  sequencer_ = std::make_unique<consensus::Sequencer>(
      store_, files_, configuration_.ledger_directory, *identity_->ledger_secrets, std::move(signer), clock_,
      *sealed_state_, options, std::move(start));
  if (link_)
  {
    link_->deliver_to(*sequencer_);
    link_->set_state(store_.committed());
  }
  return {};
}

Result<TxId> Node::commit_now(const std::function<Result<void>(Transaction&, TxId)>& write)
{
  const auto transaction = store_.begin_fresh(kv::RunBy::node);
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
}
