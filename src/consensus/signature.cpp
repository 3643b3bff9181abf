#include "consensus/signature.h"

#include "base/encoding.h"
#include "crypto/cose.h"
#include "ledger/entry.h"

#include <boost/json.hpp>

namespace concordat::consensus
{
kv::WriteSet
signature_writes(const Signer& signer, TxId txid, const Digest& root, std::string tree, std::int64_t unix_seconds)
{
  const auto cose =
      crypto::cose_sign_root(signer.service_key, root, {unix_seconds, signer.cose_issuer, signer.cose_subject, txid});
  const boost::json::object signature{
      {"cert", signer.node_certificate_pem},
      {"commit_seqno", 0},
      {"commit_view", 0},
      {"hashed_nonce", std::string(64, '0')},
      {"node", signer.node_id},
      {"root", base::to_hex(base::as_view(root))},
      {"seqno", txid.seqno},
      {"sig", base::to_base64(signer.node_key.sign_digest(root))},
      {"view", txid.view}};
  const std::string key(ledger::single_key);
  kv::WriteSet writes;
  writes[std::string(ledger::cose_signatures_table)][key] = "\"" + base::to_base64(cose) + "\"";
  writes[std::string(ledger::signatures_table)][key] = boost::json::serialize(signature);
  writes[std::string(ledger::tree_table)][key] = std::move(tree);
  return writes;
}
}
