#pragma once

#include "cli/console.h"

namespace concordat::cli
{
/// The `concordat` command: reads the arguments, runs the command, says what went wrong on `console.err`.
/// @return the exit code (cli/failure.h)
int run(int argc, const char* const* argv, Console& console);
}
