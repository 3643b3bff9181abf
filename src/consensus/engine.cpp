#include "consensus/engine.h"

#include "base/check.h"
#include "base/encoding.h"
#include "base/log.h"
#include "consensus/engine/concordat_engine.h"

#include <algorithm>
#include <cstring>

namespace concordat::consensus
{
namespace
{
enum EntryKind : std::uint32_t
{
  kind_empty = 0,
  kind_batch = 1,
};

std::unexpected<Error> refused(std::uint32_t code, const concordat_engine_error& error)
{
  switch (code)
  {
  case CONCORDAT_ENGINE_INVALID:
    return fail(ErrorCode::invalid, error.message);
  case CONCORDAT_ENGINE_CORRUPT:
    return fail(ErrorCode::corrupt, error.message);
  case CONCORDAT_ENGINE_UNAVAILABLE:
    return fail(ErrorCode::unavailable, error.message);
  case CONCORDAT_ENGINE_LIMIT:
    return fail(ErrorCode::limit, error.message);
  default:
    return fail(ErrorCode::internal, error.message);
  }
}

Result<void> outcome(std::uint32_t code, const concordat_engine_error& error)
{
  if (code != CONCORDAT_ENGINE_OK)
    return refused(code, error);
  return {};
}

Result<LogEntry> from_c(const concordat_engine_entry& entry)
{
  LogEntry out{entry.index, entry.term, std::nullopt};
  if (entry.kind == kind_empty)
    return out;
  auto batch = Descriptor::decode({reinterpret_cast<const char*>(entry.descriptor), CONCORDAT_ENGINE_DESCRIPTOR_SIZE});
  if (!batch)
    return std::unexpected(batch.error());
  out.batch = *batch;
  return out;
}

std::vector<LogEntry> from_c(const concordat_engine_entry* entries, std::size_t count)
{
  std::vector<LogEntry> out;
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
  {
    auto entry = from_c(entries[i]);
    CHECK(entry, "descriptors are checked before they enter the engine");
    out.push_back(*entry);
  }
  return out;
}

std::vector<Message> from_c(const concordat_engine_message* messages, std::size_t count)
{
  std::vector<Message> out;
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
  {
    const auto& message = messages[i];
    out.push_back(
        {message.to, std::string(reinterpret_cast<const char*>(message.bytes), message.size),
         from_c(message.entries, message.entry_count)});
  }
  return out;
}

Ready from_c(const concordat_engine_ready& ready)
{
  Ready out;
  out.messages = from_c(ready.messages, ready.message_count);
  if (ready.has_hard_state)
    out.hard_state = HardState{ready.hard_state.term, ready.hard_state.vote, ready.hard_state.commit};
  out.entries = from_c(ready.entries, ready.entry_count);
  out.persisted_messages = from_c(ready.persisted_messages, ready.persisted_message_count);
  out.committed = from_c(ready.committed, ready.committed_count);
  for (std::size_t i = 0; i < ready.read_count; ++i)
    out.reads.push_back({ready.reads[i].token, ready.reads[i].index});
  if (ready.stranded_count > 0)
    out.stranded.assign(ready.stranded, ready.stranded + ready.stranded_count);
  return out;
}

constexpr std::uint64_t layout()
{
  std::uint64_t sum = 0;
  for (const std::size_t size :
       {sizeof(concordat_engine_error), sizeof(concordat_engine_entry), sizeof(concordat_engine_log),
        sizeof(concordat_engine_hard_state), sizeof(concordat_engine_options), sizeof(concordat_engine_message),
        sizeof(concordat_engine_read), sizeof(concordat_engine_ready), sizeof(concordat_engine_status),
        sizeof(concordat_engine_summary)})
    sum = sum * 31 + size;
  return sum;
}

const LogReader& log_of(const void* context)
{
  return *static_cast<const LogReader*>(context);
}

// The callbacks are noexcept: an exception must not unwind through the engine's frames.

std::uint64_t log_first_index(const void* context) noexcept
{
  return log_of(context).first_index();
}

std::uint64_t log_last_index(const void* context) noexcept
{
  return log_of(context).last_index();
}

bool log_term(const void* context, std::uint64_t index, std::uint64_t* term) noexcept
{
  const auto found = log_of(context).term(index);
  if (found)
    *term = *found;
  return found.has_value();
}

bool log_entry(const void* context, std::uint64_t index, concordat_engine_entry* out) noexcept
{
  const auto entry = log_of(context).entry(index);
  *out = {entry.index, entry.term, entry.batch ? kind_batch : kind_empty, {}};
  if (entry.batch)
    std::memcpy(out->descriptor, entry.batch->encode().data(), sizeof(out->descriptor));
  return true;
}

void write_log(std::uint32_t severity, const char* text, std::size_t size) noexcept
{
  const auto level = severity == 1 ? spdlog::level::critical : severity == 2 ? spdlog::level::err : spdlog::level::warn;
  spdlog::log(level, "consensus: {}", std::string_view(text, size));
}

bool collect_entry(void* context, const concordat_engine_entry* entry) noexcept
{
  auto converted = from_c(*entry);
  if (!converted)
    return false;
  if (context != nullptr)
    static_cast<std::vector<LogEntry>*>(context)->push_back(*converted);
  return true;
}

const std::uint8_t* bytes_of(std::string_view text)
{
  return reinterpret_cast<const std::uint8_t*>(text.data());
}
}

std::string Descriptor::encode() const
{
  std::string out;
  out.reserve(CONCORDAT_ENGINE_DESCRIPTOR_SIZE);
  base::append_le(out, first);
  base::append_le(out, last);
  base::append_le(out, length);
  out.append(base::as_view(digest));
  return out;
}

Result<Descriptor> Descriptor::decode(std::string_view bytes)
{
  if (bytes.size() != CONCORDAT_ENGINE_DESCRIPTOR_SIZE)
    return fail(
        ErrorCode::invalid, "a batch descriptor has " + std::to_string(CONCORDAT_ENGINE_DESCRIPTOR_SIZE) +
                                " bytes, not " + std::to_string(bytes.size()));
  base::Reader reader(bytes);
  Descriptor out;
  out.first = *reader.le<std::uint64_t>();
  out.last = *reader.le<std::uint64_t>();
  out.length = *reader.le<std::uint64_t>();
  std::copy(reader.rest().begin(), reader.rest().end(), out.digest.begin());
  if (out.first == 0 || out.first > out.last || out.last >> 63 != 0 || out.length == 0)
    return fail(
        ErrorCode::invalid, "a batch descriptor names the impossible range " + std::to_string(out.first) + " to " +
                                std::to_string(out.last) + " in " + std::to_string(out.length) + " bytes");
  return out;
}

struct Engine::Impl
{
  concordat_engine* engine = nullptr;
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
  CHECK(concordat_engine_layout() == layout(), "the header and the library are changed together");

