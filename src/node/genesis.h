#pragma once

#include "attestation/platform.h"
#include "base/files.h"
#include "concordat/application.h"
#include "concordat/error.h"
#include "crypto/certificate.h"
#include "node/certificates.h"
#include "node/configuration.h"
#include "node/identity.h"

#include <boost/json/value.hpp>

#include <map>
#include <string>

namespace concordat::node
{
/// What the creation transaction says of members and users, read from the files that the configuration names.
struct Founders
{
  struct Member
  {
    crypto::Certificate certificate;
    std::string certificate_pem;
    std::string encryption_key_pem; ///< empty if none
    boost::json::value data;
    RecoveryRole role;
  };
  struct User
  {
    crypto::Certificate certificate;
    std::string certificate_pem;
    boost::json::value data;
  };
  std::vector<Member> members;
  std::vector<User> users;
  std::string constitution;
  boost::json::value node_data;
  boost::json::value service_data;
};

/// @return Error naming the file that cannot be read or is not what it should be, or the rule of governance.md §4 and
///         §13 that the members break
Result<Founders> read_founders(base::FileSystem& files, const Configuration& configuration);

/// governance.md §13. Error::invalid when the configured threshold cannot be.
Result<std::uint64_t> initial_recovery_threshold(const Configuration& configuration);

/// What the file that `node_data_json_file` names says; null without one.
Result<boost::json::value> read_node_data(base::FileSystem& files, const Configuration& configuration);

/// A node's interfaces as its record has them, each with the address that others use.
struct PublishedInterfaces
{
  boost::json::object node_to_node;
  boost::json::object rpc; ///< by name
};
/// The name of the interface between nodes among those of clients, which have one.
constexpr std::string_view between_nodes;
/// @param addresses the bound address of each interface, by name; of the one between nodes too
PublishedInterfaces
published_interfaces(const Configuration& configuration, const std::map<std::string, std::string>& addresses);

/// The record of this node in `nodes.info`.
/// @param addresses the bound address of each interface, by name
boost::json::object node_record(
    const Configuration& configuration, const Identity& identity, const attestation::Evidence& evidence,
    const boost::json::value& node_data, const std::map<std::string, std::string>& addresses);

/// Writes the creation transaction, with the service `Opening`.
void write_genesis(
    Transaction& transaction, const Founders& founders, const Identity& identity,
    const InitialCertificates& certificates, const boost::json::object& record, const attestation::Evidence& evidence,
    std::uint64_t recovery_threshold, const Configuration& configuration, TxId txid);

/// Whether an application may lay these entries down: in maps of governance, and in none that is the framework's.
/// @return Error::denied naming the map that it may not
Result<void> check_governed(const std::vector<GovernedWrite>& writes);

/// Sets the service `Open`, and says from where its first secret holds if no later one was recorded before.
void write_opening(Transaction& transaction);
}
