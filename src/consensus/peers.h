#pragma once

#include "consensus/batch.h"
#include "consensus/configuration.h"

#include <memory>
#include <string>
#include <vector>

namespace concordat::consensus
{
/// The way to the other nodes. Called on the consensus thread, must not wait; whatever it carries may get lost.
class Peers
{
public:
  virtual ~Peers() = default;
  /// Sends a message of consensus, with the batches that its receiver needs beside it.
  virtual void send(EngineId to, std::string message, std::vector<std::shared_ptr<const Batch>> batches) = 0;

  /// Sends what this node says of itself (`Presence`) to every other node that is known.
  virtual void call_roll(const std::string& presence) = 0;
  /// Sends it to one that has called. @param node  as it was named when its call came
  virtual void answer_roll(const std::string& node, const std::string& presence) = 0;
  /// The ids under which a node takes part and ever did, as far as is known here, in order. @param node  empty: this
  /// one
  virtual std::vector<EngineId> ids_of(const std::string& node) const = 0;
  /// This node takes part under another id from now on.
  virtual void takes_part_as(EngineId id) = 0;
};
}
