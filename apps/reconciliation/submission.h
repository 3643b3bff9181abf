#pragma once

#include "concordat/http.h"

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

namespace concordat::reconciliation
{
/// Which part of which submission a request is. A submission too big for one request is sent as parts 1, 2, 3, …;
/// each is applied once and in order, however often it is sent.
struct SubmissionPart
{
  std::string submission; ///< chosen by the client: 16-64 characters of A-Z a-z 0-9 _ -
  std::uint64_t part = 0; ///< from 1
};

/// Reads `x-concordat-submission` and `x-concordat-part`.
/// @return nothing if neither is there; the answer 400 if one is missing or malformed
std::expected<std::optional<SubmissionPart>, Response> read_submission_part(const Headers& headers);
}
