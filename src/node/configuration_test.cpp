#include "node/configuration.h"
#include "node/json.h"
#include "node/schema.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

json::object smallest()
{
  return json::parse(R"({
    "network": {"node_to_node_interface": {"bind_address": "10.0.0.4:8081"},
                "rpc_interfaces": {"main": {"bind_address": "10.0.0.4:8080"}}},
    "command": {"type": "Start", "start": {"members": [{"certificate_file": "m0_cert.pem",
                "encryption_public_key_file": "m0_enc_pubk.pem"}]}}})")
      .get_object();
}

/// Puts a value at a path such as "network.rpc_interfaces.main.colour", making what is missing on the way.
json::object with(std::string_view path, json::value value)
{
  auto root = smallest();
  auto* at = &root;
  while (true)
  {
    const auto dot = path.find('.');
    const auto name = path.substr(0, dot);
    if (dot == std::string_view::npos)
    {
      (*at)[name] = std::move(value);
      return root;
    }
    auto& below = (*at)[name];
    if (!below.is_object())
      below = json::object{};
    at = &below.get_object();
    path.remove_prefix(dot + 1);
  }
}

std::string refusal(const json::object& configuration)
{
  const auto parsed = parse_configuration(json::serialize(configuration));
  return parsed ? "accepted" : parsed.error().describe();
}
}

TEST(Configuration, FillsInTheDefaults)
{
  const auto parsed = parse_configuration(json::serialize(smallest()));
  ASSERT_TRUE(parsed) << parsed.error().describe();
  ASSERT_EQ(parsed->interfaces.size(), 1U);
  EXPECT_EQ(parsed->interfaces[0].listen.limits.max_body_size, 1U << 20);
  EXPECT_EQ(parsed->interfaces[0].listen.limits.max_open_sessions_soft, 1000U);
  EXPECT_EQ(parsed->interfaces[0].listen.limits.idle_timeout_ms, 60'000U);
  EXPECT_TRUE(parsed->interfaces[0].endorsed_by_service);
  EXPECT_EQ(parsed->chunk_size, 5U << 20);
  EXPECT_EQ(parsed->curve, crypto::Curve::p256);
  EXPECT_EQ(parsed->members.at(0).encryption_public_key_file, "m0_enc_pubk.pem");
  EXPECT_FALSE(parsed->open_service);
}

TEST(Configuration, NamesThePathOfAnUnknownKey)
{
  for (const auto* const path :
       {"colour", "network.rpc_interfaces.main.colour", "command.start.colour", "concordat.colour",
        "network.rpc_interfaces.main.http_configuration.colour"})
  {
    const auto said = refusal(with(path, 1));
    EXPECT_NE(said.find("'" + std::string(path) + "'"), std::string::npos) << said;
    EXPECT_NE(said.find("is not a key"), std::string::npos) << said;
  }
}

TEST(Configuration, NamesThePathOfAWrongValue)
{
  const std::pair<const char*, json::value> wrong[] = {
      {"network.rpc_interfaces.main.bind_address", 8080},
      {"network.rpc_interfaces.main.bind_address", "127.0.0.1"},
      {"network.rpc_interfaces.main.bind_address", "::1:8000"},
      {"network.rpc_interfaces.main.bind_address", ":8000"},
      {"network.rpc_interfaces.main.bind_address", "127.0.0.1:65536"},
      {"network.rpc_interfaces.main.bind_address", "127.0.0.1:http"},
      {"network.rpc_interfaces.main.published_address", "node0.example.com"},
      {"network.node_to_node_interface.bind_address", "10.0.0.4"},
      {"network.node_to_node_interface.published_address", ""},
      {"network.rpc_interfaces.main.max_open_sessions_hard", 999},
      {"network.rpc_interfaces.main.enabled_operator_features", json::array{"Everything"}},
      {"command.start.initial_service_certificate_validity_days", 0},
      {"command.start.initial_service_certificate_validity_days", 36'501},
      {"command.start.constitution_files", json::array{""}},
      {"command.join", json::object{{"target_rpc_address", "nowhere"}}},
      {"command.recover.initial_service_certificate_validity_days", "1"},
      {"node_certificate.initial_validity_days", 0},
      {"ledger.directory", ""},
      {"ledger.read_only_directories", json::array{1}},
      {"worker_threads", 1025},
      {"concordat.handlers.threads", 1025},
      {"concordat.handlers.max_waiting", 0},
      {"concordat.handlers.deadline", 30},
      {"concordat.handlers.inline_body_size", "16"},
      {"network.rpc_interfaces.main.max_open_sessions_soft", -1},
      {"network.rpc_interfaces.main.max_open_sessions_soft", 1.5},
      {"network.rpc_interfaces.main.max_open_sessions_soft", 4294967296},
      {"network.rpc_interfaces.main.http_configuration.max_body_size", "1 MB"},
      {"network.rpc_interfaces.main.http_configuration.max_body_size", 1000000},
      {"network.rpc_interfaces.main.endorsement.authority", "Nobody"},
      {"network.rpc_interfaces.main.accepted_endpoints", json::array{"("}},
      {"network.rpc_interfaces", json::object{}},
      {"command.type", "Fly"},
      {"command.start.members", json::object{}},
      {"ledger.chunk_size", "0B"},
      {"ledger.chunk_size", "5GB"},
      {"consensus.election_timeout", "5 seconds"},
      {"node_certificate.curve_id", "P-256"},
      {"concordat.open_service", "yes"},
      {"concordat.application", 3},
      {"idle_connection_timeout", 60}};
  for (const auto& [path, value] : wrong)
  {
    const auto said = refusal(with(path, value));
    EXPECT_NE(said.find(path), std::string::npos) << path << ": " << said;
  }
}

TEST(Configuration, NamesAMissingKey)
{
  auto configuration = smallest();
  configuration["network"].get_object()["rpc_interfaces"].get_object()["main"].get_object().erase("bind_address");
  EXPECT_NE(refusal(configuration).find("'network.rpc_interfaces.main.bind_address' is missing"), std::string::npos);
  configuration = smallest();
  configuration.erase("command");
  EXPECT_NE(refusal(configuration).find("'command' is missing"), std::string::npos);
  for (const auto* const missing : {"members", "start"})
  {
    configuration = smallest();
    auto& command = configuration["command"].get_object();
    (std::string_view(missing) == "start" ? command : command["start"].get_object()).erase(missing);
    EXPECT_NE(refusal(configuration).find("'command.start.members' is missing"), std::string::npos);
  }
}

TEST(Configuration, NullIdleTimeoutMeansNever)
{
  const auto parsed = parse_configuration(json::serialize(with("idle_connection_timeout", nullptr)));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->interfaces[0].listen.limits.idle_timeout_ms, 0U);
}

TEST(Configuration, ATimeBelowItsUnitIsNotNever)
{
  const auto parsed = parse_configuration(json::serialize(with("idle_connection_timeout", "1us")));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->interfaces[0].listen.limits.idle_timeout_ms, 1U);
}

