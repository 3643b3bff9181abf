#include "ledger/entry.h"
#include "node/control_commands.h"
#include "node/control_socket.h"
#include "node/engine_ids.h"
#include "node/json.h"
#include "node/test_support.h"
#include "node/trust.h"

#include <boost/json.hpp>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace concordat::node
{
namespace
{
namespace json = boost::json;
using std::chrono::milliseconds;

/// Agrees on everything at once, unless a test says otherwise.
class PromptOrdering : public test::FakeOrdering
{
public:
  using FakeOrdering::FakeOrdering;
  Result<TxId> submit(const kv::WriteTransaction& transaction, const Named& named, Done done) override
  {
    auto txid = FakeOrdering::submit(transaction, named, std::move(done));
    if (prompt)
      settle(outcome);
    return txid;
  }
  bool prompt = true;
  Result<void> outcome;
};

class Control : public testing::Test
{
protected:
  Control()
  {
    crypto::CertificateRequest request;
    request.subject = "CN=service";
    request.valid_from = test::noon - test::day;
    request.validity_days = 1000;
    request.is_ca = true;
    put(tables::service_info, ledger::single_key,
        to_canonical_json(json::object{{"cert", crypto::self_signed(identity.service_key, request)->pem()}}));
    node(founder, "Trusted");
  }
  void put(std::string_view table, std::string_view name, std::string_view value)
  {
    const auto transaction = store.begin_fresh(kv::RunBy::node);
    transaction->put(table, name, value);
    ASSERT_TRUE(ordering.submit(*transaction, {}, {}));
  }
  void node(const std::string& id, std::string_view status)
  {
    put(tables::node_info, id,
        to_canonical_json(json::object{
            {"node_to_node_interface", {{"published_address", "10.0.0.1:8081"}}},
            {"public_key", key.public_key().pem()},
            {"rpc_interfaces", {{"main", {{"published_address", "10.0.0.1:8080"}}}}},
            {"status", status}}));
  }
  json::object ask(const json::object& command)
  {
    return json::parse(commands.answer(json::serialize(command))).get_object();
  }
  json::object ask(std::string_view command, std::string_view node_id)
  {
    return ask({{"command", command}, {"node_id", node_id}});
  }
  static std::string code(const json::object& answer)
  {
    const auto* const error = answer.if_contains("error");
    return error ? string_member(error->get_object(), "code") : "none";
  }
  std::string status(const std::string& id)
  {
    kv::SnapshotTransaction state(store.committed(), kv::RunBy::node);
    const auto record = node_record_of(state, id);
    return record ? string_member(*record, "status") : "none";
  }

  test::FakeClock clock;
  kv::Store store;
  PromptOrdering ordering{store};
  test::FakeExecutor pool;
  Configuration configuration;
  attestation::Evidence evidence;
  ledger::LedgerSecrets secrets{ledger::LedgerSecret::generate()};
  const std::string founder = std::string(64, 'f');
  Services services{configuration, store, ordering, secrets, evidence, clock, pool, founder, "", "", {}};
  Identity identity = Identity::generate(crypto::Curve::p256);
  ControlCommands commands{services, identity, milliseconds(0)};
  const crypto::KeyPair key = crypto::KeyPair::generate(crypto::Curve::p256);
  const std::string stranger = key.public_key().id();
};
}

TEST_F(Control, APendingNodeIsTrustedAndTakenOutAgain)
{
  node(stranger, "Pending");
  const auto trusted = ask({{"command", "trust"}, {"node_id", stranger}, {"days", 30}});
  EXPECT_EQ(trusted.at("changed"), true) << json::serialize(trusted);
  EXPECT_EQ(status(stranger), "Trusted");
  EXPECT_EQ(ask("trust", stranger).at("changed"), false);
  EXPECT_EQ(code(ask("remove", stranger)), "InvalidNodeState") << "it takes part";

  EXPECT_EQ(ask("retire", stranger).at("changed"), true);
  EXPECT_EQ(status(stranger), "Retired");
  EXPECT_EQ(ask("retire", stranger).at("changed"), false);
  EXPECT_EQ(code(ask("remove", stranger)), "InvalidNodeState") << "others may still wait for it";
  {
    const auto transaction = store.begin_fresh(kv::RunBy::node);
    kv::SnapshotTransaction committed(store.committed(), kv::RunBy::node);
    ASSERT_TRUE(note_retired_committed(*transaction, committed));
    ASSERT_TRUE(ordering.submit(*transaction, {}, {}));
  }
  EXPECT_EQ(ask("remove", stranger).at("changed"), true);
  EXPECT_EQ(status(stranger), "none");
  EXPECT_EQ(code(ask("remove", stranger)), "ResourceNotFound");
}

TEST_F(Control, TakingOutAPendingNodeForgetsIt)
{
  node(stranger, "Pending");
  EXPECT_EQ(ask("retire", stranger).at("changed"), true);
  EXPECT_EQ(status(stranger), "none");
}

TEST_F(Control, TheLastNodeStays)
{
  EXPECT_EQ(code(ask("retire", founder)), "InvalidNodeState");
  EXPECT_EQ(status(founder), "Trusted");
}

TEST_F(Control, TheBeginningOfAnIdIsEnoughIfItIsOneNodes)
{
  node(stranger, "Pending");
  EXPECT_EQ(ask("trust", stranger.substr(0, 8)).at("node_id"), json::value(stranger));
  EXPECT_EQ(code(ask("trust", "")), "InvalidInput");
  EXPECT_EQ(code(ask("trust", stranger.substr(0, 3))), "InvalidInput");
  EXPECT_EQ(code(ask("trust", "0000x")), "ResourceNotFound");
  node(std::string(63, 'f') + "e", "Pending");
  EXPECT_EQ(code(ask("retire", "ffff")), "InvalidInput") << "which of the two?";
}

TEST_F(Control, NodesAreListedWithWhatTheyAre)
{
  node(stranger, "Pending");
  ordering.agreed.leader = 1;
  const auto answer = ask({{"command", "list"}});
  const auto& nodes = answer.at("nodes").get_array();
  ASSERT_EQ(nodes.size(), 2U);
  for (const auto& one : nodes)
  {
    const bool is_founder = one.at("node_id") == json::value(founder);
    EXPECT_EQ(one.at("status"), is_founder ? "Trusted" : "Pending");
    EXPECT_EQ(one.at("primary"), is_founder);
    EXPECT_EQ(one.at("self"), is_founder);
    EXPECT_EQ(one.at("number").is_null(), !is_founder);
    EXPECT_EQ(one.at("rpc_addresses").at("main"), "10.0.0.1:8080");
    EXPECT_EQ(one.at("node_to_node_address"), "10.0.0.1:8081");
  }
}

TEST_F(Control, ABackupSaysWhomToAsk)
{
  node(stranger, "Pending");
  {
    const auto transaction = store.begin_fresh(kv::RunBy::node);
    (void)give_engine_id(*transaction, stranger);
    ASSERT_TRUE(ordering.submit(*transaction, {}, {}));
  }
  ordering.writes = false;
  ordering.agreed.leader = 2;
  const auto answer = ask("trust", stranger);
  EXPECT_EQ(code(answer), "NodeCannotHandleRequest");
  EXPECT_EQ(string_member(answer, "primary"), stranger);
  ordering.agreed.leader = 0;
  EXPECT_EQ(code(ask("trust", stranger)), "PrimaryNotFound");
  EXPECT_EQ(status(stranger), "Pending");
  EXPECT_EQ(ask({{"command", "list"}}).at("takes_writes"), false);
}

TEST_F(Control, WhatIsNotAgreedOnIsNotSaidToBeDone)
{
  node(stranger, "Pending");
  ordering.prompt = false;
  EXPECT_EQ(code(ask("trust", stranger)), "InternalError") << "it waits";
  ordering.prompt = true;
  ordering.outcome = fail(ErrorCode::lost, "the view has ended");
  EXPECT_EQ(code(ask("retire", stranger)), "InternalError");
}

TEST_F(Control, AChangeThatConflictsIsRunAgain)
{
  node(stranger, "Pending");
  ordering.refusals = {ErrorCode::conflict, ErrorCode::conflict};
  EXPECT_EQ(ask("trust", stranger).at("changed"), true);
  node(std::string(64, 'a'), "Pending");
  ordering.refusals.assign(100, ErrorCode::conflict);
  EXPECT_EQ(code(ask("retire", std::string(64, 'a'))), "InternalError");
}

TEST_F(Control, WhatIsNoCommandIsRefused)
{
  for (const auto* const line :
       {"", "{", "[]", "7", "{}", R"({"command":7})", R"({"command":"trust"})", R"({"command":"fly","node_id":"ffff"})",
        R"({"command":"trust","node_id":7})", R"({"command":"trust","node_id":"ffff","days":0})",
        R"({"command":"trust","node_id":"ffff","days":"1"})", "\xff\xfe"})
  {
    const auto answer = json::parse(commands.answer(line)).get_object();
    EXPECT_EQ(code(answer), "InvalidInput") << line;
  }
}

namespace
{
class ControlSocketTest : public testing::Test
{
protected:
  ControlSocketTest()
  {
    auto pattern = (std::filesystem::temp_directory_path() / "concordat-control-XXXXXX").string();
    home = mkdtemp(pattern.data());
  }
  ~ControlSocketTest() override
  {
    std::error_code ignored;
    std::filesystem::remove_all(home, ignored);
  }
  std::string path() const
  {
    return home + "/control.sock";
  }
  Result<std::unique_ptr<ControlSocket>> open() const
  {
    return ControlSocket::open(
        path(), [](std::string_view line) { return "you said " + std::string(line); }, std::chrono::minutes(1));
  }
  int connect() const
  {
    const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().data(), path().size());
    EXPECT_EQ(::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return made;
  }
  static std::string read_to_end(int from)
  {
    std::string all;
    char piece[256];
    while (true)
    {
      const auto size = ::read(from, piece, sizeof piece);
      if (size <= 0)
        return all;
      all.append(piece, static_cast<std::size_t>(size));
    }
  }

  std::string home;
};
}

TEST_F(ControlSocketTest, EachLineIsAnswered)
{
  const auto socket = open();
  ASSERT_TRUE(socket) << socket.error().describe();
  const int other_side = connect();
  const std::string lines = "one\ntwo\nhalf";
  ASSERT_EQ(::write(other_side, lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
  ::shutdown(other_side, SHUT_WR);
  EXPECT_EQ(read_to_end(other_side), "you said one\nyou said two\n");
  ::close(other_side);
}

TEST_F(ControlSocketTest, OnlyItsOwnerMayConnect)
{
  const auto socket = open();
  ASSERT_TRUE(socket);
  struct stat status = {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(ControlSocketTest, ALineWithoutAnEndIsNotWaitedForForever)
{
  const auto socket = open();
  ASSERT_TRUE(socket);
  const int other_side = connect();
  const std::string much(2 * ControlSocket::longest_line, 'x');
  (void)!::send(other_side, much.data(), much.size(), MSG_NOSIGNAL);
  EXPECT_EQ(read_to_end(other_side), "");
  ::close(other_side);
  const int next = connect();
  ASSERT_EQ(::write(next, "hello\n", 6), 6);
  ::shutdown(next, SHUT_WR);
  EXPECT_EQ(read_to_end(next), "you said hello\n");
  ::close(next);
}

TEST_F(ControlSocketTest, ItEndsWhileSomebodyIsConnected)
{
  auto socket = open();
  ASSERT_TRUE(socket);
  const int other_side = connect();
  socket->reset();
  EXPECT_EQ(read_to_end(other_side), "");
  ::close(other_side);
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(ControlSocketTest, ItTakesThePlaceOfOneThatIsGoneAndOfNothingElse)
{
  {
    // As a process leaves it that was killed.
    const int gone = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().data(), path().size());
    ASSERT_EQ(::bind(gone, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::close(gone);
  }
  const auto socket = open();
  ASSERT_TRUE(socket) << socket.error().describe();
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::exists);
}

TEST_F(ControlSocketTest, AFileInItsPlaceStays)
{
  std::ofstream(path()) << "not a socket";
  const auto socket = open();
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().code, ErrorCode::exists);
  EXPECT_TRUE(std::filesystem::is_regular_file(path()));
}

TEST_F(ControlSocketTest, APathThatIsTooLongIsSaid)
{
  const auto socket = ControlSocket::open(
      home + std::string(200, 'x'), [](std::string_view) { return std::string(); }, milliseconds(1));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().code, ErrorCode::invalid);
}
}
