#pragma once

#include "concordat/error.h"

#include <spdlog/spdlog.h>

#include <string>

namespace concordat::base
{
enum class LogFormat
{
  text,
  json,
};

/// Sets up the process's log: to standard output, and in addition to nothing else.
/// @param level one of Trace, Debug, Info, Fail, Fatal, in any case
Result<void> start_log(const std::string& level, LogFormat format);
}
