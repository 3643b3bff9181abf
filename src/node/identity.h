#pragma once

#include "attestation/sealed_file.h"
#include "base/files.h"
#include "concordat/error.h"
#include "consensus/durable_state.h"
#include "crypto/hash.h"
#include "crypto/keys.h"
#include "ledger/secrets.h"

#include <memory>
#include <optional>
#include <string>

namespace concordat::node
{
/// What a node has before it knows anything of a service: made before it first asks to join, so that it is the same
/// node when it asks again.
struct NodeKeys
{
  crypto::KeyPair node_key;
  std::string encryption_private_key_pem;
  std::string encryption_public_key_pem;

  static NodeKeys generate(crypto::Curve curve);
};

/// What a service that was joined signs its ledger as; the node that created it has that in its configuration.
struct JoinedService
{
  std::string cose_issuer;
  std::string cose_subject;

  bool operator==(const JoinedService&) const = default;
};

/// The secrets of one node: who it is, who the service is, and what the ledger is encrypted with.
struct Identity
{
  crypto::KeyPair node_key;
  crypto::KeyPair service_key;
  std::string encryption_private_key_pem;
  std::string encryption_public_key_pem;
  std::shared_ptr<ledger::LedgerSecrets> ledger_secrets; ///< never null
  /// The creation transaction was committed: a ledger without it has been lost, and must not be begun anew under the
  /// same secrets.
  bool service_created = false;
  std::optional<JoinedService> joined = {}; ///< this node has not created the service, but joined it

  static Identity generate(crypto::Curve curve);

  /// SHA-256 of the node's public key, which evidence binds to the code.
  Digest key_digest() const
  {
    return crypto::sha256(node_key.public_key().der());
  }
  std::string node_id() const
  {
    return node_key.public_key().id();
  }
};

/// Keeps an identity, and the state of consensus, sealed on the disk of the node.
class SealedState : public consensus::DurableStateFile
{
public:
  SealedState(base::FileSystem& files, attestation::SealedFiles& sealed, base::Path directory);

  bool has_identity() const;
  Result<void> save_identity(const Identity& identity);
  Result<Identity> load_identity() const;

  /// Of a node that has asked to join a service and has no identity yet.
  bool has_keys() const;
  Result<void> save_keys(const NodeKeys& keys);
  Result<NodeKeys> load_keys() const;
  /// Once they are part of an identity. Nothing if there are none.
  Result<void> remove_keys();

  Result<void> save(const consensus::DurableState& state) override;
  /// The state of a fresh node if none was saved.
  Result<consensus::DurableState> load() const;

private:
  base::FileSystem& files_;
  attestation::SealedFiles& sealed_;
  base::Path directory_;
};
}
