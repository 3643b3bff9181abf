#include "node/check.h"

#include "attestation/sealed_file.h"
#include "crypto/keys.h"
#include "node/identity.h"
#include "node/test_support.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

namespace concordat::node
{
namespace
{
constexpr std::int64_t now = 1'800'000'000;

/// A directory with all that a fresh start needs, on the machine's disk, for permissions are part of it.
class Check : public testing::Test
{
protected:
  Check()
  {
    auto pattern = (std::filesystem::temp_directory_path() / "concordat-check-XXXXXX").string();
    home = mkdtemp(pattern.data());
    write("m0.pem", test::certificate("m0").pem());
    static const auto encryption = crypto::generate_rsa();
    write("m0_enc.pem", encryption.public_pem);
    configuration.interfaces.resize(1);
    configuration.interfaces[0].listen.name = "main";
    configuration.interfaces[0].listen.bind_address = "127.0.0.1:0";
    configuration.members.push_back({path("m0.pem"), path("m0_enc.pem"), std::nullopt, RecoveryRole::unset});
    configuration.ledger_directory = path("ledger");
    configuration.sealed_directory = path("sealed");
    configuration.sealing_key_file = path("sealing.key");
    configuration.service_certificate_file = path("service_cert.pem");
    configuration.node_certificate_file = path("nodecert.pem");
    configuration.pid_file = path("node.pid");
    configuration.control_socket = path("control.sock");
  }
  ~Check() override
  {
    std::error_code ignored;
    std::filesystem::remove_all(home, ignored);
  }

  std::string path(const std::string& name) const
  {
    return home + "/" + name;
  }
  void write(const std::string& name, const std::string& content)
  {
    ASSERT_TRUE(files.make_directory(base::parent(path(name))));
    ASSERT_TRUE(files.replace(path(name), content));
  }
  /// "good", or what is wrong.
  std::string check(std::int64_t at = now)
  {
    const auto checked = check_start(configuration, files, at);
    return checked ? "good" : checked.error().describe();
  }
  /// What a node leaves that has created a service, without its ledger.
  void seal(bool service_created)
  {
    write("sealing.key", std::string(32, 'k'));
    attestation::SealedFiles sealed(files, std::string(32, 'k'));
    ASSERT_TRUE(files.make_directory(configuration.sealed_directory));
    SealedState state(files, sealed, configuration.sealed_directory);
    auto identity = Identity::generate(crypto::Curve::p256);
    identity.service_created = service_created;
    ASSERT_TRUE(state.save_identity(identity));
    ASSERT_TRUE(state.save(consensus::DurableState{}));
  }

  std::string home;
  base::RealFileSystem files;
  Configuration configuration;
};

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)
}

TEST_F(Check, AFreshStartIsGoodAndNothingIsMade)
{
  EXPECT_EQ(check(), "good");
  EXPECT_EQ(files.list(home)->size(), 2U);
}

TEST_F(Check, FilesOfMembersAndUsersAreReadAndNamedWithTheirKey)
{
  const auto good = configuration;
  configuration.members[0].certificate_file = path("nowhere.pem");
  EXPECT_SAYS(check(), "'command.start.members[0].certificate_file'");
  EXPECT_SAYS(check(), "nowhere.pem");

  configuration = good;
  configuration.members[0].certificate_file = path("m0_enc.pem");
  EXPECT_SAYS(check(), "'command.start.members[0].certificate_file'");

  configuration = good;
  configuration.members[0].encryption_public_key_file = path("m0.pem");
  EXPECT_SAYS(check(), "'command.start.members[0].encryption_public_key_file'");

  configuration = good;
  write("ec.pem", crypto::KeyPair::generate(crypto::Curve::p256).public_key().pem());
  configuration.members[0].encryption_public_key_file = path("ec.pem");
  EXPECT_SAYS(check(), "RSA");

  configuration = good;
  write("data.json", "{\n\"a\":}");
  configuration.members[0].data_file = path("data.json");
  EXPECT_SAYS(check(), "'command.start.members[0].data_json_file'");
  EXPECT_SAYS(check(), "line 2, column 5");

  configuration = good;
  configuration.members.push_back(configuration.members[0]);
  EXPECT_SAYS(check(), "'command.start.members[0]' and 'command.start.members[1]' have the same certificate");

  configuration = good;
  configuration.users = {{path("m0.pem"), std::nullopt}, {path("no.pem"), std::nullopt}};
  EXPECT_SAYS(check(), "'concordat.users[1].certificate_file'");

  configuration = good;
  configuration.constitution_files = {path("actions.js")};
  EXPECT_SAYS(check(), "'command.start.constitution_files[0]'");

  configuration = good;
  configuration.node_data_file = path("no.json");
  EXPECT_SAYS(check(), "'node_data_json_file'");
  configuration = good;
  configuration.service_data_file = home;
  EXPECT_SAYS(check(), "'service_data_json_file'");
}

