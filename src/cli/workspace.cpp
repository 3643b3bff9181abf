#include "cli/workspace.h"

#include "base/files.h"
#include "cli/keygen.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <charconv>
#include <filesystem>

namespace concordat::cli
{
namespace
{
namespace json = boost::json;

constexpr auto sample_records = "lei,nace\r\n"
                                "984500E1B2CA1D4EKG67,A.01.1\r\n"
                                "984500UF3DE41EFA7F02,B.08.9\r\n"
                                "254900Z8QM2AR51H5I26,C.10.1\r\n";

json::object* rpc_interface(json::value& configuration)
{
  json::value* at = &configuration;
  for (const auto* key : {"network", "rpc_interfaces", "main"})
  {
    at = at->is_object() ? at->get_object().if_contains(key) : nullptr;
    if (at == nullptr)
      return nullptr;
  }
  return at->if_object();
}

Attempt<json::value> read_configuration(const std::string& path)
{
  base::RealFileSystem files;
  const auto text = files.read(path, 1 << 20);
  if (!text)
    return refuse(Exit::failed, "cannot read the node's configuration: " + text.error().describe());
  boost::system::error_code code;
  auto configuration = json::parse(*text, code);
  if (code || rpc_interface(configuration) == nullptr)
    return refuse(
        Exit::failed, path + " is not the configuration of a sandbox's node", "correct it, or begin with --fresh");
  return configuration;
}

std::string local_address(unsigned port)
{
  return "127.0.0.1:" + std::to_string(port);
}

Outcome write(const std::string& path, std::string_view content)
{
  base::RealFileSystem files;
  if (const auto written = files.replace(path, content); !written)
    return refuse(Exit::failed, "cannot write " + path + ": " + written.error().describe());
  return {};
}
}

namespace
{
/// What all nodes have in common.
json::object base_configuration(NodePorts ports)
{
  return {
      {"network",
       {{"node_to_node_interface", {{"bind_address", local_address(ports.nodes)}}},
        {"rpc_interfaces", {{"main", {{"bind_address", local_address(ports.clients)}}}}}}},
      {"node_certificate",
       {{"initial_validity_days", 365},
        {"subject_alt_names", {"iPAddress:127.0.0.1", "iPAddress:::1", "dNSName:localhost"}}}},
      {"ledger", {{"directory", "ledger"}}},
      {"snapshots", {{"directory", "snapshots"}}},
      {"output_files",
       {{"rpc_addresses_file", "rpc_addresses.json"},
        {"pid_file", "node.pid"},
        {"node_certificate_file", "nodecert.pem"}}},
      {"concordat",
       {{"sealed_directory", "sealed"},
        {"sealing_key_file", "sealing.key"},
        {"application", {{"vote_threshold", 3}}}}}};
}
}

std::string node_configuration(unsigned members, unsigned users, NodePorts ports)
{
  json::array member_list;
  for (unsigned i = 0; i < members; ++i)
  {
    const auto name = "../common/member" + std::to_string(i);
    member_list.push_back(
        json::object{{"certificate_file", name + "_cert.pem"}, {"encryption_public_key_file", name + "_enc_pubk.pem"}});
  }
  json::array user_list;
  for (unsigned i = 0; i < users; ++i)
    user_list.push_back(json::object{{"certificate_file", "../common/user" + std::to_string(i) + "_cert.pem"}});

  auto configuration = base_configuration(ports);
  configuration["command"] = {
      {"type", "Start"},
      {"service_certificate_file", "../common/service_cert.pem"},
      {"start", {{"members", member_list}, {"initial_service_certificate_validity_days", 365}}}};
  auto& ours = configuration["concordat"].get_object();
  ours["users"] = std::move(user_list);
  ours["open_service"] = true;
  return json::serialize(configuration) + "\n";
}

std::string joining_node_configuration(NodePorts ports, unsigned target)
{
  auto configuration = base_configuration(ports);
  configuration["command"] = {
      {"type", "Join"},
      {"service_certificate_file", "../common/service_cert.pem"},
      {"join", {{"target_rpc_address", local_address(target)}, {"retry_timeout", "100ms"}}}};
  return json::serialize(configuration) + "\n";
}

Workspace::Workspace(const std::string& directory)
    : directory_(std::filesystem::absolute(directory).lexically_normal().string())
{
  while (directory_.size() > 1 && directory_.ends_with('/'))
    directory_.pop_back();
}

std::string Workspace::common(const std::string& name) const
{
  const auto path = base::join(directory_, "common");
  return name.empty() ? path : base::join(path, name);
}

std::string Workspace::node(const std::string& name, unsigned index) const
{
  const auto path = base::join(directory_, "node" + std::to_string(index));
  return name.empty() ? path : base::join(path, name);
}

std::string Workspace::sample() const
{
  return base::join(directory_, "sample.csv");
}

bool Workspace::exists() const
{
  return base::RealFileSystem().exists(node("config.json"));
}

Outcome Workspace::create(unsigned members, unsigned users, const std::vector<NodePorts>& nodes) const
{
  base::RealFileSystem files;
  std::vector<std::string> directories{common()};
  for (unsigned i = 0; i < nodes.size(); ++i)
    directories.push_back(node("", i));
  for (const auto& path : directories)
  {
    if (files.exists(path))
      return refuse(
          Exit::failed, path + " exists already, but no sandbox has finished making this workspace",
          "choose another --workspace, or remove that directory");
    if (const auto made = files.make_directory(path); !made)
      return refuse(Exit::failed, "cannot make " + path + ": " + made.error().describe());
  }
  const auto generate = [&](const std::string& kind, unsigned number, bool encryption) -> Outcome
  {
    KeygenOptions options;
    options.name = kind + std::to_string(number);
    options.directory = common();
    options.encryption = encryption;
    const auto generated = generate_keys(options);
    return generated ? Outcome{} : std::unexpected(generated.error());
  };
  for (unsigned i = 0; i < members; ++i)
    if (auto made = generate("member", i, true); !made)
      return made;
  for (unsigned i = 0; i < users; ++i)
    if (auto made = generate("user", i, false); !made)
      return made;
  if (auto written = write(sample(), sample_records); !written)
    return written;
  for (unsigned i = 1; i < nodes.size(); ++i)
    if (auto written = write(node("config.json", i), joining_node_configuration(nodes[i], nodes[0].clients)); !written)
      return written;
  // Last, since it says that the workspace is whole.
  return write(node("config.json"), node_configuration(members, users, nodes[0]));
}

Outcome Workspace::remove() const
{
  std::vector<std::string> paths{common(), sample()};
  for (unsigned i = 0; i < nodes(); ++i)
    paths.push_back(node("", i));
  for (const auto& path : paths)
  {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error)
      return refuse(Exit::failed, "cannot remove " + path + ": " + error.message());
  }
  return {};
}

