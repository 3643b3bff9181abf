#include "cli/node.h"

#include "cli/node_add.h"
#include "cli/temporary_directory.h"
#include "cli/whole_file.h"
#include "crypto/certificate.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace concordat::cli
{
namespace
{
namespace json = boost::json;

/// Takes one connection and one line, and answers with these bytes.
class FakeControl
{
public:
  FakeControl(const std::string& path, std::string answer)
      : listening_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))
  {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listening_, 1), 0);
    thread_ = std::thread(
        [this, answer = std::move(answer)]
        {
          const int connection = ::accept(listening_, nullptr, nullptr);
          char byte = 0;
          while (::read(connection, &byte, 1) == 1 && byte != '\n')
            asked += byte;
          (void)!::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
          ::close(connection);
        });
  }
  ~FakeControl()
  {
    end();
    ::close(listening_);
  }
  void end()
  {
    if (thread_.joinable())
      thread_.join();
  }
  std::string asked;

private:
  const int listening_;
  std::thread thread_;
};

class NodeCommand : public testing::Test
{
protected:
  Console console()
  {
    return {out, err};
  }
  std::string path(const std::string& name) const
  {
    return home.path() + "/" + name;
  }
  void write(const std::string& name, const std::string& content) const
  {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name)) << content;
  }

  test::TemporaryDirectory home;
  std::ostringstream out;
  std::ostringstream err;
};
}

TEST_F(NodeCommand, AChangeIsAskedForAndSaid)
{
  FakeControl node(
      path("sock"), R"({"changed":true,"node_id":"5f0c","transaction":"2.17"})"
                    "\n");
  auto shown = console();
  const auto outcome = run_node_trust({{}, path("sock"), "5f", 30}, shown);
  ASSERT_TRUE(outcome) << outcome.error().cause;
  node.end();
  EXPECT_EQ(json::parse(node.asked), json::parse(R"({"command":"trust","days":30,"node_id":"5f"})"));
  EXPECT_EQ(out.str(), "node 5f0c is trusted, in transaction 2.17\n");
}

TEST_F(NodeCommand, WhatWasSoAlreadyIsSaid)
{
  const FakeControl node(path("sock"), "{\"changed\":false,\"node_id\":\"5f0c\"}\n");
  auto shown = console();
  ASSERT_TRUE(run_node_retire({{}, path("sock"), "5f", {}}, shown));
  EXPECT_EQ(out.str(), "node 5f0c already takes part no longer\n");
}

TEST_F(NodeCommand, ARefusalIsSaidAndCannotHarmATerminal)
{
  const FakeControl node(
      path("sock"), R"({"error":{"code":"InvalidInput","message":"no\u001b[31m"}})"
                    "\n");
  auto shown = console();
  const auto outcome = run_node_remove({{}, path("sock"), "5f", {}}, shown);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().exit, Exit::failed);
  EXPECT_EQ(outcome.error().cause, R"(no\x1b[31m)");
}

TEST_F(NodeCommand, WhereNoNodeAnswersThatIsSaid)
{
  auto shown = console();
  for (const auto* const answer : {"", "no JSON\n", "[]\n", "{\"nodes\":"})
  {
    const auto socket = path("s" + std::to_string(std::strlen(answer)));
    const FakeControl node(socket, answer);
    const auto outcome = run_node_list({{}, socket, "", {}}, shown);
    ASSERT_FALSE(outcome) << answer;
    EXPECT_EQ(outcome.error().exit, Exit::unreachable) << answer;
  }
  EXPECT_EQ(run_node_list({{}, path("nowhere"), "", {}}, shown).error().exit, Exit::unreachable);
  EXPECT_EQ(run_node_list({{}, std::string(200, 'x'), "", {}}, shown).error().exit, Exit::usage);
}

