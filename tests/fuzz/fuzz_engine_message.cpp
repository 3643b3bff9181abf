#include "consensus/engine.h"
#include "consensus/raft_log.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace
{
using namespace concordat;
using namespace concordat::consensus;

void require(bool holds)
{
  if (!holds)
    std::abort();
}

/// Does what a node does with a round, and holds what must hold of it.
void drain(Engine& engine, RaftLog& log)
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
    const auto after = engine.advance();
    require(engine.commit() >= commit && engine.commit() <= log.last_index());
    for (const auto* committed : {&ready.committed, &after.committed})
      if (!committed->empty())
        engine.applied(committed->back().index);
  }
}
}

/// Messages from another node, each a byte with its length and that many bytes; a length of 255 is a tick.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  RaftLog log;
  EngineOptions options;
  options.voters = {1, 2, 3};
  options.hard_state.term = 1;
  options.seed = 1;
  const auto engine = Engine::create(options, log);
  require(engine.has_value());
  while (!rest.empty())
  {
    const auto length = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    if (length == 255)
    {
      (*engine)->tick();
      drain(**engine, log);
      continue;
    }
    const auto message = rest.substr(0, length);
    rest.remove_prefix(message.size());
    const auto term = (*engine)->term();
    const auto summary = Engine::inspect(message);
    const bool taken = (*engine)->step(message).has_value();
    // What is no message is not stepped either, and an error changes nothing.
    require(summary.has_value() || !taken);
    require(taken || (*engine)->term() == term);
    drain(**engine, log);
  }
  return 0;
}