TEST_F(Check, RulesOfRecoveryAreLookedAt)
{
  configuration.recovery_threshold = 2;
  EXPECT_SAYS(check(), "'command.start.service_configuration.recovery_threshold'");
  configuration.recovery_threshold = 1;
  EXPECT_EQ(check(), "good");
  configuration.members[0].recovery_role = RecoveryRole::non_participant;
  EXPECT_SAYS(check(), "'command.start.members[0]'");
  configuration.members[0].encryption_public_key_file.reset();
  EXPECT_SAYS(check(), "recovery_threshold'"); // without anybody to reach it
  configuration.recovery_threshold.reset();
  EXPECT_EQ(check(), "good");
  configuration.members[0].recovery_role = RecoveryRole::owner;
  EXPECT_SAYS(check(), "'command.start.members[0]'");
}

TEST_F(Check, TheSealingKeyIsPrivateAndWhole)
{
  write("sealing.key", std::string(32, 'k'));
  EXPECT_EQ(check(), "good");
  ASSERT_EQ(::chmod(path("sealing.key").c_str(), 0640), 0);
  EXPECT_SAYS(check(), "'concordat.sealing_key_file'");
  EXPECT_SAYS(check(), "chmod 600");
  write("sealing.key", "short");
  ASSERT_EQ(::chmod(path("sealing.key").c_str(), 0600), 0);
  EXPECT_SAYS(check(), "32 random bytes");
}

TEST_F(Check, SealedStateIsWholeOrNotThereAtAll)
{
  seal(false);
  EXPECT_EQ(check(), "good");
  write("sealing.key", std::string(32, 'x'));
  EXPECT_SAYS(check(), "unseal");
  ASSERT_TRUE(files.remove(path("sealing.key")));
  EXPECT_SAYS(check(), "'concordat.sealing_key_file'");
  EXPECT_FALSE(files.exists(path("sealing.key"))) << "no other key is made in its place";

  write("sealing.key", std::string(32, 'k'));
  ASSERT_TRUE(files.remove(path("sealed/identity.sealed")));
  EXPECT_SAYS(check(), "'concordat.sealed_directory'");
  EXPECT_SAYS(check(), "identity is not");
  ASSERT_TRUE(files.remove(path("sealed/consensus.sealed")));
  EXPECT_EQ(check(), "good");
  seal(false);
  write("sealed/consensus.sealed", "cut");
  EXPECT_SAYS(check(), "state of consensus");
}

TEST_F(Check, LedgerAndSealedIdentityBelongTogether)
{
  write("ledger/ledger_1", "");
  EXPECT_SAYS(check(), "'ledger.directory'");
  EXPECT_SAYS(check(), "no sealed identity");
  seal(true);
  EXPECT_EQ(check(), "good") << "what is in it a start finds out";
  ASSERT_TRUE(files.remove(path("ledger/ledger_1")));
  EXPECT_SAYS(check(), "'ledger.directory'");
  EXPECT_SAYS(check(), "restore its ledger");
}

TEST_F(Check, AServiceThatExistsNeedsItsFoundersNoMore)
{
  seal(true);
  write("ledger/ledger_1", "");
  ASSERT_TRUE(files.remove(path("m0.pem")));
  EXPECT_EQ(check(), "good");
}

/// As one that has a file of the service it joins, and no members.
TEST_F(Check, WhoJoinsReadsTheCertificateOfTheService)
{
  configuration.members.clear();
  configuration.join.emplace();
  for (const auto* const address : {"0.0.0.0:8081", "[::]:0"})
  {
    configuration.node_to_node_interface = {{"bind_address", address}};
    EXPECT_SAYS(check(), "'network.node_to_node_interface.bind_address'");
  }
  configuration.node_to_node_interface["published_address"] = "node1.example.com:0";
  EXPECT_SAYS(check(), "'network.node_to_node_interface.published_address'");
  configuration.node_to_node_interface["published_address"] = "node1.example.com:8081";
  EXPECT_SAYS(check(), "'command.service_certificate_file'");
  write("service_cert.pem", "no certificate");
  EXPECT_SAYS(check(), "is not a PEM certificate");
  write("service_cert.pem", test::certificate("a user").pem());
  EXPECT_SAYS(check(), "a node, a member or a user");
  crypto::CertificateRequest request;
  request.subject = "CN=service";
  request.is_ca = true;
  const auto service = crypto::KeyPair::generate(crypto::Curve::p384);
  write("service_cert.pem", crypto::self_signed(service, request)->pem());
  EXPECT_EQ(check(), "good");
  configuration.pid_file = path("service_cert.pem");
  EXPECT_SAYS(check(), "'output_files.pid_file' would overwrite the service's certificate");
}

