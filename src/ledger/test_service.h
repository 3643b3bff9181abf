#pragma once

#include "crypto/certificate.h"
#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"
#include "ledger/secret.h"

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
};

crypto::Certificate test_ca(const crypto::KeyPair& key, const std::string& subject);
crypto::Certificate test_issue(
    const crypto::KeyPair& key, const std::string& subject, const crypto::KeyPair& issuer_key,
    const crypto::Certificate& issuer, bool is_ca = false);
}
