#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "crypto/certificate.h"
#include "kv/write_set.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::ledger
{
/// A service that a ledger names: a key, from the transaction that brings it.
struct NamedService
{
  TxId from;
  crypto::Certificate cert;
  /// Where the service after it, with its own key, signed that this one came before it.
  std::optional<TxId> endorsed_at;
};

/// A node as the ledger has it.
struct NamedNode
{
  std::string status;
  std::string cert; ///< PEM of the endorsed certificate, or the one in records of 1.x; may be empty
};

/// What a ledger has said so far about its nodes and its service, and the rules for saying it. All of it is only
/// claimed, until a signature covers the transactions that said it. Used by one thread.
class ServiceTables
{
public:
  /// What a good transaction may leave unsaid only because an older program wrote it.
  using Oddities = std::vector<std::string>;

  /// Whether a transaction may say what it says, after what was said before.
  Result<void> check(const kv::WriteSet& writes, Oddities& oddities) const;
  /// Whatever was found wrong, later transactions are judged by what this one wrote, as a node that replays it would.
  void remember(TxId txid, const kv::WriteSet& writes);
  /// A signature over this root was good: a recovery names the last such root.
  void remember_signed_root(const Digest& root)
  {
    last_signed_root_ = root;
  }

  std::optional<NamedNode> node(std::string_view id) const;
  /// Nothing if there is none, or what was said last cannot be read.
  const std::optional<crypto::Certificate>& service() const
  {
    return service_;
  }
  /// One of the known ones, "unknown", or empty before any was said.
  const std::string& status() const
  {
    return status_;
  }
  /// One after the other, each with another key than the one before.
  const std::vector<NamedService>& services() const
  {
    return services_;
  }

private:
  Result<void> check_nodes(const kv::WriteSet& writes) const;
  Result<void> check_service(const kv::WriteSet& writes, Oddities& oddities) const;
  Result<void> check_succession(const kv::WriteSet& writes, std::string_view status, Oddities& oddities) const;
  Result<void> check_endorsement(const kv::WriteSet& writes) const;

  std::map<std::string, std::string, std::less<>> node_status_;
  std::map<std::string, std::string, std::less<>> old_node_certs_; ///< out of nodes.info
  std::map<std::string, std::string, std::less<>> node_certs_;     ///< out of nodes.endorsed_certificates
  std::string status_;
  std::optional<crypto::Certificate> service_;
  std::vector<NamedService> services_;
  std::string last_endorsing_key_; ///< DER, of the newest endorsement
  std::optional<Digest> last_signed_root_;
};

/// The status of the service that a transaction writes; nothing if it writes none, or one that cannot be read.
std::optional<std::string> service_status_in(const kv::WriteSet& writes);
}
