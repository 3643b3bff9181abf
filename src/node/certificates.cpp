#include "node/certificates.h"

#include "base/encoding.h"
#include "crypto/cose.h"
#include "ledger/signature.h"
#include "net/address.h"
#include "node/json.h"

#include <boost/json.hpp>

#include <algorithm>
#include <ctime>

namespace concordat::node
{
namespace
{
constexpr std::int64_t may_go_back = 60 * 60; ///< seconds: more is no mere correction of a clock
/// 2026-01-01: no release of this program is older, so a clock before it is wrong.
constexpr std::int64_t earliest = 1'767'225'600;

std::string host_of(const std::string& address)
{
  const auto parts = net::split_address(address);
  return parts ? parts->host : address;
}

bool is_ip_address(const std::string& host)
{
  return host.find(':') != std::string::npos ||
         (!host.empty() && host.find_first_not_of("0123456789.") == std::string::npos);
}

bool is_loopback(const std::string& host)
{
  return host == "::1" || (host.starts_with("127.") && is_ip_address(host));
}

}

std::string alternative_name(const std::string& host)
{
  return (is_ip_address(host) ? "iPAddress:" : "dNSName:") + host;
}

std::vector<std::string>
alternative_names(const Configuration& configuration, const std::map<std::string, std::string>& addresses)
{
  if (!configuration.subject_alt_names.empty())
    return configuration.subject_alt_names;
  std::vector<std::string> names;
  const auto add = [&](std::string name)
  {
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(std::move(name));
  };
  for (const auto& interface : configuration.interfaces)
  {
    const auto host = host_of(published_address(interface, addresses));
    if (!is_wildcard(host))
      add(alternative_name(host));
    if (is_wildcard(host) || is_loopback(host))
    {
      add("iPAddress:127.0.0.1");
      add("dNSName:localhost");
    }
  }
  return names;
}

std::string published_address(const RpcInterface& interface, const std::map<std::string, std::string>& addresses)
{
  const auto bound = addresses.find(interface.listen.name);
  const auto& configured =
      interface.published_address.empty() ? interface.listen.bind_address : interface.published_address;
  const bool any_port = configured.ends_with(":0");
  return any_port && bound != addresses.end() ? bound->second : configured;
}

bool is_wildcard(const std::string& host)
{
  return host == "::" || host == "0.0.0.0" || host == "0";
}

std::vector<std::string> name_warnings(const Configuration& configuration)
{
  std::vector<std::string> warnings;
  for (const auto& interface : configuration.interfaces)
  {
    const bool published = !interface.published_address.empty();
    const auto& address = published ? interface.published_address : interface.listen.bind_address;
    if (!is_wildcard(host_of(address)))
      continue;
    const auto key =
        "'network.rpc_interfaces." + interface.listen.name + (published ? ".published_address'" : ".bind_address'");
    auto text = key + " is " + address +
                ", which stands for every address of this machine: clients cannot be told to connect to it; set "
                "'published_address' to the name and port that they use";
    if (configuration.subject_alt_names.empty())
      text +=
          ". The node's certificate is therefore for localhost alone; list the names and addresses that clients use "
          "in 'node_certificate.subject_alt_names', such as [\"dNSName:node0.example.com\", "
          "\"iPAddress:192.0.2.1\"]";
    warnings.push_back(std::move(text));
  }
  return warnings;
}

std::string time_text(std::int64_t unix_seconds)
{
  const std::time_t seconds = unix_seconds;
  std::tm parts{};
  char text[64];
  if (::gmtime_r(&seconds, &parts) == nullptr || std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
    return std::to_string(unix_seconds) + " seconds after 1970";
  return text;
}

Result<void> check_clock(std::int64_t unix_seconds)
{
  if (unix_seconds >= earliest)
    return {};
  return fail(
      ErrorCode::invalid, "this machine's clock is wrong: it says " + time_text(unix_seconds) +
                              ", which is before this program was made; set the clock. A certificate made now would "
                              "be of no use");
}

Result<void> check_issuer(const crypto::Certificate& service, std::int64_t unix_seconds)
{
  if (unix_seconds >= service.not_before())
    return {};
  return fail(
      ErrorCode::invalid, "this machine's clock is wrong, or was when the service was created: it says " +
                              time_text(unix_seconds) + ", and the service's certificate begins at " +
                              time_text(service.not_before()) + ". No certificate can be made under it before then");
}

std::int64_t newest_signature_time(ReadTransaction& state, const crypto::PublicKey& service_key)
{
  const auto record = state.get(ledger::signatures_table, ledger::single_key);
  const auto cose = state.get(ledger::cose_signatures_table, ledger::single_key);
  const auto signature = ledger::SignatureRecord::from_json(record.value_or(""));
  const auto text = parse_json(cose.value_or(""));
  if (!signature || !text || !text->is_string())
    return 0;
  const auto message = base::from_base64(std::string(text->get_string()));
  const auto claims = message ? crypto::cose_verify_root(*message, service_key, signature->root)
                              : fail(ErrorCode::invalid, "the signature is not in base64");
  return claims ? claims->issued_at : 0;
}

std::vector<std::string> time_warnings(
    const crypto::Certificate& service, const crypto::Certificate& node, std::int64_t newest_signature,
    std::int64_t unix_seconds)
{
  std::vector<std::string> warnings;
  const auto now = time_text(unix_seconds);
  if (unix_seconds + may_go_back < newest_signature)
    warnings.push_back(
        "this machine's clock says " + now + ", but the ledger was last signed at " + time_text(newest_signature) +
        ": one of the two clocks was wrong. Set the clock; what is signed now will bear the wrong time");
  for (const auto& [name, certificate] : {std::pair{"service's", &service}, std::pair{"node's", &node}})
    if (unix_seconds < certificate->not_before())
      warnings.push_back(
          "this machine's clock says " + now + ", but the " + name + " certificate is valid from " +
          time_text(certificate->not_before()) + " only: clients with a right clock will not believe it");
    else if (unix_seconds > certificate->not_after())
      warnings.push_back(
          "the " + std::string(name) + " certificate was valid until " + time_text(certificate->not_after()) +
          ", and this machine's clock says " + now + ": clients will refuse it. If the clock is wrong, set it");
  return warnings;
}

Result<InitialCertificates> make_certificates(
    const Configuration& configuration, const Identity& identity, const std::map<std::string, std::string>& addresses,
    std::int64_t unix_seconds)
{
  if (auto right = check_clock(unix_seconds); !right)
    return std::unexpected(right.error());
  crypto::CertificateRequest service_request;
  service_request.subject = configuration.service_subject;
  service_request.valid_from = unix_seconds - begins_before;
  service_request.validity_days = configuration.service_validity_days;
  service_request.is_ca = true;
  auto service = crypto::self_signed(identity.service_key, service_request);
  if (!service)
    return fail("'command.start' does not make a service certificate", service.error());

  crypto::CertificateRequest node_request;
  node_request.subject = configuration.node_subject;
  node_request.valid_from = unix_seconds - begins_before;
  node_request.validity_days = configuration.node_validity_days;
  node_request.subject_alt_names = alternative_names(configuration, addresses);
  auto node = crypto::issue(identity.node_key.public_key(), node_request, identity.service_key, *service);
  if (!node)
    return fail("'node_certificate' does not make a certificate", node.error());
  auto self_signed = crypto::self_signed(identity.node_key, node_request);
  if (!self_signed)
    return fail("cannot make the node's self-signed certificate", self_signed.error());
  return InitialCertificates{std::move(*service), std::move(*node), std::move(*self_signed)};
}
}
