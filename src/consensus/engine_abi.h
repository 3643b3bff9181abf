#pragma once

#include "consensus/engine.h"
#include "consensus/engine/concordat_engine.h"

#include <cstddef>
#include <vector>

/// Our types as the C interface of the engine has them, and back. For engine.cpp only.
namespace concordat::consensus::abi
{
std::unexpected<Error> refused(std::uint32_t code, const concordat_engine_error& error);
Result<void> outcome(std::uint32_t code, const concordat_engine_error& error);

/// Error::invalid for a descriptor or a change that cannot be.
Result<LogEntry> from_c(const concordat_engine_entry& entry);
Ready from_c(const concordat_engine_ready& ready);
Configuration from_c(const concordat_engine_configuration& configuration);
std::vector<PeerProgress> from_c(const concordat_engine_progress& progress);

/// @pre a change comes with a batch and is valid
concordat_engine_entry to_c(const LogEntry& entry);
/// Points into `configuration`.
concordat_engine_configuration to_c(const Configuration& configuration);
/// Reads `log` by its callbacks.
concordat_engine_log to_c(const LogReader& log);

/// `concordat_engine_visit`: checks an entry, and puts it into the vector of entries that `context` may be.
bool collect_entry(void* context, const concordat_engine_entry* entry) noexcept;
void write_log(std::uint32_t severity, const char* text, std::size_t size) noexcept;
/// What `concordat_engine_layout` must say.
std::uint64_t layout();
}
