#include "node/peer_directory.h"

#include "node/tables.h"

#include <gtest/gtest.h>

namespace concordat::node
{
namespace
{
PeerDirectory directory_of(const std::string& status, const std::map<std::string, std::string>& numbers)
{
  kv::MapWrites ids;
  for (const auto& [node, number] : numbers)
    ids[node] = number;
  kv::State state;
  state.apply(
      {{std::string(tables::node_info), {{"other", R"({"status":")" + status + R"("})"}}},
       {std::string(tables::engine_ids), ids}},
      {2, 1});
  return PeerDirectory(std::make_shared<const kv::State>(state));
}
}

TEST(PeerDirectory, OneThatWasPendingWhenThisNodeWentAwayMayLeadByNow)
{
  const auto known = directory_of("Pending", {{"self", "1"}});
  EXPECT_TRUE(known.may_speak("other"));
  EXPECT_TRUE(known.is("other", 2));
  EXPECT_FALSE(known.is("other", 1));
}

TEST(PeerDirectory, OneThatIsOutMayNot)
{
  EXPECT_FALSE(
      directory_of(R"(Retired","retired_committed":true,"x":")", {{"self", "1"}, {"other", "2"}}).may_speak("other"));
  EXPECT_TRUE(directory_of("Retired", {{"self", "1"}, {"other", "2"}}).may_speak("other"));
  EXPECT_TRUE(directory_of("Trusted", {{"self", "1"}, {"other", "2"}}).may_speak("other"));
}
}
