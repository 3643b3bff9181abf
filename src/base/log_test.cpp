#include "base/log.h"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

namespace concordat::base
{
namespace
{
std::string logged(LogFormat format, const std::string& message)
{
  std::ostringstream out;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_st>(out)));
  EXPECT_TRUE(start_log("info", format));
  spdlog::info("{}", message);
  spdlog::set_default_logger(before);
  return out.str();
}
}

TEST(Log, JsonLinesStayJsonWhateverTheMessageHolds)
{
  const std::string message = "he said \"no\" \\ and left\n{}";
  const auto line = logged(LogFormat::json, message);
  boost::system::error_code error;
  const auto value = boost::json::parse(line, error);
  ASSERT_FALSE(error) << line;
  EXPECT_EQ(value.at("message"), message.c_str());
  EXPECT_EQ(value.at("level"), "info");
}

TEST(Log, TextLinesHoldTheMessageAsItIs)
{
  EXPECT_NE(logged(LogFormat::text, "plain \"words\"").find("plain \"words\""), std::string::npos);
}

TEST(Log, RefusesAnUnknownLevel)
{
  const auto before = spdlog::get_level();
  const auto started = start_log("Loud", LogFormat::text);
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("'Loud'"), std::string::npos) << started.error().message;
  EXPECT_EQ(spdlog::get_level(), before);
}
}
