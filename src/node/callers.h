#pragma once

#include "base/mutex.h"
#include "concordat/application.h"
#include "concordat/transaction.h"
#include "http/server.h"
#include "kv/store.h"

#include <boost/json/value.hpp>

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace concordat::node
{
/// The name of a policy as answers and API descriptions have it.
std::string_view policy_name(AuthPolicy policy);

/// Who is at the other end of a connection, as their certificate says, and what was found out about them so far: most
/// requests of a connection are alike. Any thread may call.
class Client
{
public:
  /// @param certificate_der what they showed in the handshake: any bytes, none if they showed none
  explicit Client(std::string_view certificate_der);

  /// Tries policies in order (http-api.md §3.2) against what a transaction sees, which becomes part of what it read.
  /// @param details filled with one detail per policy when none passes
  /// @return nothing if none passes
  std::optional<Caller> authenticate(
      const std::vector<AuthPolicy>& policies, ReadTransaction& state, std::int64_t unix_seconds,
      boost::json::array& details) EXCLUDES(mutex_);

  /// The same against committed state. The answer is remembered for as long as everything that it depends on is the
  /// same: the policies, the tables that they read, and whether the certificate is valid now.
  std::optional<Caller> authenticate(
      const std::vector<AuthPolicy>& policies, const kv::Snapshot& committed, std::int64_t unix_seconds,
      boost::json::array& details) EXCLUDES(mutex_);

private:
  struct Login
  {
    TxId as_of; ///< what was committed then
    std::vector<AuthPolicy> policies;
    std::vector<Seqno> versions; ///< of the tables that those policies read
    bool certificate_valid = false;
    Caller caller;
  };
  struct Record
  {
    AuthPolicy policy = AuthPolicy::no_auth;
    std::string text;
    boost::json::value data;
  };

  std::expected<Caller, std::string_view> attempt(AuthPolicy policy, ReadTransaction& state, std::int64_t unix_seconds)
      REQUIRES(mutex_);
  Caller with_data(AuthPolicy policy, ReadTransaction& state, std::string_view table, std::string_view name)
      REQUIRES(mutex_);
  bool valid_at(std::int64_t unix_seconds) const;

  bool given_ = false;    ///< a certificate was shown
  bool readable_ = false; ///< and could be parsed
  std::string id_;
  std::string key_id_;
  std::int64_t not_before_ = 0;
  std::int64_t not_after_ = 0;

  base::Mutex mutex_;
  /// The last that passed against committed state, where a version stands for one content for ever: what is not
  /// committed may be thrown away, and its seqnos are then used again.
  std::optional<Login> login_ GUARDED_BY(mutex_);
  Record record_ GUARDED_BY(mutex_); ///< parsed last; known again by its text
};

/// Whether the tables know the owner of a certificate as a member, a user or a node, valid or not. Any thread may call.
/// @param certificate_der  any bytes
bool is_known_caller(std::string_view certificate_der, const kv::Snapshot& committed);

/// What the tables say of a member or a user; nothing if they know none of that id.
std::optional<Party> find_member(ReadTransaction& state, std::string_view id);
std::optional<Party> find_user(ReadTransaction& state, std::string_view id);

/// The client of a connection, made at its first request. To be called where the session may be touched, on the
/// connection's thread.
std::shared_ptr<Client> client_of(http::Session& session);
}
