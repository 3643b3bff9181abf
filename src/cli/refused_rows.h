#pragma once

#include "cli/submission_parts.h"

#include <string>
#include <string_view>
#include <vector>

namespace concordat::cli
{
/// The bad rows that a refusal names, one a line, by their places in the input; empty if it names none.
/// @param body of the service's answer, any bytes
/// @param part the request that was refused, cut out of `records`
std::string
describe_refused_rows(std::string_view body, const Part& part, const std::vector<intake::InputRecord>& records);
}
