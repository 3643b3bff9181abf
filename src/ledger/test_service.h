#pragma once

#include "crypto/certificate.h"
#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"
#include "ledger/secret.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::ledger
{
/// A service of one node, for tests: makes the ledger that such a service would write, with keys of its own.
class TestService
{
public:
  TestService();

  /// The transaction that creates the service.
  void create();
  const EncodedEntry& write(const kv::WriteSet& writes, std::uint8_t flags = 0, const Digest& claims = {});
  /// A transaction that writes one key to a public and a private map.
  const EncodedEntry& write_something();
  const EncodedEntry& sign(std::uint8_t flags = 0);
  /// What the next transaction would write if it were a signature.
  kv::WriteSet signature() const;
  /// What a transaction would write that sets the service's status.
  kv::WriteSet service_info(const std::string& status) const;

  /// A disaster recovery: new keys for service and node, a view two further on, and the transaction that begins it.
  /// @pre the last transaction is a signature
  void recover();
  /// The transaction that ends a recovery or opens a fresh service: it endorses the service before this one, or itself.
  void open();

  TxId next() const
  {
    return {view, tree.size()};
  }
  std::string_view entry(Seqno seqno) const
  {
    return entries[seqno - 1].bytes;
  }
  /// The bytes of a chunk file with the given entries.
  std::string chunk(Seqno first, Seqno last, bool complete) const;

  crypto::KeyPair service_key;
  crypto::Certificate service_cert;
  crypto::KeyPair node_key;
  crypto::Certificate node_cert;
  LedgerSecret secret;
  MerkleTree tree;
  View view = 2;
  std::vector<EncodedEntry> entries;
  std::vector<std::string> endorsing_keys; ///< DER, one for each endorsement written
};

/// The value of the table previous_service_identity_endorsement.
std::string test_endorsement(const crypto::KeyPair& by, const std::string& endorsed_key_der);
/// Changes a field of the signatures table; nothing removes it.
void set_in_signature(kv::WriteSet& writes, const std::string& field, const std::optional<std::string>& value);

crypto::Certificate test_ca(const crypto::KeyPair& key, const std::string& subject);
crypto::Certificate test_issue(
    const crypto::KeyPair& key, const std::string& subject, const crypto::KeyPair& issuer_key,
    const crypto::Certificate& issuer, bool is_ca = false);
}