TEST(Configuration, NullMeansAbsentWhateverTheKey)
{
  const auto defaults = parse_configuration(json::serialize(smallest()));
  for (const auto* const path :
       {"network.rpc_interfaces.main.published_address", "network.rpc_interfaces.main.http_configuration",
        "network.rpc_interfaces.main.max_open_sessions_soft", "network.rpc_interfaces.main.accepted_endpoints",
        "network.rpc_interfaces.other", "command.service_certificate_file", "command.join",
        "command.start.constitution_files", "command.start.service_configuration",
        "command.start.service_configuration.recovery_threshold", "node_certificate.initial_validity_days",
        "ledger.chunk_size", "logging.format", "worker_threads", "concordat.users", "concordat.open_service",
        "concordat.handlers.deadline", "concordat.application"})
  {
    const auto parsed = parse_configuration(json::serialize(with(path, nullptr)));
    ASSERT_TRUE(parsed) << path << ": " << parsed.error().describe();
    EXPECT_EQ(parsed->interfaces.size(), 1U);
    EXPECT_EQ(parsed->interfaces[0].listen.limits.max_open_sessions_soft, 1000U);
    EXPECT_FALSE(parsed->interfaces[0].accepted_endpoints);
    EXPECT_EQ(parsed->interfaces[0].as_configured, defaults->interfaces[0].as_configured) << path;
    EXPECT_EQ(parsed->service_configuration, defaults->service_configuration) << path;
    EXPECT_EQ(parsed->chunk_size, defaults->chunk_size);
  }
  EXPECT_NE(refusal(with("network.rpc_interfaces.main.bind_address", nullptr)).find("is missing"), std::string::npos);
  EXPECT_NE(refusal(with("colour", nullptr)).find("is not a key"), std::string::npos);
}

