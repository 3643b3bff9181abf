#include "ledger/receipt.h"

#include "base/encoding.h"
#include "crypto/cose.h"
#include "crypto/hash.h"
#include "ledger/json_text.h"
#include "ledger/signature.h"

namespace concordat::ledger
{
namespace json = boost::json;

namespace
{
// Far above what a service produces; a receipt comes from anywhere.
constexpr std::size_t max_receipt = std::size_t{1} << 20;
constexpr std::size_t max_proof = 64; ///< seqnos have 63 bits
constexpr std::size_t max_endorsements = 32;
constexpr std::size_t max_signature = 1024;
constexpr std::size_t max_evidence = 1024;
constexpr std::size_t max_cose = 16384;

std::string hex(const Digest& digest)
{
  return base::to_hex(base::as_view(digest));
}

/// Says that a receipt was not understood, whatever the code below was.
std::unexpected<Error> not_understood(std::string what, const Error& cause)
{
  return std::unexpected(Error{ErrorCode::invalid, std::move(what), std::make_shared<const Error>(cause)});
}

std::unexpected<Error> not_understood(std::string what)
{
  return fail(ErrorCode::invalid, "the receipt: " + std::move(what));
}

Result<Proof> read_proof(const json::object& object)
{
  const auto* const value = object.if_contains("proof");
  const auto* const steps = value ? value->if_array() : nullptr;
  if (!steps || steps->size() > max_proof)
    return not_understood("field 'proof' is not an array of at most " + std::to_string(max_proof) + " steps");
  Proof proof;
  for (const auto& step : *steps)
  {
    const auto* const members = step.if_object();
    const bool left = members && members->contains("left");
    if (!members || members->size() != 1 || (!left && !members->contains("right")))
      return not_understood("a step of 'proof' is not an object with exactly one of 'left' and 'right'");
    FieldReader fields(*members);
    proof.push_back({left, fields.digest(left ? "left" : "right")});
    if (auto good = fields.result(); !good)
      return not_understood("the receipt: a step of 'proof'", good.error());
  }
  return proof;
}

Result<Receipt::Components> read_components(const json::value& value)
{
  const auto* const members = value.if_object();
  if (!members)
    return not_understood("field 'leaf_components' is not an object");
  FieldReader fields(*members);
  Receipt::Components components{
      fields.digest("write_set_digest"), fields.text("commit_evidence", max_evidence), std::nullopt};
  if (fields.has("claims_digest"))
    components.claims_digest = fields.digest("claims_digest");
  if (auto good = fields.result(); !good)
    return not_understood("the receipt: field 'leaf_components'", good.error());
  return components;
}

Result<std::vector<std::string>> read_endorsements(const json::object& object)
{
  std::vector<std::string> endorsements;
  const auto* const value = object.if_contains("service_endorsements");
  if (!value)
    return endorsements;
  const auto* const list = value->if_array();
  if (!list || list->size() > max_endorsements)
    return not_understood(
        "field 'service_endorsements' is not an array of at most " + std::to_string(max_endorsements) +
        " certificates");
  for (const auto& pem : *list)
  {
    if (!pem.is_string() || pem.get_string().size() > max_cert)
      return not_understood("field 'service_endorsements' holds something that is not a certificate");
    endorsements.emplace_back(pem.get_string());
  }
  return endorsements;
}

/// `ce:<view>.<seqno>:<64 lower-case hex digits>`.
std::optional<TxId> named_by(std::string_view evidence)
{
  constexpr std::size_t nonce_size = 64;
  if (!evidence.starts_with("ce:") || evidence.size() < 4 + nonce_size)
    return std::nullopt;
  const auto nonce = evidence.substr(evidence.size() - nonce_size);
  const auto txid = evidence.substr(3, evidence.size() - 4 - nonce_size);
  if (evidence[evidence.size() - nonce_size - 1] != ':' ||
      nonce.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    return std::nullopt;
  return TxId::parse(txid);
}

std::unexpected<Error> failed(std::string_view step, std::string_view why)
{
  return fail(ErrorCode::corrupt, "the receipt does not verify at the " + std::string(step) + ": " + std::string(why));
}

/// The services between the node and the one given: who issued the node's certificate first, the one given last.
Result<std::vector<crypto::Certificate>>
read_chain(const std::vector<std::string>& pems, const crypto::Certificate& service)
{
  std::vector<crypto::Certificate> chain;
  for (std::size_t i = 0; i < pems.size(); ++i)
  {
    auto endorsed = crypto::Certificate::from_pem(pems[i]);
    if (!endorsed)
      return failed("endorsement", "service endorsement " + std::to_string(i) + " is not a certificate");
    chain.push_back(std::move(*endorsed));
  }
  chain.push_back(service);
  for (const auto& issuer : chain)
    if (!issuer.public_key().curve() || !issuer.is_ca())
      return failed("endorsement", "a certificate in the chain is not that of a service: it may not issue others");
  return chain;
}

/// `cert` issued by the first endorsement, each by the next, the last by the service.
Result<void> verify_chain(crypto::Certificate issued, const std::vector<crypto::Certificate>& chain)
{
  for (std::size_t i = 0; i < chain.size(); ++i)
  {
    if (!issued.signed_by(chain[i]))
      return failed(
          "endorsement", i + 1 == chain.size()
                             ? "the chain of certificates does not end at the service certificate given"
                             : "service endorsement " + std::to_string(i) + " did not issue the certificate before it");
    issued = chain[i];
  }
  return {};
}
}

std::string Receipt::to_json() const
{
  json::object object;
  if (!cert.empty())
    object["cert"] = cert;
  if (cose_signature)
    object["cose_signature"] = base::to_base64(*cose_signature);
  if (components)
  {
    json::object& members = object["leaf_components"].emplace_object();
    if (components->claims_digest)
      members["claims_digest"] = hex(*components->claims_digest);
    members["commit_evidence"] = components->commit_evidence;
    members["write_set_digest"] = hex(components->write_set_digest);
  }
  else if (leaf)
    object["leaf"] = hex(*leaf);
  object["node_id"] = node_id;
  json::array& steps = object["proof"].emplace_array();
  for (const auto& step : proof)
    steps.push_back(json::object{{step.sibling_is_left ? "left" : "right", hex(step.sibling)}});
  if (!service_endorsements.empty())
  {
    json::array& list = object["service_endorsements"].emplace_array();
    for (const auto& pem : service_endorsements)
      list.push_back(json::string(pem));
  }
  object["signature"] = base::to_base64(signature);
  return json::serialize(object);
}

Result<Receipt> Receipt::from_json(std::string_view text)
{
  if (text.size() > max_receipt)
    return not_understood("it is longer than " + std::to_string(max_receipt) + " bytes");
  const auto object = parse_object(text);
  if (!object)
    return not_understood("the receipt", object.error());

  if (const auto* const kind = object->if_contains("is_signature_transaction"))
    if (!kind->is_bool() || kind->get_bool() || object->contains("leaf"))
      return not_understood("field 'is_signature_transaction' may only be false, beside 'leaf_components'");
  const auto* const components = object->if_contains("leaf_components");
  if ((components != nullptr) == object->contains("leaf"))
    return not_understood("exactly one of the fields 'leaf' and 'leaf_components' is needed");
  if (components && object->contains("cose_signature"))
    return not_understood("field 'cose_signature' belongs to a signature transaction, beside 'leaf'");

  Receipt receipt;
  FieldReader fields(*object);
  receipt.signature = fields.base64("signature", max_signature);
  receipt.node_id = fields.text("node_id", 64);
  receipt.cert = fields.optional_text("cert", max_cert).value_or("");
  if (!components)
    receipt.leaf = fields.digest("leaf");
  if (fields.has("cose_signature"))
    receipt.cose_signature = fields.base64("cose_signature", max_cose);
  if (auto good = fields.result(); !good)
    return not_understood("the receipt", good.error());
  if (components)
  {
    auto read = read_components(*components);
    if (!read)
      return std::unexpected(read.error());
    receipt.components = std::move(*read);
  }
  auto steps = read_proof(*object);
  if (!steps)
    return std::unexpected(steps.error());
  receipt.proof = std::move(*steps);
  auto endorsements = read_endorsements(*object);
  if (!endorsements)
    return std::unexpected(endorsements.error());
  receipt.service_endorsements = std::move(*endorsements);
  return receipt;
}

std::optional<TxId> Receipt::txid() const
{
  return components ? named_by(components->commit_evidence) : std::nullopt;
}

Digest Receipt::root() const
{
  if (!components)
    return fold(leaf.value_or(Digest{}), proof);
  const Digest evidence = crypto::sha256(components->commit_evidence);
  const std::string_view claims =
      components->claims_digest ? base::as_view(*components->claims_digest) : std::string_view{};
  return fold(crypto::sha256({base::as_view(components->write_set_digest), base::as_view(evidence), claims}), proof);
}

Result<TxId> Receipt::verify(const crypto::Certificate& service) const
{
  if (components.has_value() == leaf.has_value())
    return failed("leaf", "exactly one of leaf and leaf components must be there");
  if (components && !txid())
    return failed("leaf", "the commit evidence does not name a transaction");
  if (cert.empty())
    return failed("signature", "there is no certificate of the node that signed");
  const auto node = crypto::Certificate::from_pem(cert);
  if (!node)
    return failed("signature", "the certificate of the node that signed cannot be read");
  if (!node->public_key().curve())
    return failed("signature", "the key of the node that signed is not an EC key");
  if (!node->public_key().verify_digest(root(), signature))
    return failed("signature", "it is not the node's signature over the root that leaf and proof lead to");
  const auto chain = read_chain(service_endorsements, service);
  if (!chain)
    return std::unexpected(chain.error());
  if (auto chained = verify_chain(*node, *chain); !chained)
    return std::unexpected(chained.error());
  // Whoever issues certificates signs their digests, and such a signature looks like one over a root.
  if (node->is_ca())
    return failed("endorsement", "the certificate that signed is that of a service, not of a node");
  if (node->public_key().id() != node_id)
    return failed("node id", "it is not the hash of the key that signed");
  return verify_leaf(chain->front());
}

/// Which transaction the leaf stands for. Only components show that it stands for one at all: any other node of the
/// tree, and any other 32 bytes that a node's key ever signed (it signs TLS handshakes, too), pass for a bare leaf.
Result<TxId> Receipt::verify_leaf(const crypto::Certificate& issuer) const
{
  if (components)
  {
    const auto named = txid();
    if (!may_be_path_of(named->seqno, proof))
      return failed(
          "leaf", "the proof leads from another place in the tree than that of transaction " + named->to_string());
    return *named;
  }
  if (!proof.empty())
    return failed(
        "leaf", "a leaf without components does not say which transaction it stands for; ledgers from before commit "
                "evidence are proven by 'ledger verify' alone");
  if (!cose_signature)
    return failed(
        "leaf", "it shows that a node signed 32 bytes, and not that they are the root of a signature transaction: the "
                "service's own signature (cose_signature) is missing");
  const auto claims = crypto::cose_verify_root(*cose_signature, issuer.public_key(), *leaf);
  if (!claims)
    return failed("service's signature", claims.error().describe());
  return claims->txid;
}

Result<Receipt> make_receipt(const Entry& entry, const Entry& signature, const LedgerSecret& secret)
{
  const auto unfit = [&](const std::string& why)
  {
    return fail(
        ErrorCode::corrupt, "transaction " + entry.txid.to_string() + " has no receipt under the signature at " +
                                signature.txid.to_string() + ": " + why);
  };
  kv::WriteSet writes;
  if (auto decoded = kv::decode(signature.public_maps, kv::Domain::public_maps, writes); !decoded)
    return unfit(decoded.error().describe());
  auto signed_root = read_signature(writes);
  if (!signed_root)
    return unfit(signed_root.error().describe());
  if (!signed_root->record)
    return unfit("only the service signed it, and receipts of this form hold a node's signature");
  auto& record = *signed_root->record;
  if (record.txid != signature.txid)
    return unfit("that says it is " + record.txid.to_string());

  Receipt receipt;
  receipt.signature = std::move(record.signature);
  receipt.node_id = std::move(record.node);
  receipt.cert = std::move(record.cert);
  if (entry.txid == signature.txid)
  {
    if (entry.bytes != signature.bytes)
      return unfit("they are different entries");
    receipt.leaf = record.root;
    receipt.cose_signature = std::move(signed_root->cose);
    return receipt;
  }

  const auto tree = MerkleTree::deserialise(signed_root->tree);
  if (!tree)
    return unfit(tree.error().describe());
  const auto index = entry.txid.seqno;
  if (tree->size() != signature.txid.seqno || index >= tree->size())
    return unfit("its tree ends before " + std::to_string(tree->size()));
  if (index < tree->first_kept())
    return unfit("its tree begins at " + std::to_string(tree->first_kept()) + "; an earlier signature covers it");
  if (tree->leaf(index) != entry.leaf() || tree->root() != record.root)
    return unfit("its tree holds another transaction there");
  if (entry.evidence)
  {
    auto evidence = secret.commit_evidence(entry.txid);
    if (crypto::sha256(evidence) != *entry.evidence)
      return unfit("the ledger secret is not the one that it was written with");
    receipt.components = {entry.write_set_digest(), std::move(evidence), entry.claims};
  }
  else if (entry.claims)
    return unfit("a claims digest without commit evidence cannot be proven");
  else
    receipt.leaf = entry.write_set_digest();
  receipt.proof = tree->path(index);
  return receipt;
}
}
