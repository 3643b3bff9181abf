#include "consensus/replay.h"
#include "node/control_commands.h"
#include "node/engine_ids.h"
#include "node/join.h"
#include "node/json.h"
#include "node/restore_test_support.h"
#include "node/tables.h"
#include "node/trust.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

/// A node that joins another over a real connection; what it starts as then is not part of it.
namespace concordat::node
{
namespace
{
class JoinNetwork : public test::NodeOnDisk
{
protected:
  Configuration founder_configuration(bool open)
  {
    auto made = configuration(root_ / "node0");
    made.open_service = open;
    return made;
  }
  Configuration joiner_configuration(const Node& founder)
  {
    auto made = configuration(root_ / "node1");
    made.members.clear();
    made.open_service = false;
    auto& join = made.join.emplace();
    join.target_rpc_address = founder.addresses().at("main");
    join.retry_timeout = std::chrono::milliseconds(10);
    made.service_certificate_file = (root_ / "node0" / "service_cert.pem").string();
    made.node_to_node_interface = {{"bind_address", "127.0.0.1:8081"}};
    return made;
  }
  Result<Identity> join(const Configuration& joiner)
  {
    sealed_.emplace(files_, platform_->sealing_key());
    state_.emplace(files_, *sealed_, joiner.sealed_directory);
    return join_service(joiner, {*state_, files_, clock_, *platform_, addresses_, stop_});
  }
  /// What the joiner's start finds: all of it signed by the service, up to the mark.
  consensus::Replayed replay(const Configuration& joiner, const Identity& identity)
  {
    const auto durable = state_->load().value();
    auto chunks = ledger::ChunkFiles::open(
                      files_, joiner.ledger_directory, *identity.ledger_secrets,
                      {.acknowledged = durable.mark.txid.seqno, .alone = false})
                      .value();
    auto replayed = consensus::replay(
        *chunks, *identity.ledger_secrets, {identity.service_key.public_key(), durable.mark, false, false});
    EXPECT_TRUE(replayed) << replayed.error().describe();
    EXPECT_EQ(replayed->state->txid(), durable.mark.txid);
    return std::move(*replayed);
  }
  /// Over the control socket of a node.
  static std::string tell(const std::string& socket, const std::string& line)
  {
    const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket.data(), socket.size());
    EXPECT_EQ(::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const auto text = line + "\n";
    EXPECT_EQ(::write(made, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    std::string answer;
    char byte = 0;
    while (::read(made, &byte, 1) == 1 && byte != '\n')
      answer += byte;
    ::close(made);
    return answer;
  }

  std::optional<attestation::SealedFiles> sealed_;
  std::optional<SealedState> state_;
  std::map<std::string, std::string> addresses_{{"main", "127.0.0.1:8080"}};
  std::atomic<bool> stop_{false};
};
}

TEST_F(JoinNetwork, BeforeTheServiceOpensAJoinerHasAllAtOnce)
{
  chunk_size_ = "1KB";
  const auto founder = start(founder_configuration(false));
  ASSERT_TRUE(founder) << founder.error().describe();
  const auto joiner = joiner_configuration(**founder);
  const auto identity = join(joiner);
  ASSERT_TRUE(identity) << identity.error().describe();
  const auto replayed = replay(joiner, *identity);
  kv::SnapshotTransaction state(replayed.state, kv::RunBy::node);
  const auto record = node_record_of(state, identity->node_id());
  ASSERT_TRUE(record);
  EXPECT_EQ(string_member(*record, "status"), "Trusted");
  EXPECT_EQ(engine_id_of(state, identity->node_id()), 2U);
  const auto endorsed =
      crypto::Certificate::from_pem(state.get(tables::node_certificates, identity->node_id()).value_or(""));
  ASSERT_TRUE(endorsed);
  EXPECT_TRUE(endorsed->signed_by(identity->service_key.public_key()));
}

TEST_F(JoinNetwork, AJoinerOfAnOpenServiceWaitsForTheOperator)
{
  const auto opened = founder_configuration(true);
  const auto founder = start(opened);
  ASSERT_TRUE(founder) << founder.error().describe();
  const auto joiner = joiner_configuration(**founder);
  // The operator looks for the node that waits, and trusts it, while it asks.
  std::thread operates(
      [&]
      {
        while (true)
        {
          const auto listed = boost::json::parse(tell(opened.control_socket, R"({"command":"list"})")).get_object();
          for (const auto& one : listed.at("nodes").get_array())
            if (one.at("status") == "Pending")
            {
              const auto id = std::string(one.at("node_id").get_string());
              const auto told =
                  tell(opened.control_socket, R"({"command":"trust","node_id":")" + id.substr(0, 10) + R"("})");
              EXPECT_NE(told.find(R"("changed":true)"), std::string::npos) << told;
              return;
            }
          std::this_thread::yield();
        }
      });
  const auto identity = join(joiner);
  operates.join();
  ASSERT_TRUE(identity) << identity.error().describe();
  const auto replayed = replay(joiner, *identity);
  EXPECT_GT(replayed.state->seqno(), 4U);
}

TEST_F(JoinNetwork, AnotherServiceIsNotBelieved)
{
  const auto founder = start(founder_configuration(false));
  ASSERT_TRUE(founder);
  auto joiner = joiner_configuration(**founder);
  const auto key = crypto::KeyPair::generate(crypto::Curve::p384);
  put(root_ / "other.pem", crypto::self_signed(key, {"CN=service", {}, clock_.unix_seconds(), 10, true})->pem());
  joiner.service_certificate_file = (root_ / "other.pem").string();
  sealed_.emplace(files_, platform_->sealing_key());
  state_.emplace(files_, *sealed_, joiner.sealed_directory);
  JoinMeans means{*state_, files_, clock_, *platform_, addresses_, stop_};
  means.wait = [&](std::chrono::milliseconds) { stop_ = true; };
  EXPECT_FALSE(join_service(joiner, std::move(means)));
  kv::SnapshotTransaction state((*founder)->store().committed(), kv::RunBy::node);
  EXPECT_EQ(node_ids(state).size(), 1U) << "it has told nothing of itself";
}
}
