#include "cli/sandbox.h"

#include "base/files.h"
#include "cli/child_process.h"
#include "cli/connection.h"
#include "cli/sandbox_text.h"
#include "cli/workspace.h"

#include <boost/json/parse.hpp>

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

namespace concordat::cli
{
namespace
{
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr unsigned default_port = 8000;

/// While it lives, signals that ask this process to end are kept for `wait`.
class Signals
{
public:
  Signals()
  {
    sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD})
      sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  ~Signals()
  {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// Returns early for any of the signals; true if the process was asked to end.
  bool wait(std::chrono::milliseconds time)
  {
    const timespec limit{.tv_sec = time.count() / 1000, .tv_nsec = time.count() % 1000 * 1'000'000};
    const int signal = sigtimedwait(&signals_, nullptr, &limit);
    return signal > 0 && signal != SIGCHLD;
  }

private:
  sigset_t signals_{};
  sigset_t before_{};
};

/// Keeps a second sandbox out of the workspace for as long as the process lives.
Outcome lock(const Workspace& workspace)
{
  base::RealFileSystem files;
  if (const auto made = files.make_directory(workspace.directory()); !made)
    return refuse(Exit::failed, "cannot make " + workspace.directory() + ": " + made.error().describe());
  const auto path = base::join(workspace.directory(), ".sandbox.lock");
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0)
    return refuse(Exit::failed, "cannot open " + path + ": " + std::strerror(errno));
  if (flock(file, LOCK_EX | LOCK_NB) != 0)
    return refuse(
        Exit::failed, "another sandbox runs in " + workspace.directory(),
        "stop it with Ctrl-C, or choose another --workspace");
  return {};
}

Attempt<std::string> find_node_binary(const SandboxOptions& options)
{
  std::string path = options.node_binary;
  if (path.empty())
  {
    std::error_code error;
    const auto own = std::filesystem::read_symlink("/proc/self/exe", error);
    path = (own.parent_path() / "concordatd").string();
  }
  if (access(path.c_str(), X_OK) != 0)
    return refuse(
        Exit::failed, "there is no program " + path + " that could run the node", "name it with --node-binary");
  return std::filesystem::absolute(path).string();
}

bool port_is_free(unsigned port)
{
  const int socket_file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_file < 0)
    return false;
  const int on = 1;
  setsockopt(socket_file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool is_free = bind(socket_file, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(socket_file);
  return is_free;
}

/// A node that was killed leaves its pid file behind.
Outcome remove_stale_files(const Workspace& workspace)
{
  base::RealFileSystem files;
  const auto pid_file = workspace.node("node.pid");
  if (const auto text = files.read(pid_file, 64))
  {
    pid_t pid = 0;
    std::from_chars(text->data(), text->data() + text->size(), pid);
    if (pid > 0 && runs_in(pid, workspace.node()))
      return refuse(
          Exit::failed, "a node runs in this workspace already, process " + std::to_string(pid),
          "stop it with: kill " + std::to_string(pid));
  }
  for (const auto& path : {pid_file, workspace.node("rpc_addresses.json")})
    if (files.exists(path))
      if (const auto removed = files.remove(path); !removed)
        return refuse(Exit::failed, "cannot remove " + path + ": " + removed.error().describe());
  return {};
}

Outcome prepare(const Workspace& workspace, const SandboxOptions& options, Console& console)
{
  if (options.fresh && workspace.exists())
  {
    if (auto stopped = remove_stale_files(workspace); !stopped)
      return stopped;
    if (auto removed = workspace.remove(); !removed)
      return removed;
  }
  if (!workspace.exists())
    return workspace.create(
        options.members.value_or(3), options.users.value_or(1), options.port.value_or(default_port));

  for (const auto& [kind, wanted] : {std::pair("member", options.members), std::pair("user", options.users)})
    if (wanted && *wanted != workspace.count(kind))
      console.err << "note: this workspace was made with " << workspace.count(kind) << " " << kind
                  << "s and keeps them; --fresh makes a new one\n";
  if (auto removed = remove_stale_files(workspace); !removed)
    return removed;
  return options.port ? workspace.set_port(*options.port) : Outcome{};
}

/// The address that the node has bound, once it has said so.
std::optional<std::string> read_address(const Workspace& workspace)
{
  base::RealFileSystem files;
  const auto text = files.read(workspace.node("rpc_addresses.json"), 1 << 16);
  if (!text)
    return std::nullopt;
  boost::system::error_code code;
  const auto addresses = boost::json::parse(*text, code);
  const auto* const main = !code && addresses.is_object() ? addresses.get_object().if_contains("main") : nullptr;
  return main != nullptr && main->is_string() ? std::optional(std::string(main->get_string())) : std::nullopt;
}

/// The service is open and this node serves the application.
bool is_ready(const Workspace& workspace, const std::string& address)
{
  base::RealFileSystem files;
  auto certificate = files.read(workspace.common("service_cert.pem"), 1 << 20);
  if (!certificate)
    return false;
  http::ClientOptions options;
  options.url = "https://" + address;
  options.service_certificate_pem = std::move(*certificate);
  options.timeout_ms = 2000;
  const auto client = http::Client::create(std::move(options));
  if (!client)
    return false;
  const auto response = (*client)->send("GET", "/node/ready/app", {}, {});
  return response && response->status == 204;
}

Failure node_failed(const Workspace& workspace, const std::string& how)
{
  base::RealFileSystem files;
  const auto log = files.read(workspace.node("log"));
  std::string cause = "the node " + how;
  if (log)
    cause += "; the last lines of its log:\n" + last_lines(*log, 15);
  return {Exit::failed, std::move(cause), "the whole log is in " + workspace.node("log")};
}

/// @return the node's address; nothing if the process was asked to end meanwhile
Attempt<std::optional<std::string>>
wait_until_ready(const Workspace& workspace, ChildProcess& node, Signals& signals, unsigned timeout_seconds)
{
  const auto end = Clock::now() + std::chrono::seconds(timeout_seconds);
  while (Clock::now() < end)
  {
    if (const auto how = node.ended())
      return std::unexpected(node_failed(workspace, *how));
    auto address = read_address(workspace);
    if (address && is_ready(workspace, *address))
      return address;
    if (signals.wait(50ms))
      return std::nullopt;
  }
  return std::unexpected(node_failed(workspace, "is not ready after " + std::to_string(timeout_seconds) + " seconds"));
}
}

Outcome run_sandbox(const SandboxOptions& options, Console& console)
{
  const Workspace workspace(options.workspace);
  const auto binary = find_node_binary(options);
  if (!binary)
    return std::unexpected(binary.error());
  if (auto locked = lock(workspace); !locked)
    return locked;
  if (auto prepared = prepare(workspace, options, console); !prepared)
    return prepared;
  const auto port = workspace.port();
  if (!port)
    return std::unexpected(port.error());
  if (*port != 0 && !port_is_free(*port))
    return refuse(
        Exit::failed, "port " + std::to_string(*port) + " of 127.0.0.1 is taken by another program",
        "choose another with --port, or --port 0 for any that is free");

  Signals signals;
  auto node = ChildProcess::start({*binary, "--config", "config.json"}, workspace.node(), workspace.node("log"));
  if (!node)
    return refuse(Exit::failed, node.error().describe());
  const auto address = wait_until_ready(workspace, *node, signals, options.timeout_seconds);
  if (!address)
    return std::unexpected(address.error());

  if (*address)
  {
    print_welcome(console, workspace, **address, node->pid());
    while (!node->ended() && !signals.wait(1s))
    {
    }
    if (const auto how = node->ended())
      return std::unexpected(node_failed(workspace, *how));
  }
  console.out << "\nstopping\n" << std::flush;
  node->stop(10s);
  return {};
}
}
