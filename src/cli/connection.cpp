#include "cli/connection.h"

#include "base/encoding.h"
#include "base/files.h"
#include "cli/console.h"
#include "cli/failover_client.h"
#include "cli/whole_file.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "crypto/keys.h"

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>

#include <cstdlib>

namespace concordat::cli
{
namespace
{
constexpr std::uint64_t max_pem_size = 1 << 20;

std::string in_common(const ConnectionOptions& options, const std::string& name)
{
  return base::join(base::join(options.workspace, "common"), name);
}

std::string text_of(const boost::json::object& object, std::string_view key)
{
  const auto* const value = object.if_contains(boost::json::string_view(key.data(), key.size()));
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::unexpected<Failure> half_an_identity(const ConnectionOptions& options)
{
  const bool has_key = options.certificate.empty();
  return refuse(
      Exit::usage,
      has_key ? "a private key is given (" + options.key + "), but no certificate that it belongs to"
              : "a certificate is given (" + options.certificate + "), but not its private key",
      "give both, as --cert and --key or as CONCORDAT_CERT and CONCORDAT_KEY; or neither, and --as");
}

/// The two files are what they are said to be, and belong together.
Outcome check_identity(const ConnectionOptions& options, std::string_view certificate_pem, std::string_view key_pem)
{
  const auto certificate = crypto::Certificate::from_pem(certificate_pem);
  if (!certificate)
    return refuse(
        Exit::usage, certificate_file(options) + " is not a certificate: " + certificate.error().describe(),
        "check --cert, CONCORDAT_CERT or --as");
  const auto key = crypto::KeyPair::from_pem(key_pem);
  if (!key)
    return refuse(
        Exit::usage, key_file(options) + " is not a private key: " + key.error().describe(),
        "check --key, CONCORDAT_KEY or --as");
  if (key->public_key().der() != certificate->public_key().der())
    return refuse(
        Exit::usage,
        "the private key " + key_file(options) + " is not that of the certificate " + certificate_file(options),
        "give the two files of one caller");
  return {};
}
}

void add_service_certificate_options(CLI::App& command, ConnectionOptions& options)
{
  command
      .add_option(
          "--workspace", options.workspace, "Directory whose common/ holds the service's and callers' certificates")
      ->envname("CONCORDAT_WORKSPACE")
      ->capture_default_str();
  command.add_option("--service-cert", options.service_certificate, "Certificate of the service (PEM file)")
      ->envname("CONCORDAT_SERVICE_CERT");
}

void add_connection_options(CLI::App& command, ConnectionOptions& options)
{
  command
      .add_option(
          "--url", options.urls,
          "Address of a node; several, each with --url, are tried in turn. Others are found through it")
      ->envname("CONCORDAT_URL")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  add_service_certificate_options(command, options);
  command.add_option("--as", options.as, "Who calls: member0, user0, … of the workspace (Env:CONCORDAT_AS)");
  auto* const certificate =
      command.add_option("--cert", options.certificate, "Certificate of the caller (PEM file; Env:CONCORDAT_CERT)");
  auto* const key = command.add_option("--key", options.key, "Private key of the caller (PEM file; Env:CONCORDAT_KEY)");
  certificate->needs(key);
  key->needs(certificate);
}

void read_caller_from_environment(ConnectionOptions& options)
{
  if (!options.as.empty() || !options.certificate.empty() || !options.key.empty())
    return;
  const auto variable = [](const char* name)
  {
    const char* const value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  options.as = variable("CONCORDAT_AS");
  options.certificate = variable("CONCORDAT_CERT");
  options.key = variable("CONCORDAT_KEY");
}

std::string certificate_file(const ConnectionOptions& options)
{
  return options.certificate.empty() && !options.as.empty() ? in_common(options, options.as + "_cert.pem")
                                                            : options.certificate;
}

std::string key_file(const ConnectionOptions& options)
{
  return options.key.empty() && !options.as.empty() ? in_common(options, options.as + "_privk.pem") : options.key;
}

std::string service_certificate_file(const ConnectionOptions& options)
{
  return options.service_certificate.empty() ? in_common(options, "service_cert.pem") : options.service_certificate;
}

Attempt<std::string> read_file(const std::string& path, const std::string& what)
{
  auto content = read_whole(path, max_pem_size);
  if (!content)
    return refuse(
        Exit::failed, "cannot read " + what + ": " + content.error().describe(),
        "check the path; --workspace, --as, --cert, --key and --service-cert choose the files");
  return std::move(*content);
}

Attempt<crypto::Certificate> read_service_certificate(const ConnectionOptions& options)
{
  const auto file = service_certificate_file(options);
  const auto pem = read_file(file, "the service's certificate");
  if (!pem)
    return std::unexpected(pem.error());
  auto certificate = crypto::Certificate::from_pem(*pem);
  if (!certificate)
    return refuse(Exit::failed, file + " is not a certificate: " + certificate.error().describe());
  return std::move(*certificate);
}

Attempt<Connection> connect(ConnectionOptions options, Identity identity)
{
  read_caller_from_environment(options);
  http::ClientOptions client_options;
  client_options.url = options.urls.front();
  auto service = read_file(service_certificate_file(options), "the service's certificate");
  if (!service)
    return std::unexpected(service.error());
  client_options.service_certificate_pem = std::move(*service);

  Connection connection;
  connection.url = options.urls.front();
  if (identity == Identity::needed)
  {
    if (options.certificate.empty() != options.key.empty())
      return half_an_identity(options);
    if (certificate_file(options).empty())
      return refuse(Exit::usage, "it is not said who calls", "give --as member0 (or user0, …), or --cert and --key");
    auto certificate = read_file(certificate_file(options), "your certificate");
    if (!certificate)
      return std::unexpected(certificate.error());
    auto key = read_file(key_file(options), "your private key");
    if (!key)
      return std::unexpected(key.error());
    if (auto fits = check_identity(options, *certificate, *key); !fits)
      return std::unexpected(fits.error());
    connection.caller = base::to_hex(base::as_view(crypto::sha256(*certificate)));
    client_options.certificate_pem = std::move(*certificate);
    client_options.private_key_pem = std::move(*key);
  }
  // All, so that a mistake in the second is not found when the first is gone.
  std::unique_ptr<http::Client> first;
  for (const auto& url : options.urls)
  {
    client_options.url = url;
    auto client = http::Client::create(client_options);
    if (!client)
    {
      const bool wrong_input = client.error().code == ErrorCode::invalid;
      return refuse(
          wrong_input ? Exit::usage : Exit::failed, client.error().describe(),
          "check --url (https://host:port) and the certificates (--as, --cert, --key, --service-cert)");
    }
    if (!first)
      first = std::move(*client);
  }
  connection.client = std::make_unique<FailoverClient>(
      options.urls, std::move(first),
      [client_options](const std::string& url)
      {
        auto other = client_options;
        other.url = url;
        return http::Client::create(std::move(other));
      });
  return connection;
}

Failure unreachable(const Connection& connection, const Error& error)
{
  return {
      Exit::unreachable, "no answer from " + printable(connection.url) + ": " + printable(error.describe()),
      "check that the node runs, that --url is its address, and that the service certificate is that of its service"};
}

Attempt<Response> request(
    Connection& connection, const std::string& method, const std::string& target, const Headers& headers,
    std::string_view body)
{
  auto response = connection.client->send(method, target, headers, body);
  if (!response)
    return std::unexpected(unreachable(connection, response.error()));
  return std::move(*response);
}

ServiceError read_error(const Response& response)
{
  boost::system::error_code code;
  const auto body = boost::json::parse(response.body, code);
  if (!code && body.is_object())
  {
    const auto* const error = body.get_object().if_contains("error");
    if (error != nullptr && error->is_object())
    {
      const auto& object = error->get_object();
      if (object.contains("errorType"))
        return {text_of(object, "errorType"), text_of(object, "errorMessage")};
      return {text_of(object, "code"), text_of(object, "message")};
    }
  }
  return {"", response.body.substr(0, 200)};
}

Failure refused(const Response& response)
{
  const auto error = read_error(response);
  std::string cause = "the service refused the request (" + std::to_string(response.status) +
                      (error.type.empty() ? "" : " " + printable(error.type)) + ")";
  if (!error.message.empty())
    cause += ": " + printable(error.message);

  std::string next;
  if (response.status == 401)
    next = "use the certificate of a member or user that the service knows (--as, or --cert and --key)";
  else if (response.status == 503 || response.status == 504)
    next = "try again in a few seconds";
  else if (error.type == "FrontendNotOpen")
    next = "members must open the service first";
  else if (response.status == 307 || response.status == 308)
  {
    const auto location = find_header(response.headers, "location");
    next = "ask that node instead: --url " + shell_quoted(printable(location.value_or("?")));
  }
  return {Exit::failed, std::move(cause), std::move(next)};
}
}
