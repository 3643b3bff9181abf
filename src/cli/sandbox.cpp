#include "cli/sandbox.h"

#include "base/files.h"
#include "cli/child_process.h"
#include "cli/sandbox_nodes.h"
#include "cli/sandbox_text.h"
#include "cli/signals.h"
#include "cli/workspace.h"

#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <random>

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

constexpr unsigned default_port = 8000;

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

/// Below those that the system gives to outgoing connections.
unsigned free_port()
{
  std::random_device random;
  std::uniform_int_distribution<unsigned> ports(10'000, 31'999);
  for (int attempt = 0; attempt < 1000; ++attempt)
    if (const auto port = ports(random); port_is_free(port))
      return port;
  return 0;
}

/// Where the nodes of a new workspace listen. What one of several listens on stays the same, as the others know it.
std::vector<NodePorts> choose_ports(unsigned nodes, unsigned first)
{
  std::vector<NodePorts> ports;
  for (unsigned i = 0; i < nodes; ++i)
    ports.push_back(nodes == 1 ? NodePorts{first, 0} : NodePorts{first == 0 ? free_port() : first + i, free_port()});
  return ports;
}

/// A node that was killed leaves its pid file behind.
Outcome remove_stale_files(const Workspace& workspace, unsigned index)
{
  base::RealFileSystem files;
  const auto pid_file = workspace.node("node.pid", index);
  if (const auto text = files.read(pid_file, 64))
  {
    pid_t pid = 0;
    std::from_chars(text->data(), text->data() + text->size(), pid);
    if (pid > 0 && runs_in(pid, workspace.node("", index)))
      return refuse(
          Exit::failed, "a node runs in this workspace already, process " + std::to_string(pid),
          "stop it with: kill " + std::to_string(pid));
  }
  for (const auto& path : {pid_file, workspace.node("rpc_addresses.json", index)})
    if (files.exists(path))
      if (const auto removed = files.remove(path); !removed)
        return refuse(Exit::failed, "cannot remove " + path + ": " + removed.error().describe());
  return {};
}

Outcome remove_all_stale_files(const Workspace& workspace)
{
  for (unsigned i = 0; i < workspace.nodes(); ++i)
    if (auto removed = remove_stale_files(workspace, i); !removed)
      return removed;
  return {};
}

Outcome prepare(const Workspace& workspace, const SandboxOptions& options, Console& console)
{
  if (options.fresh && workspace.exists())
  {
    if (auto stopped = remove_all_stale_files(workspace); !stopped)
      return stopped;
    if (auto removed = workspace.remove(); !removed)
      return removed;
  }
  if (!workspace.exists())
    return workspace.create(
        options.members.value_or(3), options.users.value_or(1),
        choose_ports(options.nodes.value_or(1), options.port.value_or(default_port)));

  const auto keep = [&](const std::string& kind, const std::optional<unsigned>& wanted, unsigned has)
  {
    if (wanted && *wanted != has)
      console.err << "note: this workspace was made with " << has << " " << kind
                  << "s and keeps them; --fresh makes a new one\n";
  };
  keep("node", options.nodes, workspace.nodes());
  keep("member", options.members, workspace.count("member"));
  keep("user", options.users, workspace.count("user"));
  if (auto removed = remove_all_stale_files(workspace); !removed)
    return removed;
  if (!options.port)
    return {};
  if (workspace.nodes() == 1)
    return workspace.set_port(0, *options.port);
  const auto port = workspace.port(0);
  if (port && *port != *options.port)
    return refuse(
        Exit::failed,
        "this workspace has several nodes, whose ports stay the same; the first one has " + std::to_string(*port),
        "leave --port out, or make a new workspace with --fresh");
  return {};
}

Outcome check_ports(const Workspace& workspace)
{
  for (unsigned i = 0; i < workspace.nodes(); ++i)
  {
    const auto port = workspace.port(i);
    if (!port)
      return std::unexpected(port.error());
    if (*port != 0 && !port_is_free(*port))
      return refuse(
          Exit::failed, "port " + std::to_string(*port) + " of 127.0.0.1 is taken by another program",
          "choose another with --port, or --port 0 for any that is free");
  }
  return {};
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
  if (auto free = check_ports(workspace); !free)
    return free;

  Signals signals;
  SandboxNodes nodes(workspace, *binary);
  const auto started = nodes.start(signals, std::chrono::seconds(options.timeout_seconds));
  if (!started)
    return std::unexpected(started.error());
  if (*started)
  {
    print_welcome(console, workspace, nodes.running());
    do
    {
      if (auto watched = nodes.watch(console); !watched)
        return watched;
    } while (!signals.wait(1s));
  }
  console.out << "\nstopping\n" << std::flush;
  nodes.stop();
  return {};
}
}
