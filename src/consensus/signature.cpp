#include "consensus/signature.h"

#include "base/encoding.h"
#include "crypto/certificate.h"
#include "crypto/cose.h"
#include "ledger/entry.h"
#include "ledger/signature.h"

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

Result<void> verify_signature(TxId txid, const kv::WriteSet& writes, const crypto::PublicKey& service_key)
{
  const auto read = ledger::read_signature(writes);
  if (!read)
    return std::unexpected(read.error());
  const auto wrong = [](std::string what) { return fail(ErrorCode::corrupt, std::move(what)); };
  if (!read->record)
    return wrong("no node has signed");
  const auto& record = *read->record;
  if (record.txid != txid)
    return wrong("it says that it is " + record.txid.to_string());
  const auto certificate = crypto::Certificate::from_pem(record.cert);
  if (!certificate)
    return fail("the certificate of the node that signed", certificate.error());
  if (!certificate->signed_by(service_key))
    return wrong("this service has not endorsed the certificate of the node that signed");
  const auto& node_key = certificate->public_key();
  if (node_key.id() != record.node || !node_key.curve() || !node_key.verify_digest(record.root, record.signature))
    return wrong("the node's signature does not verify");
  if (!read->cose)
    return wrong("the service has not signed");
  const auto claims = crypto::cose_verify_root(*read->cose, service_key, record.root);
  if (!claims)
    return fail("the service's signature", claims.error());
  if (claims->txid != txid)
    return wrong("the service signed this root for " + claims->txid.to_string());
  return {};
}
}
