#pragma once

#include "cli/submission_parts.h"

namespace concordat::cli
{
/// The text is one JSON value.
bool is_json(std::string_view text);

/// Splits a JSON array between elements, or lines of NDJSON; each part is an array.
Attempt<std::unique_ptr<Splitter>> split_json(std::string_view text, InputFormat format, PartLimits limits);
}
