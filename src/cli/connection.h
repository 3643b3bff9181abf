#pragma once

#include "cli/failure.h"
#include "concordat/http.h"
#include "crypto/certificate.h"
#include "http/client.h"

#include <memory>
#include <string>
#include <vector>

namespace CLI
{
class App;
}

namespace concordat::cli
{
/// How a command reaches the service, and as whom.
struct ConnectionOptions
{
  /// Of nodes, in the order in which they are tried.
  std::vector<std::string> urls = {"https://127.0.0.1:8000"};
  std::string workspace = "./workspace";
  std::string as;                  ///< member0, user0, …: names a certificate and key in the workspace
  std::string certificate;         ///< file; instead of `as`
  std::string key;                 ///< file; instead of `as`
  std::string service_certificate; ///< file; the workspace's if empty
};

/// Adds the options that all commands share which talk to a service, with their environment variables.
void add_connection_options(CLI::App& command, ConnectionOptions& options);

/// Adds --workspace and --service-cert only.
void add_service_certificate_options(CLI::App& command, ConnectionOptions& options);

/// Where the command line does not say who calls, takes CONCORDAT_CERT and CONCORDAT_KEY, or CONCORDAT_AS: what is
/// written on the command line must win as a whole.
void read_caller_from_environment(ConnectionOptions& options);

/// Files that the options name; a certificate given by name wins over `as`.
std::string certificate_file(const ConnectionOptions& options);
std::string key_file(const ConnectionOptions& options);
std::string service_certificate_file(const ConnectionOptions& options);

/// A file that the user named, or a failure that says for what it was needed.
Attempt<std::string> read_file(const std::string& path, const std::string& what);

/// The one that the options name, parsed.
Attempt<crypto::Certificate> read_service_certificate(const ConnectionOptions& options);

struct Connection
{
  std::unique_ptr<http::Client> client;
  std::string url;    ///< of the node that was named first
  std::string caller; ///< hex SHA-256 of the certificate file; empty without one
};

enum class Identity
{
  none,   ///< anybody may ask
  needed, ///< the service must know the caller
};

/// Reads the files and makes the client; connects at the first request.
Attempt<Connection> connect(ConnectionOptions options, Identity identity);

/// Sends a request; a failure to get an answer becomes Exit::unreachable, with what to check.
Attempt<Response> request(
    Connection& connection, const std::string& method, const std::string& target, const Headers& headers = {},
    std::string_view body = {});

/// What went wrong on the way to or from the service.
Failure unreachable(const Connection& connection, const Error& error);

/// What the service's error answer says, in either of its two forms.
struct ServiceError
{
  std::string type;
  std::string message;
};
ServiceError read_error(const Response& response);

/// The failure of a command whose request the service refused.
Failure refused(const Response& response);
}
