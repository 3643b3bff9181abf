#pragma once

#include "crypto/aead.h"
#include "crypto/hash.h"

#include <string>
#include <string_view>

namespace concordat::ledger
{
/// The key of the private part of the ledger: 32 bytes used directly with AES-256-GCM, and the source of commit
/// evidence (ledger-format.md §3, §5, §10.1). Any thread may call.
class LedgerSecret
{
public:
  static constexpr std::size_t size = 32; ///< bytes of it

  static LedgerSecret generate();
  /// @param raw 32 bytes; CHECKed
  explicit LedgerSecret(std::string raw);
  LedgerSecret(const LedgerSecret&) = default;
  LedgerSecret(LedgerSecret&&) = default;
  LedgerSecret& operator=(const LedgerSecret&) = default;
  LedgerSecret& operator=(LedgerSecret&&) = default;
  ~LedgerSecret(); ///< overwrites the raw bytes

  const std::string& raw() const
  {
    return raw_;
  }
  const crypto::Aead& aead() const
  {
    return aead_;
  }
  /// `ce:<view>.<seqno>:<hex nonce>`, known only to holders of the secret until a receipt discloses it.
  std::string commit_evidence(TxId txid) const;

private:
  std::string raw_;
  crypto::Aead aead_;
  crypto::HmacSha256 commit_nonce_;
};
}
