#include "cli/sandbox.h"

#include "base/files.h"
#include "cli/child_process.h"
#include "cli/sandbox_text.h"
#include "cli/temporary_directory.h"
#include "cli/workspace.h"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include <csignal>
#include <sstream>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

namespace concordat::cli
{
namespace
{
using namespace std::chrono_literals;

std::string content(const std::string& path)
{
  return base::RealFileSystem().read(path).value_or("");
}

/// Waits for a child as a test can.
std::string end_of(ChildProcess& child)
{
  for (int i = 0; i < 1000; ++i)
  {
    if (const auto how = child.ended())
      return *how;
    std::this_thread::sleep_for(10ms);
  }
  return "still runs";
}
}

TEST(Workspace, HasTheLayoutThatToolsExpect)
{
  const test::TemporaryDirectory directory;
  const Workspace workspace(directory.path() + "/w");
  EXPECT_FALSE(workspace.exists());
  ASSERT_TRUE(workspace.create(2, 1, {{8123, 0}}));
  EXPECT_TRUE(workspace.exists());
  base::RealFileSystem files;
  for (const auto* name :
       {"member0_cert.pem", "member0_privk.pem", "member0_enc_pubk.pem", "member0_enc_privk.pem", "member1_cert.pem",
        "member1_enc_pubk.pem", "user0_cert.pem", "user0_privk.pem"})
    EXPECT_TRUE(files.exists(workspace.common(name))) << name;
  EXPECT_EQ(workspace.count("member"), 2U);
  EXPECT_EQ(workspace.count("user"), 1U);
  EXPECT_EQ(workspace.port(0), 8123U);

  const auto configuration = boost::json::parse(content(workspace.node("config.json")));
  EXPECT_EQ(configuration.at("network").at("rpc_interfaces").at("main").at("bind_address"), "127.0.0.1:8123");
  const auto& members = configuration.at("command").at("start").at("members").as_array();
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[1].at("encryption_public_key_file"), "../common/member1_enc_pubk.pem");
  EXPECT_EQ(configuration.at("concordat").at("users").at(0).at("certificate_file"), "../common/user0_cert.pem");
  EXPECT_EQ(configuration.at("concordat").at("application").at("vote_threshold"), 3);
}

TEST(Workspace, ChangesThePortAndNothingElse)
{
  const test::TemporaryDirectory directory;
  const Workspace workspace(directory.path());
  ASSERT_TRUE(workspace.create(1, 0, {{1, 0}}));
  auto before = boost::json::parse(content(workspace.node("config.json")));
  ASSERT_TRUE(workspace.set_port(0, 9));
  EXPECT_EQ(workspace.port(0), 9U);
  before.at("network").at("rpc_interfaces").at("main").at("bind_address") = "127.0.0.1:9";
  EXPECT_EQ(boost::json::parse(content(workspace.node("config.json"))), before);
}

TEST(Workspace, LeavesDirectoriesAloneThatItHasNotMade)
{
  const test::TemporaryDirectory directory;
  base::RealFileSystem files;
  ASSERT_TRUE(files.make_directory(directory.path() + "/common"));
  const Workspace workspace(directory.path());
  const auto made = workspace.create(1, 0, {{1, 0}});
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().cause.find(directory.path()), std::string::npos) << made.error().cause;
  EXPECT_EQ(files.list(directory.path()), std::vector<std::string>{"common"});
  EXPECT_EQ(files.list(directory.path() + "/common"), std::vector<std::string>{});
}

TEST(ChildProcess, SaysHowTheProgramEndedAndKeepsItsOutput)
{
  const test::TemporaryDirectory directory;
  const auto log = directory.path() + "/log";
  auto child = ChildProcess::start({"/bin/sh", "-c", "pwd; echo wrong >&2; exit 3"}, directory.path(), log);
  ASSERT_TRUE(child);
  EXPECT_EQ(end_of(*child), "exited with code 3");
  EXPECT_EQ(content(log), directory.path() + "\nwrong\n");
  auto killed = ChildProcess::start({"/bin/sh", "-c", "kill -9 $$"}, directory.path(), log);
  ASSERT_TRUE(killed);
  EXPECT_TRUE(end_of(*killed).starts_with("was ended by signal 9"));
}

