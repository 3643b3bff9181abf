#include "node/check.h"

#include "attestation/sealed_file.h"
#include "attestation/virtual_platform.h"
#include "net/address.h"
#include "node/certificates.h"
#include "node/genesis.h"
#include "node/identity.h"
#include "node/json.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace concordat::node
{
namespace
{
constexpr std::string_view ledger_key = "'ledger.directory'";
constexpr std::string_view sealed_key = "'concordat.sealed_directory'";
constexpr std::string_view sealing_key = "'concordat.sealing_key_file'";
constexpr std::string_view service_key = "'command.service_certificate_file'";
constexpr std::string_view control_key = "'concordat.control_socket'";

struct Output
{
  std::string_view key;
  std::optional<base::Path> path;
};

std::vector<Output> outputs_of(const Configuration& configuration)
{
  // Who joins reads the service's certificate; who creates the service writes it.
  const auto service_certificate =
      configuration.join ? std::nullopt : std::optional(configuration.service_certificate_file);
  return {
      {service_key, service_certificate},
      {"'output_files.node_certificate_file'", configuration.node_certificate_file},
      {"'output_files.rpc_addresses_file'", configuration.rpc_addresses_file},
      {"'output_files.node_to_node_address_file'", configuration.node_to_node_address_file},
      {"'output_files.pid_file'", configuration.pid_file}};
}

/// One spelling of a path, so that two keys that mean one place are seen to.
std::string normal(const base::Path& path)
{
  std::error_code error;
  const auto whole = std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error);
  return error ? path : whole.string();
}

/// Files can be made in the directory, or in the part of it that is there already.
Result<void> check_directory(std::string_view key, const base::Path& directory)
{
  for (auto at = directory.empty() ? base::Path(".") : directory;; at = base::parent(at))
  {
    struct stat status = {};
    if (::stat(at.c_str(), &status) == 0)
    {
      if (!S_ISDIR(status.st_mode))
        return fail(ErrorCode::invalid, std::string(key) + ": '" + at + "' is not a directory");
      if (::access(at.c_str(), W_OK | X_OK) != 0)
        return fail(
            ErrorCode::io,
            std::string(key) + ": nothing can be written in the directory '" + at + "' (" + std::strerror(errno) + ")");
      return {};
    }
    if (errno != ENOENT || at == "." || at == "/")
      return fail(ErrorCode::io, std::string(key) + ": cannot use '" + at + "' (" + std::strerror(errno) + ")");
  }
}

Result<void> check_no_directory(std::string_view key, const base::Path& path)
{
  struct stat status = {};
  if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode))
    return fail(ErrorCode::invalid, std::string(key) + ": '" + path + "' is a directory");
  return {};
}

/// No two things are written to one place.
Result<void> check_distinct(const Configuration& configuration)
{
  std::map<std::string, std::string_view> taken;
  const auto take = [&](std::string_view key, const base::Path& path) -> Result<void>
  {
    const auto [place, is_new] = taken.try_emplace(normal(path), key);
    if (is_new)
      return {};
    return fail(
        ErrorCode::invalid,
        std::string(place->second) + " and " + std::string(key) + " are the same place, '" + path + "'");
  };
  if (auto taken_now = take(ledger_key, configuration.ledger_directory); !taken_now)
    return taken_now;
  if (auto taken_now = take(sealed_key, configuration.sealed_directory); !taken_now)
    return taken_now;
  if (auto taken_now = take(sealing_key, configuration.sealing_key_file); !taken_now)
    return taken_now;
  if (auto taken_now = take(control_key, configuration.control_socket); !taken_now)
    return taken_now;
  for (const auto& [key, path] : outputs_of(configuration))
    if (path)
      if (auto taken_now = take(key, *path); !taken_now)
        return taken_now;
  if (configuration.join)
    if (const auto found = taken.find(normal(configuration.service_certificate_file)); found != taken.end())
      return fail(
          ErrorCode::invalid, std::string(found->second) + " would overwrite the service's certificate, '" +
                                  configuration.service_certificate_file + "'");
  for (const auto& member : configuration.members)
    if (const auto found = taken.find(normal(member.certificate_file)); found != taken.end())
      return fail(
          ErrorCode::invalid,
          std::string(found->second) + " would overwrite the member's certificate '" + member.certificate_file + "'");
  return {};
}

