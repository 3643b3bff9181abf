#include "attestation/process.h"
#include "attestation/virtual_platform.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "node/check.h"
#include "node/node.h"
#include "node/schema.h"
#include "node/version.h"

#include <CLI/CLI.hpp>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

namespace
{
using namespace concordat;

constexpr std::uint64_t max_configuration_size = 1 << 20;

int failed(const Error& error)
{
  std::fprintf(stderr, "concordatd: %s\n", error.describe().c_str());
  return 1;
}

/// Holds an exclusive lock on the sealed directory as long as the process lives, so that two never share one identity.
Result<void> lock_directory(base::FileSystem& files, const base::Path& directory)
{
  if (auto made = files.make_directory(directory); !made)
    return made;
  const auto path = base::join(directory, "lock");
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0)
    return fail(ErrorCode::io, "cannot create '" + path + "'");
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::exists, "another node is running in this directory ('" + path + "' is locked)");
  return {};
}

Result<std::string> read_configuration(base::FileSystem& files, const std::string& path, double patience_seconds)
{
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(patience_seconds);
  while (true)
  {
    auto text = files.read(path, max_configuration_size);
    if (text || std::chrono::steady_clock::now() >= end)
      return text;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

int run(
    node::Configuration configuration, std::unique_ptr<Application> application, base::FileSystem& files,
    base::Clock& clock, node::StartOptions options)
{
  if (auto locked = lock_directory(files, configuration.sealed_directory); !locked)
    return failed(locked.error());

  // Signals are waited for below; threads that are started from here on leave them alone.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN); // a file that may not grow is an error of the write, not the end of the process

  spdlog::info("up to {} files and connections can be open at once", base::raise_descriptor_limit());
  const auto executable = attestation::executable_digest();
  if (!executable)
    return failed(executable.error());
  const auto platform = attestation::VirtualPlatform::open(files, configuration.sealing_key_file, *executable);
  if (!platform)
    return failed(platform.error());
  if (const auto warning = (*platform)->warning())
    spdlog::warn("{}", *warning);
  // Waited for from now on: a node that joins may wait for days to be trusted.
  std::atomic<bool> stop{false};
  options.stop = &stop;
  std::thread waits(
      [&]
      {
        int signal = 0;
        sigwait(&signals, &signal);
        spdlog::info("stopping on signal {}", signal);
        stop = true;
      });
  auto started = node::Node::start(std::move(configuration), std::move(application), files, clock, **platform, options);
  if (!started && !stop)
  {
    spdlog::critical("cannot start: {}", started.error().describe());
    ::kill(::getpid(), SIGTERM);
    waits.join();
    return failed(started.error());
  }
  waits.join();
  return 0;
}

int start(int argc, char** argv)
{
  CLI::App options("concordatd: a node of a confidential consortium network");
  std::string path;
  std::string patience = "0s";
  std::string level = "Info";
  bool check = false;
  node::StartOptions start_options;
  options.add_option("-c,--config", path, "configuration file (JSON)")->required();
  options.add_option("--config-timeout", patience, "wait this long for the file to be readable, such as 5s");
  options.add_flag("--check", check, "check the configuration and exit");
  options.add_flag(
      "--accept-loss", start_options.accept_loss,
      "start although committed transactions are missing from the ledger, and record that in it");
  options.add_option("--log-level", level, "Trace, Debug, Info, Fail or Fatal");
  options.set_version_flag("-v,--version", "concordatd " + std::string(node::version));
  CLI11_PARSE(options, argc, argv);

#ifndef __SANITIZE_ADDRESS__ // the leak check at exit has to attach to the process
  attestation::harden_process();
#endif
  const auto microseconds = node::parse_duration(patience);
  if (!microseconds)
    return failed(microseconds.error());
  base::RealFileSystem files;
  const auto text = read_configuration(files, path, static_cast<double>(*microseconds) / 1e6);
  if (!text)
    return failed(text.error());
  auto configuration = node::parse_configuration(*text);
  if (!configuration)
    return failed({configuration.error().code, "'" + path + "': " + configuration.error().describe(), {}});
  auto application = make_application(configuration->application);
  if (!application)
    return failed(
        {application.error().code, "'" + path + "': 'concordat.application': " + application.error().describe(), {}});
  if (auto logging = base::start_log(level, configuration->log_format); !logging)
    return failed(logging.error());
  base::SystemClock clock;
  const auto warnings = node::check_start(*configuration, files, clock.unix_seconds());
  if (!warnings)
    return failed({warnings.error().code, "'" + path + "': " + warnings.error().describe(), {}});
  if (check)
  {
    for (const auto& warning : *warnings)
      std::fprintf(stderr, "concordatd: '%s': warning: %s\n", path.c_str(), warning.c_str());
    std::printf("'%s' is a good configuration\n", path.c_str());
    return 0;
  }
  for (const auto& warning : *warnings)
    spdlog::warn("{}", warning);
  return run(std::move(*configuration), std::move(*application), files, clock, start_options);
}
}

int main(int argc, char** argv)
{
  try
  {
    return start(argc, argv);
  }
  catch (const std::exception& error)
  {
    std::fprintf(stderr, "concordatd: %s\n", error.what());
    return 1;
  }
}
