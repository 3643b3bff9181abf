#include "base/log.h"

#include "base/lower_case.h"

#include <spdlog/pattern_formatter.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

namespace concordat::base
{
namespace
{
/// The message as a JSON string, quotes included.
class QuotedMessage : public spdlog::custom_flag_formatter
{
public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override
  {
    const auto text = boost::json::serialize(boost::json::string_view(message.payload.data(), message.payload.size()));
    out.append(text.data(), text.data() + text.size());
  }

  std::unique_ptr<custom_flag_formatter> clone() const override
  {
    return std::make_unique<QuotedMessage>();
  }
};
}

Result<void> start_log(const std::string& level, LogFormat format)
{
  std::string lower = level;
  make_lower_case(lower);
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
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<QuotedMessage>('*').set_pattern(
      format == LogFormat::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l","thread":%t,"message":%*})"
                                : "%Y-%m-%dT%H:%M:%S.%fZ [%-8l] %v");
  spdlog::set_formatter(std::move(formatter));
  return {};
}
}
