#pragma once

#include "concordat/transaction.h"
#include "consensus/engine.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Under which numbers the engine of consensus knows nodes. A node that was ever trusted has one, from 1 on, which is
/// never given to another: a message of a node that is long gone must not pass for one of a later node.
namespace concordat::node
{
/// Nothing for a node that was never trusted. Where no number was ever given, the one trusted node has 1: the first
/// release gave none, and its services have one node.
std::optional<consensus::EngineId> engine_id_of(ReadTransaction& state, std::string_view node_id);

/// All that were ever given, those of nodes whose record is gone included.
std::map<consensus::EngineId, std::string> node_ids(ReadTransaction& state);

/// The number that the node has, or one that nobody has had, written in this transaction. To be called before a node
/// becomes trusted: the first time, it writes down the number of the node that is trusted so far.
consensus::EngineId give_engine_id(Transaction& transaction, std::string_view node_id);

/// The numbers that the node has and had, in order, as far as they are kept.
std::vector<consensus::EngineId> engine_ids_of(ReadTransaction& state, std::string_view node_id);

/// The number that was given to a node for this start of it; nothing if none was.
std::optional<consensus::EngineId>
engine_id_since(ReadTransaction& state, std::string_view node_id, std::uint64_t start);

/// Gives a node that has come back a number that nobody has had, in the place of its own: under that it may have
/// promised what it has forgotten.
/// @param start  random, of the node's
consensus::EngineId renew_engine_id(Transaction& transaction, std::string_view node_id, std::uint64_t start);

/// A start of a node as the tables name it: 16 hex digits.
std::string name_of_start(std::uint64_t start);

/// Who agrees, as of the last record of it. Nobody in ledgers of the first release, whose services have one node.
consensus::Configuration configuration_in(ReadTransaction& state);
}