TEST_F(NodeCommand, NodesAreListed)
{
  const FakeControl node(
      path("sock"),
      R"({"nodes":[{"node_id":"aa","status":"Trusted","primary":true,"rpc_addresses":{"main":"10.0.0.1:8080"}},)"
      R"({"node_id":"bb","status":"Pending","primary":false,"rpc_addresses":{"main":"10.0.0.2:8080"}},)"
      R"({"node_id":"cc","status":"Retired","retired_committed":true,"rpc_addresses":{}},7]})"
      "\n");
  auto shown = console();
  ASSERT_TRUE(run_node_list({{}, path("sock"), "", {}}, shown));
  EXPECT_NE(out.str().find("10.0.0.1:8080"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("Retired, may be removed"), std::string::npos) << out.str();
}

namespace
{
class NodeAdd : public NodeCommand
{
protected:
  NodeAdd()
  {
    const auto key = crypto::KeyPair::generate(crypto::Curve::p384);
    write("node0/service_cert.pem", crypto::self_signed(key, {"CN=service", {}, 1'700'000'000, 10, true})->pem());
    from = json::parse(R"({
      "network": {"node_to_node_interface": {"bind_address": "10.0.0.1:8081"},
                  "rpc_interfaces": {"main": {"bind_address": "0.0.0.0:8080", "published_address": "node0:8080",
                                              "max_open_sessions_soft": 7}}},
      "command": {"type": "Start", "service_certificate_file": "service_cert.pem", "start": {"members": []}},
      "consensus": {"message_timeout": "10ms"},
      "ledger": {"directory": "ledger", "chunk_size": "1MB", "read_only_directories": ["old"]},
      "node_certificate": {"initial_validity_days": 90, "subject_alt_names": ["dNSName:node0"]},
      "output_files": {"pid_file": "node.pid", "sealed_ledger_secret_location": "x"},
      "concordat": {"users": [], "open_service": true, "sealing_key_file": "sealing.key", "handlers": {"threads": 3}}
    })")
               .get_object();
    options.from = path("node0/node.json");
    options.into = path("node1");
    options.rpc_addresses = {"10.0.0.2:8080"};
    options.node_address = "10.0.0.2:8081";
  }
  /// "done", or what is wrong.
  std::string add()
  {
    write("node0/node.json", json::serialize(from));
    auto shown = console();
    const auto outcome = run_node_add(options, shown);
    return outcome ? "done" : outcome.error().cause + " " + outcome.error().next;
  }
  json::object made() const
  {
    return json::parse(read_whole(path("node1/node.json"), 1 << 20).value()).get_object();
  }

  json::object from;
  NodeAddOptions options;
};
}

TEST_F(NodeAdd, TheNewNodeIsLikeTheOtherButAtPlacesOfItsOwn)
{
  ASSERT_EQ(add(), "done");
  const auto configuration = made();
  const auto& command = configuration.at("command");
  EXPECT_EQ(command.at("type"), "Join");
  EXPECT_EQ(command.at("join").at("target_rpc_address"), "node0:8080");
  EXPECT_FALSE(command.get_object().contains("start"));
  const auto& network = configuration.at("network");
  const auto& interface = network.at("rpc_interfaces").at("main").get_object();
  EXPECT_EQ(interface.at("bind_address"), "10.0.0.2:8080");
  EXPECT_EQ(interface.at("max_open_sessions_soft"), 7);
  EXPECT_FALSE(interface.contains("published_address"));
  EXPECT_EQ(network.at("node_to_node_interface"), json::value({{"bind_address", "10.0.0.2:8081"}}));
  EXPECT_EQ(configuration.at("consensus").at("message_timeout"), "10ms");
  EXPECT_EQ(configuration.at("ledger").at("chunk_size"), "1MB");
  EXPECT_FALSE(configuration.at("ledger").get_object().contains("read_only_directories"));
  EXPECT_EQ(configuration.at("node_certificate"), json::value({{"initial_validity_days", 90}}));
  const auto& ours = configuration.at("concordat").get_object();
  EXPECT_EQ(ours.at("handlers").at("threads"), 3);
  EXPECT_FALSE(ours.contains("users") || ours.contains("open_service"));
  for (const auto* const name : {"sealed_directory", "sealing_key_file", "control_socket"})
    EXPECT_TRUE(std::string(ours.at(name).get_string()).starts_with(path("node1/"))) << name;
  for (const auto& [name, place] : configuration.at("output_files").get_object())
    EXPECT_TRUE(std::string(place.get_string()).starts_with(path("node1/"))) << std::string(name);
  EXPECT_EQ(
      read_whole(path("node1/service_cert.pem"), 1 << 20).value(),
      read_whole(path("node0/service_cert.pem"), 1 << 20).value());
  EXPECT_NE(add().find("is there already"), std::string::npos);
}

TEST_F(NodeAdd, EachOfSeveralInterfacesNeedsItsAddress)
{
  from["network"].get_object()["rpc_interfaces"].get_object()["other"] = {{"bind_address", "10.0.0.1:9000"}};
  EXPECT_NE(add().find("--rpc-address main=HOST:PORT"), std::string::npos);
  options.rpc_addresses = {"main=10.0.0.2:8080", "third=10.0.0.2:9000"};
  EXPECT_NE(add().find("'other'"), std::string::npos);
  options.rpc_addresses = {"main=10.0.0.2:8080", "other=10.0.0.2:9000", "third=10.0.0.2:9001"};
  EXPECT_NE(add().find("no interface 'third'"), std::string::npos);
  options.rpc_addresses = {"main=10.0.0.2:8080", "other=10.0.0.2:9000"};
  EXPECT_EQ(add(), "done");
}

TEST_F(NodeAdd, WhatCannotBeIsSaidAndNothingIsMade)
{
  const auto good = options;
  options.rpc_addresses = {"10.0.0.2"};
  EXPECT_NE(add().find("--rpc-address 10.0.0.2 is not"), std::string::npos);
  options = good;
  options.node_address = "10.0.0.2:0";
  EXPECT_NE(add().find("--node-address 10.0.0.2:0 is not"), std::string::npos);
  options = good;
  options.service_certificate = path("node0/node.json");
  EXPECT_NE(add().find("is not the certificate of a service"), std::string::npos);
  options = good;
  auto& interface = from["network"].get_object()["rpc_interfaces"].get_object()["main"].get_object();
  interface["published_address"] = "node0:0";
  EXPECT_NE(add().find("chosen anew"), std::string::npos);
  from.erase("network");
  EXPECT_NE(add().find("is not the configuration of a node"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path("node1")));
}
}
