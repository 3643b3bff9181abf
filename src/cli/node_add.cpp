#include "cli/node_add.h"

#include "base/files.h"
#include "cli/whole_file.h"
#include "crypto/certificate.h"
#include "net/address.h"

#include <boost/json.hpp>

#include <filesystem>
#include <map>

namespace concordat::cli
{
namespace
{
namespace json = boost::json;

constexpr std::uint64_t largest_file = 1 << 20;

std::unexpected<Failure> no_configuration(const std::string& path)
{
  return refuse(
      Exit::failed, path + " is not the configuration of a node",
      "name the file that a node of the service was started with");
}

json::object* object_in(json::object& object, std::string_view name)
{
  auto* const found = object.if_contains(name);
  return found ? found->if_object() : nullptr;
}

/// The address that clients use: "published_address" unless it is missing.
std::string address_of(const json::object& interface)
{
  for (const auto* const name : {"published_address", "bind_address"})
    if (const auto* const found = interface.if_contains(name); found && found->is_string())
      return std::string(found->get_string());
  return {};
}

Attempt<std::string> checked(const std::string& option, const std::string& address)
{
  const auto parts = net::split_address(address);
  if (!parts || parts->port == "0")
    return refuse(Exit::usage, option + " " + address + " is not of the form host:port, with a port that is not 0");
  return address;
}

/// By name; the name is empty for the one that is given without.
Attempt<std::map<std::string, std::string>> read_addresses(const NodeAddOptions& options)
{
  std::map<std::string, std::string> addresses;
  for (const auto& text : options.rpc_addresses)
  {
    const auto equals = text.find('=');
    const auto name = equals == std::string::npos ? std::string() : text.substr(0, equals);
    const auto address = checked("--rpc-address", equals == std::string::npos ? text : text.substr(equals + 1));
    if (!address)
      return std::unexpected(address.error());
    if (!addresses.emplace(name, *address).second)
      return refuse(Exit::usage, "--rpc-address is given twice" + (name.empty() ? "" : " for " + name));
  }
  return addresses;
}

Outcome set_interfaces(json::object& network, const NodeAddOptions& options)
{
  auto addresses = read_addresses(options);
  if (!addresses)
    return std::unexpected(addresses.error());
  auto& interfaces = *object_in(network, "rpc_interfaces");
  for (auto& [key, value] : interfaces)
  {
    const std::string name = key;
    auto* const interface = value.if_object();
    auto given = addresses->find(name);
    if (given == addresses->end() && interfaces.size() == 1)
      given = addresses->find("");
    if (given == addresses->end())
      return refuse(
          Exit::usage, "the new node's address of the interface '" + name + "' is missing",
          "give --rpc-address " + name + "=HOST:PORT");
    if (interface)
    {
      interface->erase("published_address");
      (*interface)["bind_address"] = given->second;
    }
    addresses->erase(given);
  }
  if (!addresses->empty())
    return refuse(
        Exit::usage, "there is no interface '" + addresses->begin()->first + "'", "see 'network.rpc_interfaces'");
  const auto node_address = checked("--node-address", options.node_address);
  if (!node_address)
    return std::unexpected(node_address.error());
  network["node_to_node_interface"] = json::object{{"bind_address", *node_address}};
  return {};
}

/// Every place that a node writes to; whatever else stands in a section stays.
void set_places(json::object& configuration, const std::string& directory)
{
  const auto place = [&](std::string_view name) { return json::value(base::join(directory, name)); };
  const auto section = [&](std::string_view name) -> json::object&
  {
    auto& found = configuration[name];
    return found.is_object() ? found.get_object() : found.emplace_object();
  };
  section("ledger")["directory"] = place("ledger");
  section("ledger").erase("read_only_directories");
  section("snapshots")["directory"] = place("snapshots");
  section("snapshots").erase("read_only_directory");
  configuration["output_files"] = json::object{
      {"node_certificate_file", place("nodecert.pem")},
      {"pid_file", place("node.pid")},
      {"rpc_addresses_file", place("rpc_addresses.json")}};
  auto& ours = section("concordat");
  ours["sealed_directory"] = place("sealed");
  ours["sealing_key_file"] = place("sealing.key");
  ours["control_socket"] = place("control.sock");
  // What only a service that is created is told.
  ours.erase("users");
  ours.erase("open_service");
  for (const auto* const own : {"node_data_json_file", "service_data_json_file"})
    configuration.erase(own);
  if (auto* const certificate = object_in(configuration, "node_certificate"))
    certificate->erase("subject_alt_names"); // the other node's
}

/// The service's certificate, as `from` names it: relative to the file or to this directory.
Attempt<std::string> read_service_certificate(const NodeAddOptions& options, const std::string& configuration)
{
  std::vector<std::string> candidates;
  if (!options.service_certificate.empty())
    candidates.push_back(options.service_certificate);
  else
  {
    boost::system::error_code code;
    auto parsed = json::parse(configuration, code);
    auto* const command = !code && parsed.is_object() ? object_in(parsed.get_object(), "command") : nullptr;
    const auto* const named = command ? command->if_contains("service_certificate_file") : nullptr;
    const auto path = named && named->is_string() ? std::string(named->get_string()) : "service_cert.pem";
    const auto beside = std::filesystem::path(options.from).parent_path() / path;
    candidates = {beside.string(), path};
  }
  for (const auto& path : candidates)
    if (const auto pem = read_whole(path, largest_file))
      if (const auto certificate = crypto::Certificate::from_pem(*pem); certificate && certificate->is_ca())
        return certificate->pem();
  return refuse(
      Exit::failed, candidates[0] + " is not the certificate of a service",
      "name it with --service-cert: the node that created the service has written it");
}
}

Attempt<std::string>
joining_configuration(const std::string& from, const std::string& directory, const NodeAddOptions& options)
{
  boost::system::error_code code;
  auto parsed = json::parse(from, code);
  auto* const configuration = code ? nullptr : parsed.if_object();
  auto* const network = configuration ? object_in(*configuration, "network") : nullptr;
  auto* const interfaces = network ? object_in(*network, "rpc_interfaces") : nullptr;
  if (!interfaces || interfaces->empty() || !interfaces->begin()->value().is_object())
    return no_configuration(options.from);
  const auto target = address_of(interfaces->begin()->value().get_object());
  if (const auto parts = net::split_address(target); !parts || parts->port == "0")
    return refuse(
        Exit::failed, "the port of " + options.from + " is chosen anew at each start: nobody can be told to ask there",
        "give its interface a fixed 'bind_address'");
  if (auto set = set_interfaces(*network, options); !set)
    return std::unexpected(set.error());
  set_places(*configuration, directory);
  (*configuration)["command"] = json::object{
      {"type", "Join"},
      {"service_certificate_file", base::join(directory, "service_cert.pem")},
      {"join", {{"target_rpc_address", target}}}};
  return json::serialize(*configuration) + "\n";
}

Outcome run_node_add(const NodeAddOptions& options, Console& console)
{
  const auto from = read_whole(options.from, largest_file);
  if (!from)
    return refuse(Exit::failed, "cannot read the configuration: " + from.error().describe());
  std::error_code error;
  auto directory = std::filesystem::absolute(options.into, error).lexically_normal().string();
  while (directory.size() > 1 && directory.ends_with('/'))
    directory.pop_back();
  base::RealFileSystem files;
  if (files.exists(directory))
    if (const auto names = files.list(directory); !names || !names->empty())
      return refuse(
          Exit::failed, directory + " is there already, and not an empty directory", "choose another one with --into");
  const auto configuration = joining_configuration(*from, directory, options);
  if (!configuration)
    return std::unexpected(configuration.error());
  const auto certificate = read_service_certificate(options, *from);
  if (!certificate)
    return std::unexpected(certificate.error());
  if (const auto made = files.make_directory(directory); !made)
    return refuse(Exit::failed, made.error().describe());
  const auto file = base::join(directory, "node.json");
  for (const auto& [path, content] :
       {std::pair(base::join(directory, "service_cert.pem"), *certificate), std::pair(file, *configuration)})
    if (const auto written = files.replace(path, content); !written)
      return refuse(Exit::failed, written.error().describe());
  console.out << "wrote " << file << "\n\nStart the node:\n  concordatd --config " << shell_quoted(file)
              << "\nIt then waits to be trusted. On the primary's machine:\n"
                 "  concordat node list --control CONTROL_SOCKET\n"
                 "  concordat node trust NODE --control CONTROL_SOCKET\n";
  return {};
}
}
