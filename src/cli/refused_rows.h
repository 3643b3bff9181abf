#pragma once

#include "cli/submission_parts.h"

#include <string>
#include <string_view>

namespace concordat::cli
{
/// What the details of a refused part say, a line for each bad row, with rows and lines counted in the whole input.
/// @param body the service's answer
/// @return empty if it names no rows
std::string describe_refused_rows(std::string_view body, const Part& part);
}