Result<void> check_places(const Configuration& configuration)
{
  if (auto distinct = check_distinct(configuration); !distinct)
    return distinct;
  if (auto good = check_directory(ledger_key, configuration.ledger_directory); !good)
    return good;
  if (auto good = check_directory(sealed_key, configuration.sealed_directory); !good)
    return good;
  if (auto good = check_no_directory(sealing_key, configuration.sealing_key_file); !good)
    return good;
  if (auto good = check_directory(sealing_key, base::parent(configuration.sealing_key_file)); !good)
    return good;
  // Directories of outputs are not made, but may be one of those that are.
  const auto ledger = normal(configuration.ledger_directory);
  const auto sealed = normal(configuration.sealed_directory);
  for (const auto& [key, path] : outputs_of(configuration))
  {
    if (!path)
      continue;
    if (auto good = check_no_directory(key, *path); !good)
      return good;
    const auto directory = base::parent(*path);
    const auto place = normal(directory);
    if (place == ledger || place == sealed)
      continue;
    struct stat status = {};
    if (::stat(directory.c_str(), &status) != 0)
      return fail(
          ErrorCode::not_found,
          std::string(key) + ": the directory of '" + *path + "' cannot be used (" + std::strerror(errno) + ")");
    if (auto good = check_directory(key, directory); !good)
      return good;
  }
  return {};
}

/// What lies sealed on the disk: nothing, an identity with all that belongs to it, or keys of a node that asks to join.
struct Sealed
{
  std::optional<Identity> identity;
  bool has_asked = false;
};

/// Whether what is sealed fits what the node is to do.
Result<void> check_command(const Configuration& configuration, const Sealed& sealed)
{
  const auto where = std::string(sealed_key) + ": '" + configuration.sealed_directory + "' belongs to a node that ";
  const std::string otherwise = "; begin with an empty directory, or set 'command.type' to ";
  if (sealed.has_asked && !configuration.join)
    return fail(ErrorCode::exists, where + "has asked to join a service" + otherwise + "Join");
  if (sealed.identity && !sealed.identity->service_created && configuration.join)
    return fail(ErrorCode::exists, where + "was about to create a service" + otherwise + "Start");
  return {};
}

Result<Sealed> check_sealed(const Configuration& configuration, base::FileSystem& files)
{
  const auto key = attestation::VirtualPlatform::stored_key(files, configuration.sealing_key_file);
  if (!key && key.error().code != ErrorCode::not_found)
    return fail(std::string(sealing_key) + " cannot be used", key.error());

  const auto names = files.exists(configuration.sealed_directory) ? files.list(configuration.sealed_directory)
                                                                  : Result<std::vector<std::string>>{};
  if (!names)
    return fail(std::string(sealed_key) + " cannot be used", names.error());
  const auto sealed =
      std::any_of(names->begin(), names->end(), [](const std::string& name) { return name.ends_with(".sealed"); });
  if (!sealed)
    return Sealed{};
  if (!key)
    return fail(
        ErrorCode::not_found,
        std::string(sealed_key) + " holds what was sealed under a key that is not there: " + "put back the file '" +
            configuration.sealing_key_file + "' (" + std::string(sealing_key) + "), or begin with an empty directory");

  attestation::SealedFiles reader(files, *key);
  const SealedState state(files, reader, configuration.sealed_directory);
  if (!state.has_identity() && state.has_keys())
  {
    if (const auto keys = state.load_keys(); !keys)
      return fail("cannot unseal this node's keys", keys.error());
    return Sealed{std::nullopt, true};
  }
  if (!state.has_identity())
    return fail(
        ErrorCode::not_found, std::string(sealed_key) + ": in '" + configuration.sealed_directory +
                                  "' one part of the node's sealed state is there and its identity is not; put back "
                                  "the whole directory, or begin with an empty one");
  auto identity = state.load_identity();
  if (!identity)
    return fail("cannot unseal this node's identity", identity.error());
  if (const auto durable = state.load(); !durable)
    return fail("cannot unseal the state of consensus", durable.error());
  return Sealed{std::move(*identity), false};
}

