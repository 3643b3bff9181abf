#include "consensus/engine_abi.h"

#include "base/check.h"
#include "base/log.h"

#include <algorithm>
#include <cstring>

namespace concordat::consensus::abi
{
static_assert(ConfigurationChange::max_members == CONCORDAT_ENGINE_MAX_CHANGES);

namespace
{
enum EntryKind : std::uint32_t
{
  kind_empty = 0,
  kind_batch = 1,
  kind_change = 2,
};

std::vector<LogEntry> entries_from_c(const concordat_engine_entry* entries, std::size_t count)
{
  std::vector<LogEntry> out;
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
  {
    auto entry = from_c(entries[i]);
    CHECK(entry, "entries are checked before they enter the engine");
    out.push_back(std::move(*entry));
  }
  return out;
}

std::vector<Message> messages_from_c(const concordat_engine_message* messages, std::size_t count)
{
  std::vector<Message> out;
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
  {
    const auto& message = messages[i];
    out.push_back(
        {message.to, std::string(reinterpret_cast<const char*>(message.bytes), message.size),
         entries_from_c(message.entries, message.entry_count)});
  }
  return out;
}

std::vector<EngineId> ids_from_c(const std::uint64_t* ids, std::size_t count)
{
  return count == 0 ? std::vector<EngineId>() : std::vector<EngineId>(ids, ids + count);
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
  const auto entry = log_of(context).read(index);
  if (entry)
    *out = to_c(*entry);
  return entry.has_value();
}
}

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
  LogEntry out{entry.index, entry.term};
  if (entry.kind == kind_empty)
    return out;
  auto batch = Descriptor::decode({reinterpret_cast<const char*>(entry.descriptor), CONCORDAT_ENGINE_DESCRIPTOR_SIZE});
  if (!batch)
    return std::unexpected(batch.error());
  out.batch = *batch;
  if (entry.kind == kind_change)
  {
    ConfigurationChange change;
    for (std::uint32_t i = 0; i < entry.change_count; ++i)
      change.members.push_back({entry.change_ids[i], static_cast<Role>(entry.change_roles[i])});
    change.joint_alone = entry.change_joint;
    if (auto sound = change.validate(); !sound)
      return std::unexpected(sound.error());
    out.change = std::move(change);
  }
  return out;
}

concordat_engine_entry to_c(const LogEntry& entry)
{
  concordat_engine_entry out{};
  out.index = entry.index;
  out.term = entry.term;
  if (!entry.batch)
  {
    CHECK(!entry.change, "a change of the configuration is recorded in a batch");
    return out;
  }
  out.kind = kind_batch;
  std::memcpy(out.descriptor, entry.batch->encode().data(), sizeof(out.descriptor));
  if (entry.change)
  {
    const auto& members = entry.change->members;
    CHECK(members.size() <= CONCORDAT_ENGINE_MAX_CHANGES, "a change is checked before it is proposed");
    out.kind = kind_change;
    out.change_count = static_cast<std::uint32_t>(members.size());
    out.change_joint = entry.change->joint_alone;
    for (std::size_t i = 0; i < members.size(); ++i)
    {
      out.change_ids[i] = members[i].id;
      out.change_roles[i] = static_cast<std::uint8_t>(members[i].role);
    }
  }
  return out;
}

Ready from_c(const concordat_engine_ready& ready)
{
  Ready out;
  out.number = ready.number;
  out.messages = messages_from_c(ready.messages, ready.message_count);
  if (ready.has_hard_state)
    out.hard_state = HardState{ready.hard_state.term, ready.hard_state.vote, ready.hard_state.commit};
  out.entries = entries_from_c(ready.entries, ready.entry_count);
  out.persisted_messages = messages_from_c(ready.persisted_messages, ready.persisted_message_count);
  out.committed = entries_from_c(ready.committed, ready.committed_count);
  for (std::size_t i = 0; i < ready.read_count; ++i)
    out.reads.push_back({ready.reads[i].token, ready.reads[i].index});
  out.stranded = ids_from_c(ready.stranded, ready.stranded_count);
  return out;
}

Configuration from_c(const concordat_engine_configuration& configuration)
{
  Configuration out;
  out.voters = ids_from_c(configuration.voters, configuration.voter_count);
  out.learners = ids_from_c(configuration.learners, configuration.learner_count);
  out.voters_outgoing = ids_from_c(configuration.voters_outgoing, configuration.voter_outgoing_count);
  out.learners_next = ids_from_c(configuration.learners_next, configuration.learner_next_count);
  return out;
}

concordat_engine_configuration to_c(const Configuration& configuration)
{
  concordat_engine_configuration out{};
  out.voters = configuration.voters.data();
  out.voter_count = configuration.voters.size();
  out.learners = configuration.learners.data();
  out.learner_count = configuration.learners.size();
  out.voters_outgoing = configuration.voters_outgoing.data();
  out.voter_outgoing_count = configuration.voters_outgoing.size();
  out.learners_next = configuration.learners_next.data();
  out.learner_next_count = configuration.learners_next.size();
  return out;
}

std::vector<PeerProgress> from_c(const concordat_engine_progress& progress)
{
  std::vector<PeerProgress> out;
  for (std::size_t i = 0; i < progress.peer_count; ++i)
  {
    const auto& peer = progress.peers[i];
    out.push_back({peer.id, peer.matched, peer.active, peer.stranded});
  }
  return out;
}

concordat_engine_log to_c(const LogReader& log)
{
  return {&log, log_first_index, log_last_index, log_term, log_entry};
}

bool collect_entry(void* context, const concordat_engine_entry* entry) noexcept
{
  auto converted = from_c(*entry);
  if (!converted)
    return false;
  if (context != nullptr)
    static_cast<std::vector<LogEntry>*>(context)->push_back(std::move(*converted));
  return true;
}

void write_log(std::uint32_t severity, const char* text, std::size_t size) noexcept
{
  const auto level = severity == 1 ? spdlog::level::critical : severity == 2 ? spdlog::level::err : spdlog::level::warn;
  spdlog::log(level, "consensus: {}", std::string_view(text, size));
}

std::uint64_t layout()
{
  std::uint64_t sum = 0;
  for (const std::size_t size :
       {sizeof(concordat_engine_error), sizeof(concordat_engine_entry), sizeof(concordat_engine_log),
        sizeof(concordat_engine_hard_state), sizeof(concordat_engine_configuration), sizeof(concordat_engine_options),
        sizeof(concordat_engine_message), sizeof(concordat_engine_read), sizeof(concordat_engine_ready),
        sizeof(concordat_engine_status), sizeof(concordat_engine_peer), sizeof(concordat_engine_progress),
        sizeof(concordat_engine_summary)})
    sum = sum * 31 + size;
  return sum;
}
}
