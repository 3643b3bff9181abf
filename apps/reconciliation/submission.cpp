#include "reconciliation/submission.h"

#include "reconciliation/envelope.h"

#include <algorithm>
#include <charconv>

namespace concordat::reconciliation
{
namespace
{
bool is_submission_id(std::string_view text)
{
  constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  return text.size() >= 16 && text.size() <= 64 && text.find_first_not_of(allowed) == std::string_view::npos;
}

std::optional<std::uint64_t> read_part(std::string_view text)
{
  std::uint64_t part = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), part);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || part == 0)
    return std::nullopt;
  return part;
}
}

std::expected<std::optional<SubmissionPart>, Response> read_submission_part(const Headers& headers)
{
  const auto id = find_header(headers, "x-concordat-submission");
  const auto part_text = find_header(headers, "x-concordat-part");
  if (!id && !part_text)
    return std::nullopt;
  if (!id || !part_text)
    return std::unexpected(
        failure(400, "InvalidInput", "the headers x-concordat-submission and x-concordat-part must be sent together"));
  if (!is_submission_id(*id))
    return std::unexpected(failure(
        400, "InvalidInput",
        "the header x-concordat-submission must be 16 to 64 letters, digits, underscores or hyphens"));
  const auto part = read_part(*part_text);
  if (!part)
    return std::unexpected(
        failure(400, "InvalidInput", "the header x-concordat-part must be an integer of at least 1"));
  return SubmissionPart{std::string(*id), *part};
}
}
