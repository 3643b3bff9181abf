#include "cli/sandbox_nodes.h"

#include "base/files.h"
#include "cli/node.h"
#include "http/client.h"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>
#include <csignal>

#include <fcntl.h>
#include <unistd.h>

namespace concordat::cli
{
namespace
{
namespace json = boost::json;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// The address that a node has bound, once it has said so.
std::optional<std::string> read_address(const Workspace& workspace, unsigned index)
{
  base::RealFileSystem files;
  if (!files.exists(workspace.node("node.pid", index)))
    return std::nullopt;
  const auto text = files.read(workspace.node("rpc_addresses.json", index), 1 << 16);
  if (!text)
    return std::nullopt;
  boost::system::error_code code;
  const auto addresses = json::parse(*text, code);
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

std::string text_of(const json::object& object, std::string_view name)
{
  const auto* const found = object.if_contains(name);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
}

bool is_true(const json::object& object, std::string_view name)
{
  const auto* const found = object.if_contains(name);
  return found != nullptr && found->is_bool() && found->get_bool();
}

const json::array& nodes_of(const json::object& listed)
{
  static const json::array none;
  const auto* const nodes = listed.if_contains("nodes");
  return nodes != nullptr && nodes->is_array() ? nodes->get_array() : none;
}
}

SandboxNodes::SandboxNodes(const Workspace& workspace, std::string binary)
    : workspace_(workspace),
      binary_(std::move(binary)),
      nodes_(workspace.nodes())
{
}

Failure SandboxNodes::failed(unsigned index, const std::string& how) const
{
  base::RealFileSystem files;
  const auto path = workspace_.node("log", index);
  const auto name = nodes_.size() == 1 ? std::string("the node") : "node" + std::to_string(index);
  std::string cause = name + " " + how;
  if (const auto log = files.read(path))
    cause += "; the last lines of its log:\n" + last_lines(*log, 15);
  return {Exit::failed, std::move(cause), "the whole log is in " + path};
}

Outcome SandboxNodes::launch(unsigned index)
{
  auto process = ChildProcess::start(
      {binary_, "--config", "config.json"}, workspace_.node("", index), workspace_.node("log", index));
  if (!process)
    return refuse(Exit::failed, process.error().describe());
  nodes_[index].process.emplace(std::move(*process));
  return {};
}

Attempt<bool> SandboxNodes::start(Signals& signals, std::chrono::seconds patience)
{
  signals_ = &signals;
  end_ = Clock::now() + patience;
  base::RealFileSystem files;
  std::vector<unsigned> known;
  std::vector<unsigned> joining;
  for (unsigned i = 0; i < nodes_.size(); ++i)
    (i == 0 || files.exists(workspace_.node("sealed/identity.sealed", i)) ? known : joining).push_back(i);
  // Of those that agreed before, none can serve without the others.
  for (const auto index : known)
    if (auto launched = launch(index); !launched)
      return std::unexpected(launched.error());
  for (const auto index : known)
    if (auto ready = wait_until_ready(index, false); !ready || !*ready)
      return ready;
  for (const auto index : joining)
  {
    if (auto launched = launch(index); !launched)
      return std::unexpected(launched.error());
    if (auto ready = wait_until_ready(index, true); !ready || !*ready)
      return ready;
  }
  return wait_until_agreed();
}

/// Only then any of them may be lost.
Attempt<bool> SandboxNodes::wait_until_agreed()
{
  while (Clock::now() < end_)
  {
    const auto nodes = running();
    if (std::ranges::any_of(nodes, &RunningNode::primary) && std::ranges::all_of(nodes, &RunningNode::votes))
      return true;
    if (signals_->wait(50ms))
      return false;
  }
  return refuse(Exit::failed, "the nodes have not agreed with each other in time");
}

/// @param trust  it asks to join
Attempt<bool> SandboxNodes::wait_until_ready(unsigned index, bool trust)
{
  auto& node = nodes_[index];
  while (Clock::now() < end_)
  {
    if (const auto how = node.process->ended())
      return std::unexpected(failed(index, *how));
    if (trust)
      trust_pending();
    auto address = read_address(workspace_, index);
    if (address && is_ready(workspace_, *address))
    {
      node.address = std::move(*address);
      return true;
    }
    if (signals_->wait(50ms))
      return false;
  }
  return std::unexpected(failed(index, "is not ready in time"));
}

/// Everybody who can ask is a node of this sandbox, as the interfaces are this machine's own.
void SandboxNodes::trust_pending()
{
  const auto listed = list();
  if (!listed)
    return;
  for (const auto& node : nodes_of(*listed))
    if (node.is_object() && text_of(node.get_object(), "status") == "Pending")
      for (unsigned i = 0; i < nodes_.size(); ++i)
      {
        const auto done = ask(i, {{"command", "trust"}, {"node_id", text_of(node.get_object(), "node_id")}});
        if (done && !done->contains("error"))
          break;
      }
}

std::optional<json::object> SandboxNodes::ask(unsigned index, const json::object& command) const
{
  // By way of its directory: the path of a socket is short, that of a workspace may be long.
  const int directory = ::open(workspace_.node("", index).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0)
    return std::nullopt;
  auto answer = ask_control("/proc/self/fd/" + std::to_string(directory) + "/control.sock", command);
  ::close(directory);
  return answer ? std::optional(std::move(*answer)) : std::nullopt;
}

std::optional<json::object> SandboxNodes::list()
{
  for (unsigned i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].process && !nodes_[i].process->ended())
      if (auto listed = ask(i, {{"command", "list"}}); listed && listed->contains("nodes"))
        return listed;
  return std::nullopt;
}

std::vector<RunningNode> SandboxNodes::running()
{
  const auto listed = list();
  std::vector<RunningNode> out;
  for (auto& node : nodes_)
  {
    if (!node.process || node.process->ended())
      continue;
    RunningNode one{node.address, node.process->pid()};
    for (const auto& entry : listed ? nodes_of(*listed) : json::array())
    {
      const auto* const addresses = entry.is_object() ? entry.get_object().if_contains("rpc_addresses") : nullptr;
      if (addresses == nullptr || !addresses->is_object() || text_of(addresses->get_object(), "main") != node.address)
        continue;
      one.primary = is_true(entry.get_object(), "primary");
      one.votes = is_true(entry.get_object(), "votes");
    }
    out.push_back(std::move(one));
  }
  return out;
}

Outcome SandboxNodes::watch(Console& console)
{
  std::size_t living = 0;
  for (unsigned i = 0; i < nodes_.size(); ++i)
  {
    auto& node = nodes_[i];
    const auto how = node.process->ended();
    living += how ? 0U : 1U;
    if (!how || node.told)
      continue;
    node.told = true;
    if (nodes_.size() == 1)
      return std::unexpected(failed(i, *how));
    console.out << "node" << i << " " << *how << "; to have it back, in another terminal:\n  cd "
                << shell_quoted(workspace_.node("", i)) << " && " << shell_quoted(binary_) << " --config config.json\n"
                << std::flush;
  }
  if (living == 0)
    return refuse(Exit::failed, "all nodes have ended");
  if (nodes_.size() == 1)
    return {};
  for (const auto& one : running())
    for (unsigned i = 0; one.primary && i < nodes_.size(); ++i)
      if (nodes_[i].address == one.address && primary_ != i)
      {
        if (primary_)
          console.out << "node" << i << " is primary now\n" << std::flush;
        primary_ = i;
      }
  return {};
}

void SandboxNodes::stop()
{
  // Asked all at once: each waits for others to take over otherwise.
  for (auto& node : nodes_)
    if (node.process && !node.process->ended())
      ::kill(node.process->pid(), SIGTERM);
  for (auto& node : nodes_)
    if (node.process)
      node.process->stop(10s);
}
}
