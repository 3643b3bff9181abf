#include "node/peer_link.h"

#include "base/log.h"
#include "consensus/engine.h"
#include "consensus/presence.h"

#include <set>
#include <utility>

namespace concordat::node
{
namespace
{
using consensus::Batch;
using consensus::Engine;
using consensus::EngineId;

/// Nodes whose own word is remembered: some more than there may be members.
constexpr std::size_t most_heard = 256;

/// Appends travel in one lane with the batches of earlier ones. An empty one that says how far is committed would
/// overtake these in the other lane, its receiver would refuse it for what it lacks, and all would be sent again.
/// (A message of the engine is a protobuf message that begins with its type, field 1; 3 is an append.)
bool is_append(std::string_view message)
{
  return message.starts_with("\x08\x03");
}

/// A message, and what the channel counts for its sender as long as the batch lives.
struct Counted
{
  std::shared_ptr<const Batch> batch;
  std::shared_ptr<const void> account;
};

/// Cuts what lies beside a message into the batches that it names.
Result<std::vector<std::shared_ptr<const Batch>>>
cut(const consensus::MessageSummary& summary, std::string_view bytes, const std::shared_ptr<const void>& account)
{
  std::vector<std::shared_ptr<const Batch>> out;
  for (const auto& entry : summary.entries)
  {
    if (!entry.batch)
      continue;
    if (entry.batch->length > bytes.size())
      return fail(ErrorCode::invalid, "it names batches that are not beside it");
    auto batch = Batch::received(*entry.batch, std::string(bytes.substr(0, entry.batch->length)));
    if (!batch)
      return std::unexpected(batch.error());
    bytes.remove_prefix(entry.batch->length);
    auto counted = std::make_shared<const Counted>(Counted{std::move(*batch), account});
    out.emplace_back(counted, counted->batch.get());
  }
  if (!bytes.empty())
    return fail(ErrorCode::invalid, "more lies beside it than it names");
  return out;
}
}

Result<std::unique_ptr<PeerLink>> PeerLink::start(const Options& options, const base::Clock& clock)
{
  if (!options.published_address.empty() && !is_peer_address(options.published_address))
    return fail(ErrorCode::invalid, "'" + options.published_address + "' is no address that other nodes can call");
  std::unique_ptr<PeerLink> link(new PeerLink(clock));
  auto* const self = link.get();
  const auto id = peer::node_id_of(options.identity);
  if (!id)
    return fail("this node's identity between nodes", id.error());
  link->self_ = *id;
  peer::Options channel;
  channel.bind_address = options.bind_address;
  channel.identity = options.identity;
  if (options.tune)
    options.tune(channel);
  peer::Callbacks callbacks;
  callbacks.on_message = [self](peer::Received message) { self->take(std::move(message)); };
  callbacks.may_speak = [self](const peer::NodeId& node) { return self->directory()->may_speak(node); };
  callbacks.service_keys = [keys = options.service_keys] { return keys; };
  link->published_ = options.published_address.empty() ? options.bind_address : options.published_address;
  if (options.channel)
  {
    link->channel_ = options.channel(link->self_, callbacks);
    return link;
  }
  auto network = peer::Network::start(channel, clock, callbacks);
  if (!network)
    return std::unexpected(network.error());
  if (options.published_address.empty())
    link->published_ = (*network)->address();
  // Nobody may speak yet, so no callback has looked for it.
  link->network_ = network->get();
  link->channel_ = std::move(*network);
  return link;
}

PeerLink::~PeerLink()
{
  stop();
}

void PeerLink::stop()
{
  if (network_)
    network_->stop();
}

void PeerLink::deliver_to(Receiver receiver)
{
  auto shared = std::make_shared<const Receiver>(std::move(receiver));
  const base::LockGuard lock(mutex_);
  receiver_ = std::move(shared);
}

void PeerLink::deliver_to(consensus::Sequencer& sequencer)
{
  deliver_to([&sequencer](std::string message, std::vector<std::shared_ptr<const Batch>> batches)
             { sequencer.deliver(std::move(message), std::move(batches)); });
  hear_roll([&sequencer](const peer::NodeId& from, std::string presence)
            { sequencer.hear(from, std::move(presence)); });
}

void PeerLink::hear_roll(Roll roll)
{
  auto shared = std::make_shared<const Roll>(std::move(roll));
  const base::LockGuard lock(mutex_);
  roll_ = std::move(shared);
}

void PeerLink::handle(PeerMessage kind, Handler handler)
{
  auto shared = std::make_shared<const Handler>(std::move(handler));
  const base::LockGuard lock(mutex_);
  handlers_[kind] = std::move(shared);
}

Result<void> PeerLink::set_identity(const peer::Identity& identity)
{
  return network_ ? network_->set_identity(identity) : Result<void>{};
}

std::shared_ptr<const PeerDirectory> PeerLink::directory() const
{
  const base::LockGuard lock(mutex_);
  return directory_;
}

void PeerLink::set_state(const kv::Snapshot& committed)
{
  const auto before = directory();
  if (before->is_same(*committed))
    return;
  auto now = std::make_shared<const PeerDirectory>(committed);
  {
    const base::LockGuard lock(mutex_);
    // What the tables say anew is newer than what a node has said of itself.
    for (const auto& [node, address] : now->addresses())
    {
      const auto said = before->addresses().find(node);
      if (said == before->addresses().end() || said->second != address)
        heard_.erase(node);
    }
    std::erase_if(heard_, [&](const auto& heard) { return !now->may_speak(heard.first); });
    std::erase_if(times_, [&](const auto& time) { return !now->may_speak(time.first); });
    directory_ = std::move(now);
  }
  call_peers();
  channel_->membership_changed();
}

/// Where the nodes are: as they say themselves, else as the tables say.
std::map<peer::NodeId, std::string> PeerLink::known_addresses() const
{
  const base::LockGuard lock(mutex_);
  auto addresses = directory_->addresses();
  for (const auto& [node, heard] : heard_)
    if (!heard.address.empty())
      addresses[node] = heard.address;
  return addresses;
}

void PeerLink::call_peers()
{
  const base::LockGuard one_at_a_time(calling_);
  auto addresses = known_addresses();
  addresses.erase(self_);
  channel_->set_peers(addresses);
}

/// A node that joined while this one was away, or that has come back at another address, says where it is itself.
void PeerLink::hear(const peer::NodeId& from, EngineId id, std::string_view address)
{
  const auto now = clock_.steady();
  {
    const base::LockGuard lock(mutex_);
    times_[from] = now;
    const auto known = directory_->addresses().find(from);
    const auto said = heard_.find(from);
    if (said != heard_.end() ? said->second.id == id && (address.empty() || said->second.address == address)
                             : directory_->id_of(from) == id && known != directory_->addresses().end() &&
                                   (address.empty() || known->second == address))
      return;
    if (said == heard_.end() && heard_.size() >= most_heard)
      return;
    auto& heard = heard_[from];
    heard.id = std::max(heard.id, id); // it never goes back to an earlier one
    if (!address.empty())
      heard.address = address;
  }
  call_peers();
}

void PeerLink::send(EngineId to, std::string message, std::vector<std::shared_ptr<const Batch>> batches)
{
  const auto node = node_of(to);
  if (!node)
    return;
  struct Owner
  {
    std::string head;
    std::vector<std::shared_ptr<const Batch>> batches;
  };
  const auto lane = batches.empty() && !is_append(message) ? peer::Lane::urgent : peer::Lane::bulk;
  const auto owner =
      std::make_shared<const Owner>(Owner{ConsensusMessage{published_, message, {}}.encode_head(), std::move(batches)});
  std::vector<std::string_view> pieces{owner->head};
  for (const auto& batch : owner->batches)
    for (const auto entry : batch->entries())
      pieces.push_back(entry);
  channel_->send(
      *node, lane, static_cast<std::uint16_t>(PeerMessage::consensus), peer::Payload(owner, std::move(pieces)));
}

void PeerLink::call_roll(const std::string& presence)
{
  std::set<peer::NodeId> all;
  {
    const base::LockGuard lock(mutex_);
    for (const auto& [node, address] : directory_->addresses())
      all.insert(node);
    for (const auto& [node, heard] : heard_)
      all.insert(node);
  }
  all.erase(self_);
  for (const auto& node : all)
    answer_roll(node, presence);
}

void PeerLink::answer_roll(const std::string& node, const std::string& presence)
{
  const auto owner = std::make_shared<const std::string>(ConsensusMessage{published_, presence, {}}.encode_head());
  channel_->send(
      node, peer::Lane::urgent, static_cast<std::uint16_t>(PeerMessage::presence), peer::Payload(owner, {*owner}));
}

std::vector<EngineId> PeerLink::ids_of(const std::string& node) const
{
  return directory()->ids_of(node.empty() ? self_ : node);
}

bool PeerLink::send(const peer::NodeId& to, PeerMessage kind, peer::Payload payload)
{
  return channel_->send(to, peer::Lane::bulk, static_cast<std::uint16_t>(kind), std::move(payload));
}

std::optional<peer::NodeId> PeerLink::node_of(EngineId id) const
{
  const base::LockGuard lock(mutex_);
  if (auto node = directory_->node_of(id))
    return node;
  for (const auto& [node, heard] : heard_)
    if (id != 0 && heard.id == id)
      return node;
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> PeerLink::last_heard(const peer::NodeId& node) const
{
  const auto now = clock_.steady();
  const base::LockGuard lock(mutex_);
  const auto found = times_.find(node);
  return found != times_.end()
           ? std::optional(std::chrono::duration_cast<std::chrono::milliseconds>(now - found->second))
           : std::nullopt;
}

void PeerLink::take(peer::Received message)
{
  const auto kind = static_cast<PeerMessage>(message.kind);
  if (kind == PeerMessage::consensus)
    return take_consensus(std::move(message));
  if (kind == PeerMessage::presence)
    return take_presence(message);
  if (kind == PeerMessage::addresses)
    return take_addresses(message);
  std::shared_ptr<const Handler> handler;
  bool speaks = false;
  {
    const base::LockGuard lock(mutex_);
    const auto found = handlers_.find(kind);
    if (found != handlers_.end())
      handler = found->second;
    speaks = directory_->may_speak(message.from);
  }
  if (!handler)
    drop(PeerFault::unknown_kind, message.from, "nobody here takes kind " + std::to_string(message.kind));
  else if (!speaks)
    drop(PeerFault::not_a_member, message.from, "it takes no part any more");
  else
    (*handler)(std::move(message));
}

void PeerLink::take_consensus(peer::Received message)
{
  std::shared_ptr<const Receiver> receiver;
  std::shared_ptr<const PeerDirectory> known;
  {
    const base::LockGuard lock(mutex_);
    receiver = receiver_;
    known = directory_;
  }
  if (!receiver)
    return; // not begun yet
  const auto parts = ConsensusMessage::decode(message.bytes);
  if (!parts)
    return drop(PeerFault::malformed, message.from, parts.error().describe());
  const auto summary = Engine::inspect(parts->message);
  if (!summary)
    return drop(PeerFault::malformed, message.from, summary.error().describe());
  if (!known->may_speak(message.from))
    return drop(PeerFault::not_a_member, message.from, "it takes no part any more");
  if (!known->is(message.from, summary->from))
    return drop(
        PeerFault::wrong_sender, message.from,
        "it claims to come from node number " + std::to_string(summary->from) + ", which is another one");
  // Also of one that knows this node by a number of an earlier start of it: it may be a primary that joined meanwhile.
  hear(message.from, summary->from, parts->address);
  const auto chosen = own_id_.load();
  if (const auto own = chosen != 0 ? std::optional(chosen) : known->id_of(self_); own && summary->to != *own)
    return drop(PeerFault::wrong_receiver, message.from, "it is for node number " + std::to_string(summary->to));
  auto batches = cut(*summary, parts->batches, message.account);
  if (!batches)
    return drop(PeerFault::wrong_batches, message.from, batches.error().describe());
  (*receiver)(std::string(parts->message), std::move(*batches));
}

void PeerLink::take_presence(const peer::Received& message)
{
  std::shared_ptr<const Roll> roll;
  std::shared_ptr<const PeerDirectory> known;
  {
    const base::LockGuard lock(mutex_);
    roll = roll_;
    known = directory_;
  }
  if (!roll)
    return; // not begun yet
  const auto parts = ConsensusMessage::decode(message.bytes);
  const auto presence = parts ? consensus::Presence::decode(parts->message) : std::unexpected(parts.error());
  if (!presence || !parts->batches.empty())
    return drop(PeerFault::malformed, message.from, presence ? "more lies beside it" : presence.error().describe());
  if (!known->may_speak(message.from))
    return drop(PeerFault::not_a_member, message.from, "it takes no part any more");
  // Where it listens is of use, its number is not: one that comes back may not know the one that it has.
  if (known->is(message.from, presence->id))
    hear(message.from, presence->id, parts->address);
  if (presence->answers == 0)
    tell_addresses(message.from);
  (*roll)(message.from, std::string(parts->message));
}

/// Who calls may have been away while those joined whom it needs, and only they call nobody.
void PeerLink::tell_addresses(const peer::NodeId& node)
{
  NodeAddresses known{known_addresses()};
  known.addresses.erase(node);
  while (known.addresses.size() > NodeAddresses::max_nodes)
    known.addresses.erase(known.addresses.begin());
  (void)send(node, PeerMessage::addresses, known.encode());
}

void PeerLink::take_addresses(const peer::Received& message)
{
  const auto told = NodeAddresses::decode(message.bytes);
  if (!told)
    return drop(PeerFault::malformed, message.from, told.error().describe());
  bool any = false;
  {
    const base::LockGuard lock(mutex_);
    if (!directory_->may_speak(message.from))
      return;
    for (const auto& [node, address] : told->addresses)
    {
      // What the tables say, or a node says of itself, is better. That it is that node shows when it is called.
      if (node == self_ || directory_->addresses().contains(node) || !directory_->may_speak(node) ||
          heard_.size() >= most_heard)
        continue;
      any = heard_.try_emplace(node, Heard{0, address}).second || any;
    }
  }
  if (any)
    call_peers();
}

/// Said once for each reason: who sends nonsense sends more of it.
void PeerLink::drop(PeerFault fault, const peer::NodeId& from, const std::string& why)
{
  if (faults_[static_cast<std::size_t>(fault)].fetch_add(1, std::memory_order_relaxed) == 0)
    spdlog::warn("a message of node {} is dropped, and so are others like it without a word: {}", from, why);
}
}
