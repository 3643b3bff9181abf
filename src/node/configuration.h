#pragma once

#include "base/files.h"
#include "base/log.h"
#include "concordat/error.h"
#include "crypto/keys.h"
#include "http/server.h"

#include <boost/json/value.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::node
{
enum class RecoveryRole
{
  unset,
  non_participant,
  participant,
  owner,
};

struct MemberConfiguration
{
  base::Path certificate_file;
  std::optional<base::Path> encryption_public_key_file;
  std::optional<base::Path> data_file;
  RecoveryRole recovery_role = RecoveryRole::unset;
};

struct UserConfiguration
{
  base::Path certificate_file;
  std::optional<base::Path> data_file;
};

/// Where requests are sent that another node has to answer (http-api.md §2.7).
struct RedirectionTarget
{
  enum class Role
  {
    primary,
    backup,
  };
  Role role = Role::primary;
  std::string interface; ///< of that node; empty: the one that the request came in on
  std::string address;   ///< this, whoever has which role; empty: by role
};

struct Redirections
{
  RedirectionTarget to_primary;
  RedirectionTarget to_backup{RedirectionTarget::Role::backup, {}, {}};
};

struct RpcInterface
{
  http::Interface listen;
  std::string published_address; ///< empty: the bound address
  std::optional<std::vector<std::string>> accepted_endpoints;
  bool endorsed_by_service = true; ///< false: the interface shows the node's self-signed certificate
  std::chrono::milliseconds forwarding_timeout{3000};
  std::optional<Redirections> redirections; ///< instead of forwarding
  boost::json::object as_configured;        ///< for the node's record
};

/// Where handlers run that take long, and for how long anybody waits for them.
struct HandlerConfiguration
{
  unsigned threads = 0;                       ///< 0: one per core, but 2 at least
  std::uint64_t max_waiting = 1000;           ///< requests that wait for a thread
  std::uint64_t max_waiting_size = 64 << 20;  ///< bytes of their bodies
  std::chrono::milliseconds deadline{30'000}; ///< from the request to the end of the handler; 0: none
  std::uint64_t inline_body_size = 16 << 10;  ///< requests with larger bodies never run on an I/O thread
};

/// What may wait for agreement beside `max_uncommitted`, and how it is cut into batches; 0: no bound.
struct TransactionLimits
{
  std::uint64_t max_size = std::uint64_t{64} << 20;          ///< bytes of one in the ledger
  std::uint64_t max_waiting_size = std::uint64_t{256} << 20; ///< bytes of all that wait
  std::uint64_t max_batch_count = 5'000;                     ///< that one signature ends
  std::uint64_t max_batch_size = std::uint64_t{16} << 20;
};

/// How a node finds the service that it is to become part of (governance.md §10.4).
struct JoinConfiguration
{
  std::string target_rpc_address; ///< host:port of an interface of any node of the service
  std::chrono::milliseconds retry_timeout{1'000};
  bool follow_redirect = true;
};

/// The configuration of one node, as its file says, with defaults filled in (governance.md §16). Keys that this
/// release has no use for are checked and then left aside.
struct Configuration
{
  std::vector<RpcInterface> interfaces;
  boost::json::object node_to_node_interface;

  std::optional<JoinConfiguration> join; ///< the node joins a service; without it, it creates one
  base::Path service_certificate_file =
      "service_cert.pem"; ///< written by a node that creates a service, read by others
  std::vector<base::Path> constitution_files;
  std::vector<MemberConfiguration> members;
  unsigned service_validity_days = 1;
  std::string service_subject = "CN=CCF Service";
  std::string cose_issuer;
  std::string cose_subject;
  std::optional<std::uint64_t> recovery_threshold;
  boost::json::object service_configuration; ///< what of it goes to `service.config` beside the threshold

  std::string node_subject = "CN=CCF Node";
  std::vector<std::string> subject_alt_names;
  crypto::Curve curve = crypto::Curve::p256;
  unsigned node_validity_days = 1;
  std::optional<base::Path> node_data_file;
  std::optional<base::Path> service_data_file;

  base::Path ledger_directory = "ledger";
  std::uint64_t chunk_size = std::uint64_t{5} << 20;
  base::Path snapshots_directory = "snapshots";
  base::LogFormat log_format = base::LogFormat::text;
  std::uint64_t max_uncommitted = 10'000;
  std::chrono::milliseconds message_timeout{50}; ///< the primary speaks at least so often
  std::chrono::milliseconds election_timeout{
      400}; ///< of silence before a node stands for election; at random up to two
  TransactionLimits transactions;
  unsigned worker_threads = 0;
  std::uint64_t open_files_kept_back = 0; ///< from connections; 0: as the server thinks fit

  base::Path node_certificate_file = "nodecert.pem";
  base::Path pid_file = "node.pid";
  std::optional<base::Path> rpc_addresses_file;
  std::optional<base::Path> node_to_node_address_file;

  // The section "concordat": what is ours.
  std::vector<UserConfiguration> users;
  bool open_service = false;
  HandlerConfiguration handlers;
  base::Path sealed_directory = "sealed";
  base::Path sealing_key_file = "sealing.key";
  bool trusted_disks = false; ///< nobody puts an older copy of a disk back: a node that comes back counts at once
  base::Path control_socket = "control.sock"; ///< where the operator of the machine manages nodes
  boost::json::object application;
};

/// Reads a configuration.
/// @param text any bytes
/// @return Error::invalid with the path of the key that is unknown, missing or wrong, and what it must be
Result<Configuration> parse_configuration(std::string_view text);
}
