#pragma once

#include "concordat/error.h"
#include "crypto/certificate.h"
#include "node/configuration.h"
#include "node/identity.h"

#include <map>
#include <string>
#include <vector>

namespace concordat::node
{
/// Certificates begin so long before now, in seconds: machines whose clocks are a little behind believe them.
inline constexpr std::int64_t begins_before = 10 * 60;

/// The certificates that a fresh service starts with.
struct InitialCertificates
{
  crypto::Certificate service;
  crypto::Certificate node;        ///< issued by the service
  crypto::Certificate self_signed; ///< of the node
};

/// @param addresses the bound address of each interface, by name
/// @return Error::invalid naming the key of the configuration that is wrong, or the clock
Result<InitialCertificates> make_certificates(
    const Configuration& configuration, const Identity& identity, const std::map<std::string, std::string>& addresses,
    std::int64_t unix_seconds);

/// What clients are told to connect to: the bound address if the configured one leaves the port open.
std::string published_address(const RpcInterface& interface, const std::map<std::string, std::string>& addresses);

/// A host of an address as a certificate names it: "iPAddress:…" or "dNSName:…".
std::string alternative_name(const std::string& host);

/// The names that a node asks to have certified (http-api.md §4.2): what is configured, else the hosts of the published
/// addresses. Whoever sits on the machine itself says "localhost", and no certificate is for a wildcard.
/// @param addresses the bound address of each interface, by name
std::vector<std::string>
alternative_names(const Configuration& configuration, const std::map<std::string, std::string>& addresses);

/// An address that means all of a machine's: nobody can connect to it by that name.
bool is_wildcard(const std::string& host);

/// What the operator should know of the names in the node's certificate, each sentence naming a key.
std::vector<std::string> name_warnings(const Configuration& configuration);

/// @return Error::invalid for a clock that cannot be right, with what it says
Result<void> check_clock(std::int64_t unix_seconds);

/// Holds before the service's key signs another certificate.
/// @return Error::invalid when the service's certificate is not valid yet: the clock is behind the one it was made by
Result<void> check_issuer(const crypto::Certificate& service, std::int64_t unix_seconds);

/// When the ledger was last signed, by the clock of then.
/// @return 0 if that is not known: there is no signature yet, or none that the service key made
std::int64_t newest_signature_time(ReadTransaction& state, const crypto::PublicKey& service_key);

/// What the operator should know of the times in certificates.
/// @param newest_signature when the ledger was last signed, by the clock of then; 0 if that is not known
std::vector<std::string> time_warnings(
    const crypto::Certificate& service, const crypto::Certificate& node, std::int64_t newest_signature,
    std::int64_t unix_seconds);

/// "2026-01-31 12:00:00 UTC"
std::string time_text(std::int64_t unix_seconds);
}
