#include "cli/cli.h"

#include "cli/connection.h"
#include "cli/failure.h"
#include "cli/temporary_directory.h"
#include "ledger/test_foreign.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace concordat::cli
{
namespace
{
struct Ran
{
  int exit = 0;
  std::string out;
  std::string err;
};

Ran run_with(std::vector<const char*> arguments)
{
  arguments.insert(arguments.begin(), "concordat");
  std::ostringstream out;
  std::ostringstream err;
  Console console{out, err};
  const int code = run(static_cast<int>(arguments.size()), arguments.data(), console);
  return {code, out.str(), err.str()};
}

constexpr int ok = static_cast<int>(Exit::ok);
constexpr int failed = static_cast<int>(Exit::failed);
constexpr int usage = static_cast<int>(Exit::usage);
}

TEST(Cli, HelpOfEveryCommandShowsAnExampleAndWhatExitCodesMean)
{
  const std::vector<std::vector<const char*>> commands{
      {},
      {"keygen"},
      {"submit"},
      {"report"},
      {"tx", "status"},
      {"tx", "wait"},
      {"receipt", "get"},
      {"receipt", "verify"},
      {"ledger", "verify"},
      {"ledger", "show"},
      {"snapshot", "verify"},
      {"node", "list"},
      {"node", "trust"},
      {"node", "retire"},
      {"node", "remove"},
      {"node", "add"},
      {"sandbox"}};
  for (auto command : commands)
  {
    command.push_back("--help");
    const auto ran = run_with(command);
    EXPECT_EQ(ran.exit, ok);
    EXPECT_NE(ran.out.find("Example:\n  concordat "), std::string::npos) << ran.out;
    EXPECT_NE(ran.out.find("Exit codes:"), std::string::npos) << ran.out;
  }
  for (const auto* group : {"tx", "receipt", "ledger", "snapshot"})
    EXPECT_NE(run_with({group, "--help"}).out.find("Example:\n  concordat "), std::string::npos) << group;
}

TEST(Cli, AWrongCommandLineIsExitCode2)
{
  const std::vector<std::vector<const char*>> wrong{
      {},
      {"unknown"},
      {"submit"},
      {"submit", "x.csv", "--format", "xml"},
      {"submit", "x.csv", "--cert", "c.pem"},
      {"report", "--format", "xml"},
      {"tx"},
      {"tx", "status"},
      {"tx", "status", "7"},
      {"tx", "wait", "2.x"},
      {"receipt", "get", "0.1"},
      {"keygen", "../x"},
      {"keygen", "x", "--curve", "secp521r1"},
      {"sandbox", "--members", "0"},
      {"sandbox", "--port", "65536"}};
  for (const auto& arguments : wrong)
  {
    const auto ran = run_with(arguments);
    EXPECT_EQ(ran.exit, usage) << (arguments.empty() ? "" : arguments[0]);
    EXPECT_NE(ran.err, "");
  }
}

TEST(Cli, AFailureNamesTheCauseAndTheNextStepOnStandardError)
{
  const test::TemporaryDirectory directory;
  const auto missing = directory.path() + "/none.csv";
  const auto ran = run_with({"submit", missing.c_str()});
  EXPECT_EQ(ran.exit, failed);
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find("cannot read the input"), std::string::npos) << ran.err;

  const auto workspace = directory.path();
  const auto no_service = run_with({"tx", "status", "2.1", "--workspace", workspace.c_str()});
  EXPECT_EQ(no_service.exit, failed);
  EXPECT_NE(no_service.err.find("the service's certificate"), std::string::npos) << no_service.err;
  EXPECT_NE(no_service.err.find("--service-cert"), std::string::npos) << no_service.err;
}

TEST(Connection, NamesFilesOfTheWorkspaceUnlessFilesAreGiven)
{
  ConnectionOptions options;
  options.workspace = "/w";
  options.as = "user1";
  EXPECT_EQ(certificate_file(options), "/w/common/user1_cert.pem");
  EXPECT_EQ(key_file(options), "/w/common/user1_privk.pem");
  EXPECT_EQ(service_certificate_file(options), "/w/common/service_cert.pem");
  options.certificate = "c.pem";
  options.key = "k.pem";
  options.service_certificate = "s.pem";
  EXPECT_EQ(certificate_file(options), "c.pem");
  EXPECT_EQ(key_file(options), "k.pem");
  EXPECT_EQ(service_certificate_file(options), "s.pem");
}

TEST(Connection, TheCommandLineWinsOverTheEnvironment)
{
  setenv("CONCORDAT_CERT", "env.pem", 1);
  setenv("CONCORDAT_KEY", "envkey.pem", 1);
  ConnectionOptions options;
  options.as = "user0";
  read_caller_from_environment(options);
  EXPECT_EQ(certificate_file(options), "./workspace/common/user0_cert.pem");
  ConnectionOptions empty;
  read_caller_from_environment(empty);
  EXPECT_EQ(certificate_file(empty), "env.pem");
  unsetenv("CONCORDAT_CERT");
  unsetenv("CONCORDAT_KEY");
}