TEST_F(Check, WhatIsSealedFitsWhatTheNodeIsToDo)
{
  write("sealing.key", std::string(32, 'k'));
  attestation::SealedFiles sealed(files, std::string(32, 'k'));
  SealedState state(files, sealed, configuration.sealed_directory);
  ASSERT_TRUE(state.save_keys(NodeKeys::generate(crypto::Curve::p256)));
  EXPECT_SAYS(check(), "has asked to join a service");
  crypto::CertificateRequest request;
  request.subject = "CN=service";
  request.is_ca = true;
  const auto service = crypto::self_signed(crypto::KeyPair::generate(crypto::Curve::p384), request)->pem();
  write("service_cert.pem", service);
  write("ledger/ledger_1-2.committed", "");
  configuration.members.clear();
  configuration.join.emplace();
  configuration.node_to_node_interface = {{"bind_address", "10.0.0.2:8081"}};
  EXPECT_EQ(check(), "good") << "of an earlier attempt";
  ASSERT_TRUE(state.remove_keys());
  EXPECT_SAYS(check(), "'ledger.directory'");
  seal(false);
  EXPECT_SAYS(check(), "was about to create a service");
  seal(true);
  EXPECT_EQ(check(), "good");
}

TEST_F(Check, AControlSocketThatCannotBeIsWarnedOf)
{
  for (const auto& wrong :
       {home, path("nowhere/control.sock") + std::string(200, 'x'), path("m0.pem") + "/control.sock"})
  {
    configuration.control_socket = wrong;
    const auto checked = check_start(configuration, files, now);
    ASSERT_TRUE(checked) << wrong;
    ASSERT_EQ(checked->size(), 1U) << wrong;
    EXPECT_SAYS((*checked)[0], "'concordat.control_socket'");
  }
  configuration.control_socket = configuration.pid_file;
  EXPECT_SAYS(check(), "are the same place");
}

TEST_F(Check, WhatIsWrittenHasAPlaceOfItsOwn)
{
  const auto good = configuration;
  configuration.pid_file = configuration.node_certificate_file;
  EXPECT_SAYS(check(), "'output_files.node_certificate_file' and 'output_files.pid_file' are the same place");
  configuration = good;
  configuration.rpc_addresses_file = home + "/./ledger/../node.pid";
  EXPECT_SAYS(check(), "are the same place");
  configuration = good;
  configuration.sealed_directory = configuration.ledger_directory;
  EXPECT_SAYS(check(), "'ledger.directory' and 'concordat.sealed_directory' are the same place");
  configuration = good;
  configuration.node_certificate_file = path("m0.pem");
  EXPECT_SAYS(check(), "would overwrite");
}

TEST_F(Check, DirectoriesCanBeWrittenIn)
{
  const auto good = configuration;
  write("file", "");
  configuration.ledger_directory = path("file");
  EXPECT_SAYS(check(), "'ledger.directory': '" + path("file") + "' is not a directory");
  configuration = good;
  configuration.sealed_directory = path("file/below");
  EXPECT_SAYS(check(), "'concordat.sealed_directory'");
  configuration = good;
  configuration.pid_file = home;
  EXPECT_SAYS(check(), "'output_files.pid_file': '" + home + "' is a directory");
  configuration = good;
  configuration.service_certificate_file = path("common/service_cert.pem");
  EXPECT_SAYS(check(), "'command.service_certificate_file'");
  ASSERT_TRUE(files.make_directory(path("common")));
  EXPECT_EQ(check(), "good");
  configuration.rpc_addresses_file = path("sealed/addresses.json");
  EXPECT_EQ(check(), "good") << "that directory is made first";
}

TEST_F(Check, NamesAndTimesOfCertificatesAreTried)
{
  configuration.subject_alt_names = {"node0"};
  EXPECT_SAYS(check(), "'node_certificate'");
  configuration.subject_alt_names.clear();
  EXPECT_SAYS(check(0), "clock");
  configuration.interfaces[0].listen.bind_address = "0.0.0.0:0";
  const auto checked = check_start(configuration, files, now);
  ASSERT_TRUE(checked);
  ASSERT_EQ(checked->size(), 1U);
  EXPECT_SAYS((*checked)[0], "subject_alt_names");
}
}