TEST(Configuration, LeavesSectionsOfOtherCommandsAsideOnceTheyAreChecked)
{
  const auto join = json::parse(R"({"target_rpc_address":"127.0.0.1:1","retry_timeout":"0s","follow_redirect":true})");
  const auto recover = json::parse(R"({"previous_service_identity_file":"x.pem"})");
  EXPECT_EQ(refusal(with("command.join", join)), "accepted");
  EXPECT_EQ(refusal(with("command.recover", recover)), "accepted");
  const auto said = refusal(with("command.join.colour", 1));
  EXPECT_NE(said.find("'command.join.colour' is not a key"), std::string::npos) << said;
}

TEST(Configuration, TwoInterfacesNeedTwoAddresses)
{
  const std::tuple<const char*, const char*, bool> cases[] = {
      {"127.0.0.1:8000", "127.0.0.1:8000", false}, {"127.0.0.1:8000", "127.0.0.1:08000", false},
      {"0.0.0.0:8000", "127.0.0.1:8000", false},   {"127.0.0.1:8000", "[::]:8000", false},
      {"127.0.0.1:0", "127.0.0.1:0", true},        {"127.0.0.1:8000", "127.0.0.1:8001", true},
      {"127.0.0.1:8000", "127.0.0.2:8000", true}};
  for (const auto& [first, second, good] : cases)
  {
    auto configuration = smallest();
    configuration["network"].get_object()["rpc_interfaces"] = {
        {"one", {{"bind_address", first}}}, {"two", {{"bind_address", second}}}};
    const auto said = refusal(configuration);
    EXPECT_EQ(said == "accepted", good) << first << " " << second << ": " << said;
    if (good)
      continue;
    for (const auto* const name : {"rpc_interfaces.one.bind_address", "rpc_interfaces.two.bind_address"})
      EXPECT_NE(said.find(name), std::string::npos) << said;
  }
}

TEST(Configuration, SaysWhereTheTextIsNoJson)
{
  const std::pair<const char*, const char*> cases[] = {
      {"{\n \"a\": 1,\n}", "line 2, column 8"}, {"{\"a\" 1}", "line 1, column 6"},
      {"{\"a\":\n  tru}", "line 2, column 3"},  {"{} x", "line 1, column 4"},
      {"{\"a\":1", "line 1, column 7"},         {"", "line 1, column 1"}};
  for (const auto& [text, place] : cases)
  {
    const auto parsed = parse_configuration(text);
    ASSERT_FALSE(parsed);
    EXPECT_NE(parsed.error().describe().find(place), std::string::npos) << text << ": " << parsed.error().describe();
  }
}

TEST(Configuration, AKeyThatStandsTwiceIsNamedWithItsPlace)
{
  for (const auto& [text, key, place] :
       {std::tuple{"{\"a\":{\"b\":1},\n \"a\":2}", "'a'", "line 2, column 2"},
        std::tuple{"{\"a\":[{\"b\":1,\"c\":{},\"b\":2}]}", "'b'", "line 1, column 21"},
        std::tuple{"{\"a\":1,\"\\u0061\":2}", "'a'", "line 1, column 8"}})
  {
    const auto parsed = parse_configuration(text);
    ASSERT_FALSE(parsed);
    const auto said = parsed.error().describe();
    EXPECT_NE(said.find(key), std::string::npos) << said;
    EXPECT_NE(said.find("second time"), std::string::npos) << said;
    EXPECT_NE(said.find(place), std::string::npos) << said;
  }
  EXPECT_FALSE(twice_named_key(R"({"a":{"a":[{"a":"a"},{"a":"\"a\":1"}]},"b":"a"})"));
}

TEST(Configuration, AByteOrderMarkIsNoPartOfIt)
{
  EXPECT_TRUE(parse_configuration("\xEF\xBB\xBF" + json::serialize(smallest())));
}

TEST(Configuration, ReadsWhereHandlersRun)
{
  auto parsed = parse_configuration(json::serialize(smallest()));
  EXPECT_EQ(parsed->handlers.threads, 0U);
  EXPECT_EQ(parsed->handlers.max_waiting, 1000U);
  EXPECT_EQ(parsed->handlers.max_waiting_size, 64U << 20);
  EXPECT_EQ(parsed->handlers.deadline, std::chrono::seconds(30));
  EXPECT_EQ(parsed->handlers.inline_body_size, 16U << 10);
  const auto given = json::parse(
      R"({"threads":3,"max_waiting":7,"max_waiting_size":"1MB","deadline":"1500us","inline_body_size":"0B"})");
  parsed = parse_configuration(json::serialize(with("concordat.handlers", given)));
  ASSERT_TRUE(parsed) << parsed.error().describe();
  EXPECT_EQ(parsed->handlers.threads, 3U);
  EXPECT_EQ(parsed->handlers.max_waiting, 7U);
  EXPECT_EQ(parsed->handlers.max_waiting_size, 1U << 20);
  EXPECT_EQ(parsed->handlers.deadline, std::chrono::milliseconds(2));
  EXPECT_EQ(parsed->handlers.inline_body_size, 0U);
}

