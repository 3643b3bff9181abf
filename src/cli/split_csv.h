#pragma once

#include "cli/submission_parts.h"

namespace concordat::cli
{
/// Splits CSV between rows; each part gets the header.
Attempt<std::unique_ptr<Splitter>> split_csv(std::string_view text, PartLimits limits);
}
