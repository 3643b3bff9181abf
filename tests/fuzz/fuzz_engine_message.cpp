#include "consensus/engine.h"
#include "consensus/raft_log.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace
{
using namespace concordat;
using namespace concordat::consensus;

void require(bool holds)
{
  if (!holds)
    std::abort();
}

/// False for a change that cannot be made, at which a node ends: nothing has changed then.
bool apply(Engine& engine, const std::vector<LogEntry>& committed)
{
  for (const auto& entry : committed)
  {
    require(entry.batch || !entry.change);
    if (!entry.change)
      continue;
    const auto before = engine.configuration();
    const auto after = engine.apply_change(entry);
    require(engine.configuration() == (after ? *after : before));
    if (!after)
      return false;
    require(after->validate().has_value());
  }
  return true;
}

/// Does what a node does with a round, and holds what must hold of it. False if the node ends.
bool drain(Engine& engine, RaftLog& log, bool early)
{
  while (engine.has_ready())
  {
    const auto ready = engine.ready();
    const auto commit = engine.commit();
    if (!ready.entries.empty())
    {
      // What is committed is never replaced.
      require(ready.entries.front().index > commit || ready.hard_state);
      log.append(ready.entries);
    }
    if (!apply(engine, ready.committed))
      return false;
    if (early)
    {
      engine.advance_early();
      continue;
    }
    const auto after = engine.advance();
    require(engine.commit() >= commit && engine.commit() <= log.last_index());
    if (!apply(engine, after.committed))
      return false;
    for (const auto* committed : {&ready.committed, &after.committed})
      if (!committed->empty())
        engine.applied(committed->back().index);
  }
  return true;
}
}

/// Messages from another node, each a byte with its length and that many bytes. Lengths from 251 on are other events:
/// 255 a tick, 254 rounds are not written from here on until 253, 252 a change of the configuration if this node
/// leads, 251 a batch.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  RaftLog log;
  EngineOptions options;
  options.configuration.voters = {1, 2, 3};
  options.hard_state.term = 1;
  options.seed = 1;
  const auto created = Engine::create(options, log);
  require(created.has_value());
  auto& engine = **created;
  bool early = false;
  Descriptor batch{1, 1, 1, {}};
  while (!rest.empty())
  {
    const auto event = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    if (event == 255)
      engine.tick();
    else if (event == 254 || event == 253)
      early = event == 254;
    else if (event == 252)
    {
      const auto now = engine.configuration();
      const ConfigurationChange change =
          now.joint() ? ConfigurationChange{} : ConfigurationChange{{{4, Role::voter}, {3, Role::none}}};
      const bool proposed = engine.propose_change(batch, change).has_value();
      require(!proposed || (engine.leads() && engine.change_pending()));
    }
    else if (event == 251)
      (void)engine.propose(batch);
    else
    {
      const auto message = rest.substr(0, event);
      rest.remove_prefix(message.size());
      const auto term = engine.term();
      const auto configuration = engine.configuration();
      const auto summary = Engine::inspect(message);
      const bool taken = engine.step(message).has_value();
      // What is no message is not stepped either, and an error changes nothing.
      require(summary.has_value() || !taken);
      require(taken || engine.term() == term);
      require(engine.configuration() == configuration);
    }
    if (!drain(engine, log, early))
      return 0;
  }
  return 0;
}
