#pragma once

#include "concordat/error.h"
#include "concordat/http.h"
#include "concordat/transaction.h"

#include <boost/json/value.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace concordat
{
/// Who may call an endpoint (http-api.md §3.1). Policies are tried in order, the first that passes wins.
enum class AuthPolicy
{
  no_auth,
  user_cert,
  member_cert,
  any_cert,
  node_cert,
};

/// Who called, once a policy has passed.
struct Caller
{
  AuthPolicy policy = AuthPolicy::no_auth;
  std::string
      id; ///< hex SHA-256 of the certificate's DER; of the public key for a node; empty for no_auth and any_cert
  boost::json::value data; ///< member_data or user_data, null if there is none
};

/// A member or a user as the service knows them.
struct Party
{
  std::string certificate_pem;
  boost::json::value data; ///< member_data or user_data, null if there is none
};

/// How an endpoint uses the store.
enum class Mode
{
  command,    ///< touches no map
  read_only,  ///< reads committed state
  read_write, ///< runs in a transaction that commits if the answer is 2xx; may run more than once
};

/// Which thread runs a handler. What takes longer than some tenths of a millisecond belongs on the pool: a thread that
/// serves connections makes all of them wait meanwhile. Requests with large bodies go to the pool whatever is said
/// here.
enum class Place
{
  pool,      ///< behind a bounded queue in which callers take turns; the caller is told when it takes too long
  io_thread, ///< at once, on the thread of the connection
};

/// Where a request goes that reaches a backup (http-api.md §2.6).
enum class Forwarding
{
  never,
  sometimes,
  always,
};

/// What a handler works with; lives as long as the call.
class Context
{
public:
  virtual ~Context() = default;
  virtual const Request& request() const = 0;
  virtual const Caller& caller() const = 0;
  /// The undecoded text that `{name}` of the endpoint's path matched.
  virtual std::string_view path_parameter(std::string_view name) const = 0;
  /// What the handler reads: committed state (read_only), or the running transaction (read_write).
  /// A stream of the response may keep the pointer and read on after the handler has returned (read_only).
  virtual std::shared_ptr<ReadTransaction> state() = 0;
  /// The running transaction; only in read_write endpoints.
  virtual Transaction& transaction() = 0;

  // Members and users of the service, as of that state or transaction. What was asked counts as read: if it has
  // changed when the transaction is ordered, the handler runs again. Not in command endpoints.
  virtual bool is_member(std::string_view id) = 0;
  /// @return nothing if there is no such member
  virtual std::optional<Party> member(std::string_view id) = 0;
  /// @return nothing if there is no such user
  virtual std::optional<Party> user(std::string_view id) = 0;

  /// What `make` gives, made once for a request however often its handler runs: a handler that is run again after a
  /// conflict need not parse the body again. All calls of one handler must ask for the same type.
  template <typename T, typename Make> const T& once(Make&& make)
  {
    auto& place = kept();
    if (!place)
      place = std::make_shared<const T>(std::forward<Make>(make)());
    return *static_cast<const T*>(place.get());
  }

protected:
  /// Empty when the first run of the handler begins; lives as long as the request.
  virtual std::shared_ptr<const void>& kept() = 0;
};

using Handler = std::function<Response(Context&)>;

/// One endpoint of a frontend.
struct Endpoint
{
  std::string method;
  std::string path; ///< without the frontend's prefix; `{name}` matches one or more characters other than '/'
  Mode mode = Mode::read_only;
  std::vector<AuthPolicy> policies;
  Handler handler;
  boost::json::object openapi;          ///< an OpenAPI 3.0 operation object; completed with operationId and defaults
  bool hidden = false;                  ///< left out of the API description
  std::optional<Forwarding> forwarding; ///< always for read_write, sometimes otherwise, unless given
  /// Told every answer of the endpoint, also those to callers that no policy let in.
  std::function<void(const Response&)> observer = {};
  Place place = Place::pool;
};

/// Component schemas and title of an API description.
struct ApiInfo
{
  std::string title;
  std::string description;
  std::string version;
  boost::json::object schemas;
};

/// An entry of a governed map.
struct GovernedWrite
{
  std::string map; ///< `public:ccf.gov.<application>.…`, where `<application>` is no word that the framework uses there
  std::string key;
  std::string value;
};

/// What runs under `/app`. Handlers are called from several threads at once.
class Application
{
public:
  virtual ~Application() = default;
  virtual ApiInfo info() const = 0;
  virtual std::vector<Endpoint> endpoints() = 0;

  /// What is agreed on when a service is created: written in its first transaction, and from then on changed by
  /// proposals alone. An application reads its settings there, never from the node's configuration.
  virtual std::vector<GovernedWrite> governed_at_genesis() const
  {
    return {};
  }
  /// Looks at the service that the node has come back to.
  /// @return warnings for the operator, such as what their configuration says without effect
  virtual std::vector<std::string> look_at_service(ReadTransaction&) const
  {
    return {};
  }
};

/// Defined by the application that is linked into the node.
/// @param configuration the `application` object of the node's configuration; an empty object if absent
/// @return Error::invalid naming the path of the wrong key
Result<std::unique_ptr<Application>> make_application(const boost::json::object& configuration);
}