unsigned Workspace::nodes() const
{
  base::RealFileSystem files;
  unsigned number = 0;
  while (files.exists(node("config.json", number)))
    ++number;
  return number;
}

Attempt<unsigned> Workspace::port(unsigned index) const
{
  auto configuration = read_configuration(node("config.json", index));
  if (!configuration)
    return std::unexpected(configuration.error());
  const auto* const address = rpc_interface(*configuration)->if_contains("bind_address");
  unsigned port = 0;
  const std::string text = address != nullptr && address->is_string() ? std::string(address->get_string()) : "";
  const auto colon = text.rfind(':');
  if (colon == std::string::npos ||
      std::from_chars(text.data() + colon + 1, text.data() + text.size(), port).ec != std::errc{} || port > 65535)
    return refuse(Exit::failed, node("config.json", index) + " names no address of the form host:port", "set --port");
  return port;
}

Outcome Workspace::set_port(unsigned index, unsigned port) const
{
  auto configuration = read_configuration(node("config.json", index));
  if (!configuration)
    return std::unexpected(configuration.error());
  (*rpc_interface(*configuration))["bind_address"] = local_address(port);
  return write(node("config.json", index), json::serialize(*configuration) + "\n");
}

unsigned Workspace::count(const std::string& kind) const
{
  base::RealFileSystem files;
  unsigned number = 0;
  while (files.exists(common(kind + std::to_string(number) + "_cert.pem")))
    ++number;
  return number;
}
}