Result<void> check_ledger(const Configuration& configuration, const base::FileSystem& files, const Sealed& sealed)
{
  const auto& identity = sealed.identity;
  const auto& directory = configuration.ledger_directory;
  const auto names = files.exists(directory) ? files.list(directory) : Result<std::vector<std::string>>{};
  if (!names)
    return fail(std::string(ledger_key) + " cannot be used", names.error());
  const bool has_ledger =
      std::any_of(names->begin(), names->end(), [](const std::string& name) { return name.starts_with("ledger_"); });
  if (!identity && !sealed.has_asked && !names->empty())
    return fail(
        ErrorCode::exists, std::string(ledger_key) + ": '" + directory +
                               "' is not empty, but this node has no sealed identity to read it with; give it the "
                               "sealed directory that belongs to it, or an empty ledger directory");
  if (identity && identity->service_created && !has_ledger)
    return fail(
        ErrorCode::not_found, std::string(ledger_key) + ": '" + directory + "' is empty, but this node has " +
                                  (identity->joined ? "joined" : "created") +
                                  " a service; restore its ledger, or remove the sealed directory '" +
                                  configuration.sealed_directory + "' to " +
                                  (identity->joined ? "join as a new node" : "begin a new service"));
  return {};
}

/// Others must be able to connect to a node that joins them: it tells them where.
Result<void> check_node_to_node(const Configuration& configuration)
{
  const auto& interface = configuration.node_to_node_interface;
  constexpr std::string_view bound = "bind_address"; // a port that is chosen at the start is told
  const auto name = interface.contains("published_address") ? std::string_view("published_address") : bound;
  const auto address = net::split_address(string_member(interface, name));
  if (address && !is_wildcard(address->host) && (address->port != "0" || name == bound))
    return {};
  return fail(
      ErrorCode::invalid, "'network.node_to_node_interface." + std::string(name) + "' is '" +
                              string_member(interface, name) +
                              "', which other nodes cannot connect to: set 'published_address' to a name or address of "
                              "this machine");
}

/// A node serves without its control socket, so that this is no more than a warning.
Result<void> check_control(const base::Path& path)
{
  constexpr std::size_t longest = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() > longest)
    return fail(
        ErrorCode::invalid,
        std::string(control_key) + ": the path of a socket has " + std::to_string(longest) + " bytes at most");
  if (auto good = check_no_directory(control_key, path); !good)
    return good;
  return check_directory(control_key, base::parent(path));
}

/// Who is let in is decided by the other side; whom to believe is in the file.
Result<void> check_service_certificate(const Configuration& configuration, base::FileSystem& files)
{
  constexpr std::uint64_t max_size = 1 << 20;
  const auto where = std::string(service_key) + " cannot be used: it is to hold the certificate of the service that " +
                     "this node joins";
  const auto pem = files.read(configuration.service_certificate_file, max_size);
  if (!pem)
    return fail(where, pem.error());
  const auto certificate = crypto::Certificate::from_pem(*pem);
  if (!certificate)
    return fail(
        where + ", but '" + configuration.service_certificate_file + "' is not a PEM certificate", certificate.error());
  if (!certificate->is_ca() || !certificate->public_key().curve())
    return fail(
        ErrorCode::invalid, where + ", but '" + configuration.service_certificate_file +
                                "' is the certificate of a node, a member or a user; take the one that the first node "
                                "wrote, or GET /node/network says");
  return {};
}
}

Result<std::vector<std::string>>
check_start(const Configuration& configuration, base::FileSystem& files, std::int64_t unix_seconds)
{
  if (auto good = check_places(configuration); !good)
    return std::unexpected(good.error());
  const auto sealed = check_sealed(configuration, files);
  if (!sealed)
    return std::unexpected(sealed.error());
  if (auto good = check_command(configuration, *sealed); !good)
    return std::unexpected(good.error());
  if (auto good = check_ledger(configuration, files, *sealed); !good)
    return std::unexpected(good.error());
  const auto& identity = sealed->identity;

  if (configuration.join)
  {
    if (auto good = check_node_to_node(configuration); !good)
      return std::unexpected(good.error());
    if (!identity)
      if (auto good = check_service_certificate(configuration, files); !good)
        return std::unexpected(good.error());
  }
  // Members and users are read once, when the service is created.
  else if (!identity || !identity->service_created)
  {
    if (const auto threshold = initial_recovery_threshold(configuration); !threshold)
      return std::unexpected(threshold.error());
    if (const auto founders = read_founders(files, configuration); !founders)
      return std::unexpected(founders.error());
  }
  // Certificates are tried with keys that nobody keeps.
  const Identity stand_in{
      crypto::KeyPair::generate(configuration.curve), crypto::KeyPair::generate(configuration.curve), {}, {}, nullptr};
  if (const auto made = make_certificates(configuration, stand_in, {}, unix_seconds); !made)
    return std::unexpected(made.error());
  auto warnings = name_warnings(configuration);
  if (const auto control = check_control(configuration.control_socket); !control)
    warnings.push_back(control.error().describe() + "; nodes cannot be managed from this machine");
  return warnings;
}
}