  concordat_engine_options c_options{};
  c_options.id = options.id;
  c_options.voters = options.voters.data();
  c_options.voter_count = options.voters.size();
  c_options.hard_state = {options.hard_state.term, options.hard_state.vote, options.hard_state.commit};
  c_options.applied = options.applied;
  c_options.election_ticks = options.election_ticks;
  c_options.heartbeat_ticks = options.heartbeat_ticks;
  c_options.seed = options.seed;
  const concordat_engine_log c_log{&log, log_first_index, log_last_index, log_term, log_entry};

  auto impl = std::make_unique<Impl>();
  concordat_engine_error error{};
  const auto code = concordat_engine_create(&c_options, &c_log, write_log, &impl->engine, &error);
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

bool Engine::has_ready() const
{
  return concordat_engine_has_ready(impl_->between_rounds());
}

Ready Engine::ready()
{
  concordat_engine_ready out{};
  concordat_engine_take_ready(impl_->between_rounds(), &out);
  impl_->in_round = true;
  return from_c(out);
}

Ready Engine::advance()
{
  CHECK(impl_->in_round, "advance() ends a round that ready() began");
  impl_->in_round = false;
  concordat_engine_ready out{};
  concordat_engine_advance(impl_->engine, &out);
  return from_c(out);
}

void Engine::applied(Index index)
{
  concordat_engine_applied(impl_->between_rounds(), index);
}
}
