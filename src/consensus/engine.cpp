#include "consensus/engine.h"

#include "base/check.h"
#include "consensus/engine_abi.h"

namespace concordat::consensus
{
using abi::collect_entry;
using abi::outcome;
using abi::refused;

namespace
{
const std::uint8_t* bytes_of(std::string_view text)
{
  return reinterpret_cast<const std::uint8_t*>(text.data());
}
}

struct Engine::Impl
{
  concordat_engine* engine = nullptr;
  EngineId id = 0;
  bool in_round = false;

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl()
  {
    concordat_engine_destroy(engine);
  }

  concordat_engine* between_rounds() const
  {
    CHECK(!in_round, "a round is ended by advance() before the engine is used again");
    return engine;
  }

  concordat_engine_status status() const
  {
    concordat_engine_status out{};
    concordat_engine_get_status(engine, &out);
    return out;
  }
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::create(const EngineOptions& options, const LogReader& log)
{
  CHECK(concordat_engine_layout() == abi::layout(), "the header and the library are changed together");

  if (auto sound = options.configuration.validate(); !sound)
    return std::unexpected(sound.error());

  concordat_engine_options c_options{};
  c_options.id = options.id;
  c_options.configuration = abi::to_c(options.configuration);
  c_options.hard_state = {options.hard_state.term, options.hard_state.vote, options.hard_state.commit};
  c_options.applied = options.applied;
  c_options.election_ticks = options.election_ticks;
  c_options.heartbeat_ticks = options.heartbeat_ticks;
  c_options.max_inflight_messages = options.max_inflight_messages;
  c_options.max_message_entries = options.max_message_entries;
  c_options.max_message_batch_bytes = options.max_message_batches;
  c_options.max_waiting_entries = options.max_waiting;
  c_options.seed = options.seed;
  c_options.observes = options.observes;
  c_options.votes_for = options.votes_for;
  const auto c_log = abi::to_c(log);

  auto impl = std::make_unique<Impl>();
  impl->id = options.id;
  concordat_engine_error error{};
  const auto code = concordat_engine_create(&c_options, &c_log, abi::write_log, &impl->engine, &error);
  if (code != CONCORDAT_ENGINE_OK)
    return refused(code, error);
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

void Engine::tick()
{
  concordat_engine_tick(impl_->between_rounds());
}

Result<void> Engine::campaign()
{
  concordat_engine_error error{};
  return outcome(concordat_engine_campaign(impl_->between_rounds(), &error), error);
}

Result<void> Engine::propose(const Descriptor& batch)
{
  const auto bytes = batch.encode();
  if (auto sound = Descriptor::decode(bytes); !sound)
    return std::unexpected(sound.error());
  concordat_engine_error error{};
  return outcome(concordat_engine_propose(impl_->between_rounds(), bytes_of(bytes), &error), error);
}

Result<void> Engine::propose_change(const Descriptor& batch, const ConfigurationChange& change)
{
  auto* const engine = impl_->between_rounds();
  if (auto sound = Descriptor::decode(batch.encode()); !sound)
    return std::unexpected(sound.error());
  if (auto sound = change.validate(); !sound)
    return sound;
  // Where it is not the time for any change, or not for one of this kind, the engine's refusal says so.
  const auto current = configuration();
  if (leads() && !change_pending() && current.joint() == change.leaves_joint())
    if (auto next = current.after(change); !next)
      return std::unexpected(next.error());
  const auto entry = abi::to_c(LogEntry{0, 0, batch, change});
  concordat_engine_error error{};
  return outcome(concordat_engine_propose_change(engine, &entry, &error), error);
}

Result<void> Engine::transfer_leadership(EngineId to)
{
  concordat_engine_error error{};
  return outcome(concordat_engine_transfer(impl_->between_rounds(), to, &error), error);
}

void Engine::step_down()
{
  concordat_engine_step_down(impl_->between_rounds());
}

void Engine::unreachable(EngineId peer)
{
  concordat_engine_unreachable(impl_->between_rounds(), peer);
}

void Engine::take_part()
{
  concordat_engine_take_part(impl_->between_rounds());
}

void Engine::vote_for(EngineId id)
{
  concordat_engine_vote_for(impl_->between_rounds(), id);
}

void Engine::learn_committed(LogPosition committed)
{
  concordat_engine_learn_committed(impl_->between_rounds(), committed.index, committed.term);
}

Result<void> Engine::step(std::string_view message)
{
  concordat_engine_error error{};
  const auto code =
      concordat_engine_step(impl_->between_rounds(), bytes_of(message), message.size(), collect_entry, nullptr, &error);
  return outcome(code, error);
}

Result<void> Engine::read_index(std::uint64_t token)
{
  concordat_engine_error error{};
  return outcome(concordat_engine_read_index(impl_->between_rounds(), token, &error), error);
}

Result<MessageSummary> Engine::inspect(std::string_view message)
{
  MessageSummary out;
  concordat_engine_summary summary{};
  concordat_engine_error error{};
  const auto code =
      concordat_engine_inspect(bytes_of(message), message.size(), collect_entry, &out.entries, &summary, &error);
  if (code != CONCORDAT_ENGINE_OK)
    return refused(code, error);
  out.from = summary.from;
  out.to = summary.to;
  out.term = summary.term;
  return out;
}

bool Engine::leads() const
{
  return impl_->status().leads;
}

View Engine::term() const
{
  return impl_->status().term;
}

EngineId Engine::leader() const
{
  return impl_->status().leader;
}

Index Engine::commit() const
{
  return impl_->status().commit;
}

EngineId Engine::handing_over_to() const
{
  return impl_->status().handing_over_to;
}

bool Engine::change_pending() const
{
  return impl_->status().change_pending;
}

Configuration Engine::configuration() const
{
  concordat_engine_configuration out{};
  concordat_engine_get_configuration(impl_->engine, &out);
  return abi::from_c(out);
}

Role Engine::role() const
{
  return configuration().role(impl_->id);
}

std::vector<PeerProgress> Engine::progress() const
{
  concordat_engine_progress out{};
  concordat_engine_get_progress(impl_->engine, &out);
  return abi::from_c(out);
}

bool Engine::has_quorum() const
{
  concordat_engine_progress out{};
  concordat_engine_get_progress(impl_->engine, &out);
  return out.has_quorum;
}

bool Engine::has_ready() const
{
  return concordat_engine_has_ready(impl_->between_rounds());
}

Ready Engine::ready()
{
  concordat_engine_ready out{};
  concordat_engine_take_ready(impl_->between_rounds(), &out);
  impl_->in_round = true;
  return abi::from_c(out);
}

Ready Engine::advance()
{
  CHECK(impl_->in_round, "advance() ends a round that ready() began");
  impl_->in_round = false;
  concordat_engine_ready out{};
  concordat_engine_advance(impl_->engine, &out);
  return abi::from_c(out);
}

void Engine::advance_early()
{
  CHECK(impl_->in_round, "advance_early() ends a round that ready() began");
  impl_->in_round = false;
  concordat_engine_advance_early(impl_->engine);
}

void Engine::persisted(std::uint64_t number)
{
  concordat_engine_persisted(impl_->between_rounds(), number);
}

Result<Configuration> Engine::apply_change(const LogEntry& entry)
{
  CHECK(entry.change, "only an entry with a change makes one");
  const auto expected = configuration().after(*entry.change);
  if (!expected)
    return fail(
        ErrorCode::corrupt, "entry " + std::to_string(entry.index) +
                                " was agreed on, but it cannot be applied: " + expected.error().describe());
  const auto c_entry = abi::to_c(entry);
  concordat_engine_error error{};
  const auto code = concordat_engine_apply_change(impl_->engine, &c_entry, &error);
  if (code != CONCORDAT_ENGINE_OK)
    return refused(code, error);
  auto next = configuration();
  CHECK(next == *expected, "the engine makes of a change what our tables say");
  return next;
}

void Engine::applied(Index index)
{
  concordat_engine_applied(impl_->between_rounds(), index);
}
}