TEST(Connection, ReadsBothFormsOfErrorsAndSurvivesOthers)
{
  const auto type = [](std::string body) { return read_error(Response::json(std::move(body), 400)).type; };
  EXPECT_EQ(type(R"({"error":{"code":"ResourceNotFound","message":"m"}})"), "ResourceNotFound");
  EXPECT_EQ(
      type(R"({"content":null,"error":{"errorMessage":"m","errorType":"KeyNotFound","details":[]}})"), "KeyNotFound");
  for (const auto* body : {"", "x", "[]", "{}", R"({"error":1})", R"({"error":{"code":1}})"})
    EXPECT_EQ(type(body), "") << body;
  EXPECT_EQ(refused(Response::json("\x1b[2J", 500)).cause.find('\x1b'), std::string::npos);
}

namespace
{
/// Sets a variable of the environment for as long as it lives.
class Variable
{
public:
  Variable(const char* name, const std::string& value) : name_(name)
  {
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable()
  {
    ::unsetenv(name_);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

private:
  const char* name_;
};

/// A workspace's common/ with a service certificate, and the keys of two members.
class Identities : public testing::Test
{
protected:
  Identities()
  {
    common = workspace.path() + "/common";
    std::filesystem::create_directory(common);
    for (const auto* name : {"service", "member0", "member1"})
      EXPECT_EQ(run_with({"keygen", name, "--directory", common.c_str()}).exit, ok);
  }
  Ran report(std::vector<const char*> arguments)
  {
    arguments.insert(
        arguments.begin(), {"report", "--url", "https://127.0.0.1:1", "--workspace", workspace.path().c_str()});
    return run_with(arguments);
  }

  test::TemporaryDirectory workspace;
  std::string common;
};

TEST_F(Identities, ACertificateWithoutItsKeyIsNamed)
{
  const Variable certificate("CONCORDAT_CERT", common + "/member0_cert.pem");
  const auto ran = report({});
  EXPECT_EQ(ran.exit, usage);
  EXPECT_NE(ran.err.find("not its private key"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("member0_cert.pem"), std::string::npos) << ran.err;
}

TEST_F(Identities, AKeyWithoutItsCertificateIsNamedAlsoBesideAName)
{
  const Variable key("CONCORDAT_KEY", common + "/member0_privk.pem");
  const Variable as("CONCORDAT_AS", "member1");
  const auto ran = report({});
  EXPECT_EQ(ran.exit, usage);
  EXPECT_NE(ran.err.find("no certificate that it belongs to"), std::string::npos) << ran.err;
}

TEST_F(Identities, TheKeyOfAnotherIsNamed)
{
  const auto certificate = common + "/member0_cert.pem";
  const auto key = common + "/member1_privk.pem";
  const auto ran = report({"--cert", certificate.c_str(), "--key", key.c_str()});
  EXPECT_EQ(ran.exit, usage);
  EXPECT_NE(ran.err.find("is not that of the certificate"), std::string::npos) << ran.err;
}

TEST_F(Identities, FilesThatAreSwappedAreNamed)
{
  const auto certificate = common + "/member0_cert.pem";
  const auto key = common + "/member0_privk.pem";
  const auto ran = report({"--cert", key.c_str(), "--key", certificate.c_str()});
  EXPECT_EQ(ran.exit, usage);
  EXPECT_NE(ran.err.find("member0_privk.pem is not a certificate"), std::string::npos) << ran.err;
}
}

namespace
{
struct ForeignSnapshot : ledger::ForeignLedger
{
  Ran verify(const char* service, const char* file) const
  {
    const auto snapshot = ledgers + "/service_b/snapshots/" + file;
    const auto certificate = ledgers + "/" + service + "/common/service_cert.pem";
    return run_with({"snapshot", "verify", snapshot.c_str(), "--service-cert", certificate.c_str()});
  }
};
}

TEST_F(ForeignSnapshot, IsVerifiedAgainstItsServiceAndNoOther)
{
  const auto good = verify("service_b", "snapshot_84_85.committed");
  EXPECT_EQ(good.exit, ok) << good.err;
  EXPECT_NE(good.out.find("evidence of the state at transaction 2.84\n"), std::string::npos) << good.out;
  const auto other = verify("service_a", "snapshot_84_85.committed");
  EXPECT_EQ(other.exit, static_cast<int>(Exit::not_verified));
  EXPECT_EQ(other.out, "");
  EXPECT_NE(other.err.find("does not verify"), std::string::npos) << other.err;
  EXPECT_EQ(verify("service_b", "none").exit, failed);
  EXPECT_EQ(verify("service_b", "../common/service_cert.pem").exit, static_cast<int>(Exit::not_verified));
}

TEST(Cli, WhatIsWrongIsToldWithoutTheControlCharactersThatItHolds)
{
  const auto ran = run_with({"report", "--format", "\x1b[2J"});
  EXPECT_EQ(ran.exit, usage);
  EXPECT_EQ(ran.err.find('\x1b'), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("\\x1b"), std::string::npos) << ran.err;
}

TEST(Cli, AFailureIsToldWithoutTheControlCharactersThatItsCauseHolds)
{
  const auto ran = run_with({"receipt", "verify", "no\x1b[2Jfile"});
  EXPECT_EQ(ran.exit, failed);
  EXPECT_EQ(ran.err.find('\x1b'), std::string::npos) << ran.err;
}
}
