#include "base/log.h"

#include <algorithm>

namespace concordat::base
{
Result<void> start_log(const std::string& level, LogFormat format)
{
  std::string lower = level;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::pair<const char*, spdlog::level::level_enum> levels[] = {
      {"trace", spdlog::level::trace},
      {"debug", spdlog::level::debug},
      {"info", spdlog::level::info},
      {"fail", spdlog::level::err},
      {"fatal", spdlog::level::critical}};
  const auto* const found =
      std::find_if(std::begin(levels), std::end(levels), [&](const auto& entry) { return lower == entry.first; });
  if (found == std::end(levels))
    return fail(ErrorCode::invalid, "log level '" + level + "' is none of Trace, Debug, Info, Fail, Fatal");
  spdlog::set_level(found->second);
  spdlog::flush_on(spdlog::level::info);
  spdlog::set_pattern(
      format == LogFormat::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l","thread":%t,"message":"%v"})"
                                : "%Y-%m-%dT%H:%M:%S.%fZ [%-8l] %v",
      spdlog::pattern_time_type::utc);
  return {};
}
}