TEST(ChildProcess, IsAskedToEndAndThenKilled)
{
  const test::TemporaryDirectory directory;
  const auto log = directory.path() + "/log";
  auto polite = ChildProcess::start({"/bin/sleep", "60"}, directory.path(), log);
  ASSERT_TRUE(polite);
  polite->stop(10s);
  EXPECT_TRUE(polite->ended()->starts_with("was ended by signal 15"));

  auto stubborn = ChildProcess::start(
      {"/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"}, directory.path(), log);
  ASSERT_TRUE(stubborn);
  while (content(log).empty())
    std::this_thread::sleep_for(5ms);
  stubborn->stop(100ms);
  EXPECT_TRUE(stubborn->ended()->starts_with("was ended by signal 9"));
}

TEST(ChildProcess, EndsWhenTheProcessThatStartedItIsKilled)
{
  const test::TemporaryDirectory directory;
  const auto log = directory.path() + "/log";
  const pid_t starter = fork();
  if (starter == 0)
  {
    auto child = ChildProcess::start({"/bin/sh", "-c", "echo $$; exec sleep 60"}, directory.path(), log);
    pause();
    _exit(0);
  }
  while (!content(log).ends_with('\n'))
    std::this_thread::sleep_for(5ms);
  const pid_t child = static_cast<pid_t>(std::stol(content(log)));
  kill(starter, SIGKILL);
  bool gone = false;
  for (int i = 0; i < 1000 && !gone; ++i)
  {
    std::this_thread::sleep_for(5ms);
    gone = !runs_in(child, directory.path());
  }
  EXPECT_TRUE(gone);
}

TEST(RunsIn, KnowsWhereAProcessRuns)
{
  const test::TemporaryDirectory directory;
  auto child = ChildProcess::start({"/bin/sleep", "60"}, directory.path(), directory.path() + "/log");
  ASSERT_TRUE(child);
  for (int i = 0; i < 1000 && !runs_in(child->pid(), directory.path()); ++i)
    std::this_thread::sleep_for(5ms);
  EXPECT_TRUE(runs_in(child->pid(), directory.path()));
  EXPECT_FALSE(runs_in(child->pid(), "/"));
  const auto pid = child->pid();
  child->stop(5s);
  EXPECT_FALSE(runs_in(pid, directory.path()));
}

TEST(Sandbox, SaysThatTheNodeDiedWithTheEndOfItsLog)
{
  const test::TemporaryDirectory directory;
  SandboxOptions options;
  options.workspace = directory.path();
  options.node_binary = directory.path() + "/node";
  ASSERT_TRUE(base::RealFileSystem().replace(options.node_binary, "#!/bin/sh\necho the last line\nexit 1\n"));
  ASSERT_EQ(chmod(options.node_binary.c_str(), 0700), 0);
  options.port = 0;
  options.members = 1;
  std::ostringstream out;
  Console console{out, out};
  const auto outcome = run_sandbox(options, console);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().exit, Exit::failed);
  EXPECT_TRUE(outcome.error().cause.starts_with("the node exited with code 1")) << outcome.error().cause;
  EXPECT_TRUE(outcome.error().cause.ends_with("\n  the last line\n")) << outcome.error().cause;
}

TEST(Sandbox, RefusesWithoutAProgramForTheNode)
{
  const test::TemporaryDirectory directory;
  SandboxOptions options;
  options.workspace = directory.path();
  options.node_binary = directory.path() + "/none";
  std::ostringstream out;
  Console console{out, out};
  const auto outcome = run_sandbox(options, console);
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().cause.find(options.node_binary), std::string::npos) << outcome.error().cause;
  EXPECT_EQ(base::RealFileSystem().list(directory.path()), std::vector<std::string>{});
}

TEST(LastLines, AreTheLastOnesAndHarmless)
{
  EXPECT_EQ(last_lines("a\nb\nc\n", 2), "  b\n  c\n");
  EXPECT_EQ(last_lines("a\n\n\x1b[2J", 5), "  a\n  \n  \\x1b[2J\n");
  EXPECT_EQ(last_lines("", 5), "");
}
}
