#pragma once

#include "base/files.h"
#include "concordat/error.h"
#include "node/configuration.h"

#include <cstdint>
#include <string>
#include <vector>

namespace concordat::node
{
/// Looks for everything that would stop a start and can be known from the configuration and the files that it names:
/// what is missing, malformed, not writable, or does not fit together. Changes nothing. A start begins with it, so that
/// `--check` and a start say the same.
/// @return warnings for the operator; the error that a start would end with, naming the key or the file
Result<std::vector<std::string>>
check_start(const Configuration& configuration, base::FileSystem& files, std::int64_t unix_seconds);
}
