#include "base/check.h"
#include "base/encoding.h"
#include "base/log.h"
#include "base/thread.h"
#include "crypto/hash.h"
#include "ledger/entry.h"
#include "net/listening.h"
#include "node/engine_ids.h"
#include "node/json.h"
#include "node/node.h"
#include "node/peer_link.h"
#include "node/tables.h"
#include "node/trust.h"

#include <boost/json.hpp>

#include <cstdlib>
#include <thread>

/// Being one of several: the way to the other nodes, who of them takes part, and what a primary sees to.
namespace concordat::node
{
namespace
{
constexpr std::chrono::milliseconds steward_pause{100};
/// For tests of rolling upgrades: which versions of the protocol between nodes this program claims to speak.
constexpr const char* claimed_versions = "CONCORDAT_TEST_PEER_VERSIONS";

/// Who should agree on transactions (governance.md §10.2, §10.3). A node that retires counts until the change that
/// takes it out is agreed on; that it may be shut down is noted after that.
/// A node that retires keeps hearing of the service, without a vote, until it can know that it may be shut down.
consensus::Wanted who_takes_part(const kv::Snapshot& committed)
{
  kv::SnapshotTransaction state(committed);
  consensus::Wanted out;
  for (const auto cursor = state.scan(tables::node_info); cursor->next();)
  {
    const std::string id(cursor->key());
    const auto record = read_object(state, tables::node_info, id);
    const auto engine_id = record && takes_part(*record) ? engine_id_of(state, id) : std::nullopt;
    if (engine_id)
      (string_member(*record, "status") == "Trusted" ? out.voters : out.leaving).push_back(*engine_id);
  }
  std::ranges::sort(out.voters);
  return out;
}

bool any_retired(const kv::Snapshot& committed)
{
  kv::SnapshotTransaction state(committed);
  for (const auto cursor = state.scan(tables::node_info); cursor->next();)
  {
    const auto record = read_object(state, tables::node_info, std::string(cursor->key()));
    if (record && string_member(*record, "status") == "Retired" && takes_part(*record))
      return true;
  }
  return false;
}
}

/// Other nodes are told where this one listens before it has what it needs to speak, so the port is chosen first.
Result<void> Node::choose_port()
{
  const auto& configured = configuration_.node_to_node_interface;
  auto address = string_member(configured, "bind_address");
  if (address.ends_with(":0"))
  {
    boost::asio::io_context io;
    net::ListeningSocket socket(io);
    auto bound = net::listen(socket, io, address);
    if (!bound)
      return std::unexpected(bound.error());
    address = std::move(*bound);
  }
  addresses_[std::string(between_nodes)] = address;
  return {};
}

Result<void> Node::start_link(const std::string& node_certificate_pem)
{
  const auto& configured = configuration_.node_to_node_interface;
  PeerLink::Options options;
  options.identity = {node_certificate_pem, identity_->node_key.private_pem()};
  options.service_keys = {identity_->service_key.public_key()};
  options.bind_address = addresses_.at(std::string(between_nodes));
  options.published_address = string_member(configured, "published_address");
  if (driven_)
    options.channel = driven_->channel;
  if (const char* const claimed = std::getenv(claimed_versions))
  {
    const auto versions = peer::VersionRange::parse(claimed);
    if (!versions)
      return fail(std::string("the environment variable ") + claimed_versions, versions.error());
    spdlog::warn("this node claims to speak versions {} of the protocol between nodes, for a test", claimed);
    options.tune = [versions = *versions](peer::Options& channel) { channel.versions = versions; };
  }
  auto link = PeerLink::start(options, clock_);
  if (!link)
    return fail("cannot listen for other nodes", link.error());
  link_ = std::move(*link);
  return {};
}

/// What has to do with other nodes among the options of the order.
void Node::be_one_of_several(consensus::SequencerOptions& options, const consensus::SequencerStart& begin)
{
  kv::SnapshotTransaction state(store_.committed());
  // The last one that is in the agreement: one that was given to it later counts only when that one is out.
  const auto ids = engine_ids_of(state, identity_->node_id());
  const auto agrees = [&](consensus::EngineId id) { return begin.log.configuration.role(id) != consensus::Role::none; };
  const auto in_force = std::ranges::find_if(ids.rbegin(), ids.rend(), agrees);
  options.engine_id = in_force != ids.rend() ? *in_force : ids.empty() ? 1 : ids.back();
  // It may have taken another in transactions that it does not know to be committed.
  options.engine_id = std::max(begin.durable.engine_id, options.engine_id);
  link_->takes_part_as(options.engine_id);
  options.readmit = [this](const kv::Snapshot& committed, const std::string& node, std::uint64_t start, bool give)
  { return readmissions_.look(committed, node, start, give); };
  options.tick = configuration_.message_timeout;
  options.election_ticks = static_cast<unsigned>(
      configuration_.election_timeout / std::max(configuration_.message_timeout, std::chrono::milliseconds(1)));
  options.wanted = who_takes_part;
  options.peers = link_.get();
  options.published = [this](const kv::Snapshot& committed)
  {
    link_->set_state(committed);
    if (const auto* const dispatcher = serving_.load(std::memory_order_acquire))
      dispatcher->look();
  };
}

Result<void> Node::take_part(
    std::unique_ptr<ledger::ChunkFiles> chunks, consensus::Replayed replayed, const consensus::DurableState& durable)
{
  auto log = consensus::restore_log(durable, replayed);
  if (!log)
    return std::unexpected(log.error());
  const auto last = log->batches.empty() ? replayed.state->seqno() : log->batches.rbegin()->second->descriptor.last;
  if (auto cut = chunks->truncate(last); !cut)
    return fail("cannot cut what is not in the log of consensus", cut.error());
  store_.reset(replayed.state, replayed.state->txid().view);
  kv::SnapshotTransaction state(store_.committed());
  newest_signature_ = newest_signature_time(state, identity_->service_key.public_key());
  const auto certificate = state.get(tables::node_certificates, identity_->node_id());
  if (!certificate)
    return fail(ErrorCode::denied, "this node takes no part in the service any more: its record is gone");
  if (auto started = start_sequencer(
          {std::move(chunks), std::move(replayed.tree), std::move(replayed.views), std::move(replayed.signatures),
           durable, std::move(*log)},
          std::string(*certificate));
      !started)
    return started;
  // One that has joined just now has promised nothing yet.
  if (has_joined_ || configuration_.trusted_disks)
    return sequencer_->take_part();
  // 0 means none.
  while (start_ == 0)
    start_ = *base::Reader(crypto::random_bytes(sizeof(start_))).le<std::uint64_t>();
  sequencer_->come_back({start_, options_.accept_loss});
  return {};
}

Result<void> Node::join()
{
  std::atomic<bool> never{false};
  JoinMeans means{*sealed_state_, files_, clock_, platform_, addresses_, options_.stop ? *options_.stop : never};
  if (driven_ && driven_->connect)
  {
    means.connect = driven_->connect;
    means.wait = driven_->wait;
  }
  auto joined = join_service(configuration_, std::move(means));
  if (!joined)
    return fail("cannot join the service", joined.error());
  identity_.emplace(std::move(*joined));
  has_joined_ = true;
  return restore();
}

/// What only the primary can answer is handed on to it.
void Node::connect_requests(base::Executor& pool)
{
  const auto send = [this](const peer::NodeId& to, PeerMessage kind, peer::Payload payload)
  { return link_->send(to, kind, std::move(payload)); };
  const auto primary = [this]() -> std::optional<Forwarder::Primary>
  {
    const auto agreed = sequencer_->agreement();
    // A node that takes no part yet knows of a primary only what it was told.
    const bool takes_part = agreed.configuration.role(agreed.self) != consensus::Role::none;
    const auto node = agreed.leader == agreed.self || !takes_part ? std::nullopt : link_->node_of(agreed.leader);
    return node ? std::optional(Forwarder::Primary{*node, agreed.view}) : std::nullopt;
  };
  const auto leads = [this]
  {
    const auto agreed = sequencer_->agreement();
    return agreed.leader != 0 && agreed.leader == agreed.self;
  };
  forwarder_ =
      std::make_unique<Forwarder>(Forwarder::Options{.send = send, .primary = primary, .leads = leads}, clock_);
  services_->forwarder = forwarder_.get();
  services_->last_heard = [this](const std::string& node) { return link_->last_heard(node); };
  forwarded_ = std::make_unique<ForwardedRequests>(
      ForwardedRequests::Options{
          .send = send,
          .run = [this](const std::shared_ptr<http::Exchange>& exchange, View view)
          { dispatcher_->handle_forwarded(exchange, view); }},
      pool, clock_);
  link_->handle(
      PeerMessage::forwarded_request, [this](peer::Received message) { forwarded_->take(std::move(message)); });
  link_->handle(PeerMessage::forwarded_answer, [this](const peer::Received& message) { forwarder_->take(message); });
  link_->handle(
      PeerMessage::forwarded_place, [this](const peer::Received& message) { forwarder_->take_place(message); });
  link_->handle(
      PeerMessage::forwarded_stream, [this](const peer::Received& message) { forwarder_->take_stream(message); });
  link_->handle(
      PeerMessage::forwarded_piece, [this](const peer::Received& message) { forwarder_->take_piece(message); });
  link_->handle(PeerMessage::forwarded_more, [this](const peer::Received& message) { forwarded_->take_more(message); });
  link_->handle(
      PeerMessage::node_update,
      [this, &pool](const peer::Received& message)
      {
        auto update = NodeUpdate::decode(message.bytes);
        if (!update)
          return spdlog::warn("what node {} says of itself is dropped: {}", message.from, update.error().describe());
        base::Job job;
        job.owner = "nodes";
        job.bytes = message.bytes.size();
        job.run = [this, from = message.from, said = std::move(*update)] { write_update(from, said); };
        job.refuse = [](base::Refusal) {};
        (void)pool.submit(std::move(job));
      });
  link_->handle(
      PeerMessage::accepted_absence,
      [this](const peer::Received& message)
      {
        auto absence = AcceptedAbsence::decode(message.bytes);
        if (!absence)
          return spdlog::warn("what node {} went on without is dropped: {}", message.from, absence.error().describe());
        readmissions_.note_absence(message.from, std::move(*absence));
      });
}

void Node::be_steward()
{
  while (!stopping_)
  {
    std::this_thread::sleep_for(steward_pause);
    look_after_nodes();
  }
}

void Node::look_after_nodes()
{
  const auto committed = store_.committed();
  dispatcher_->look();
  if (forwarded_)
    forwarded_->look();
  tell_primary(committed);
  show_certificate(committed);
  if (!sequencer_->can_write() || !(readmissions_.any() || any_retired(committed)))
    return;
  const auto transaction = store_.begin_fresh(kv::RunBy::node);
  kv::SnapshotTransaction state(committed);
  const bool retired = note_retired_committed(*transaction, state);
  if (readmissions_.write(*transaction) || retired)
    if (const auto noted = sequencer_->submit(*transaction, {}, {}); !noted)
      spdlog::warn("that a node has retired, or come back, is noted later: {}", noted.error().describe());
}
}