TEST(Configuration, AcceptsAndIgnoresTheEnclaveSectionOfOlderFiles)
{
  EXPECT_EQ(refusal(with("enclave", json::object{{"platform", "SNP"}, {"anything", 1}})), "accepted");
}

TEST(Configuration, ReadsWhatMayWaitForAgreement)
{
  const json::object limits{
      {"max_size", "1MB"}, {"max_waiting_size", "2MB"}, {"max_batch_count", 3}, {"max_batch_size", "4MB"}};
  const auto parsed = parse_configuration(json::serialize(with("concordat.transactions", limits)));
  ASSERT_TRUE(parsed) << parsed.error().describe();
  EXPECT_EQ(parsed->transactions.max_size, std::uint64_t{1} << 20);
  EXPECT_EQ(parsed->transactions.max_waiting_size, std::uint64_t{2} << 20);
  EXPECT_EQ(parsed->transactions.max_batch_count, 3U);
  EXPECT_EQ(parsed->transactions.max_batch_size, std::uint64_t{4} << 20);
}

TEST(Configuration, ReadsHowLongClientsAreWaitedFor)
{
  const json::object http{
      {"handshake_timeout", "1s"},
      {"request_timeout", "2s"},
      {"answer_timeout", "3s"},
      {"min_answer_rate", "4KB"},
      {"answer_rate_period", "1500us"},
      {"max_handshakes", 6},
      {"max_known_sessions", 7},
      {"max_unfinished_requests", "8MB"},
      {"max_waiting_answers", "9MB"},
      {"open_files_kept_back", 10},
      {"max_streams", 11},
      {"piece_timeout", "12s"}};
  const auto parsed = parse_configuration(json::serialize(with("concordat.http", http)));
  ASSERT_TRUE(parsed) << parsed.error().describe();
  const auto& limits = parsed->interfaces[0].listen.limits;
  EXPECT_EQ(limits.handshake_timeout_ms, 1000U);
  EXPECT_EQ(limits.request_timeout_ms, 2000U);
  EXPECT_EQ(limits.answer_timeout_ms, 3000U);
  EXPECT_EQ(limits.min_answer_rate, 4096U);
  EXPECT_EQ(limits.answer_rate_period_ms, 2U) << "a part of a millisecond is not 'never'";
  EXPECT_EQ(limits.max_handshakes, 6U);
  EXPECT_EQ(limits.max_known_sessions, 7U);
  EXPECT_EQ(limits.max_unfinished_requests, std::uint64_t{8} << 20);
  EXPECT_EQ(limits.max_waiting_answers, std::uint64_t{9} << 20);
  EXPECT_EQ(parsed->open_files_kept_back, 10U);
  EXPECT_EQ(limits.max_streams, 11U);
  EXPECT_EQ(limits.piece_timeout_ms, 12'000U);
  const auto said = refusal(with("concordat.http.request_timeout", 60));
  EXPECT_NE(said.find("concordat.http.request_timeout"), std::string::npos) << said;
}

TEST(Configuration, SurvivesWhatIsNotJson)
{
  for (const auto* const text : {"", "{", "[]", "null", "3", "\xff\xfe", "{\"network\":{}}x"})
    EXPECT_FALSE(parse_configuration(text)) << text;
  EXPECT_FALSE(parse_configuration(std::string(100'000, '[')));
}

TEST(Size, KnowsItsUnitsAndBounds)
{
  EXPECT_EQ(parse_size("16KB"), 16U << 10);
  EXPECT_EQ(parse_size("1PB"), std::uint64_t{1} << 50);
  EXPECT_EQ(parse_duration("2min"), 120'000'000U);
  for (const auto* const text : {"", "MB", "1", "-1MB", "1mb", "1.5MB", "99999999999PB", "99999999999999999999B"})
    EXPECT_FALSE(parse_size(text)) << text;
}
}
