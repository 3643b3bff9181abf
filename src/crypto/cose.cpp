#include "crypto/cose.h"

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/cose_sign1.h"

namespace concordat::crypto
{
namespace
{
/// Labels of ledger-format.md §6.3: RFC 9052 §3.1, RFC 8392 §4 (CWT claims) and the CCF profile of COSE receipts.
constexpr std::int64_t algorithm_label = 1;
constexpr std::int64_t key_id_label = 4;
constexpr std::int64_t tree_label = 395;
constexpr std::int64_t claims_label = 15;
constexpr std::string_view ccf_label = "ccf.v1";
constexpr std::int64_t ccf_tree = 2;
constexpr std::int64_t issuer_claim = 1;
constexpr std::int64_t subject_claim = 2;
constexpr std::int64_t issued_at_claim = 6;
constexpr std::string_view txid_claim = "txid";

/// More than a signature with the longest issuer and subject.
constexpr std::size_t size_limit = 2 * root_claim_limit + 1024;

std::unexpected<Error> wrong(const std::string& why)
{
  return fail(ErrorCode::corrupt, "COSE root signature: " + why);
}

std::string encode_header(std::int64_t algorithm, const std::string& key_id, const RootClaims& claims)
{
  CborWriter header;
  header.map(5);
  header.integer(algorithm_label).integer(algorithm);
  header.integer(key_id_label).bytes(key_id);
  header.integer(tree_label).integer(ccf_tree);
  header.integer(claims_label).map(3);
  header.integer(issued_at_claim).integer(claims.issued_at);
  header.integer(issuer_claim).text(claims.issuer);
  header.integer(subject_claim).text(claims.subject);
  header.text(ccf_label).map(1).text(txid_claim).text(claims.txid.to_string());
  return header.encoded();
}

Result<RootClaims> read_claims(const CoseHeader& header)
{
  auto stated = header.find(claims_label);
  auto service = header.find(ccf_label);
  if (!stated || !service)
    return wrong("CWT claims (label 15) or 'ccf.v1' are missing");
  const auto claims = CoseHeader::parse(stated->item().value_or(""));
  const auto ccf = CoseHeader::parse(service->item().value_or(""));
  if (!claims || !ccf)
    return wrong("CWT claims (label 15) or 'ccf.v1' are not a map");

  auto issued_at = claims->find(issued_at_claim);
  auto issuer = claims->find(issuer_claim);
  auto subject = claims->find(subject_claim);
  auto txid = ccf->find(txid_claim);
  if (!issued_at || !issuer || !subject || !txid)
    return wrong("one of the claims iat, iss, sub and txid is missing");
  const auto seconds = issued_at->integer();
  const auto issuer_text = issuer->text();
  const auto subject_text = subject->text();
  const auto txid_text = txid->text();
  if (!seconds || !issuer_text || !subject_text || !txid_text)
    return wrong("one of the claims iat, iss, sub and txid is of the wrong type");
  const auto id = TxId::parse(*txid_text);
  if (!id)
    return wrong("txid is not a transaction ID");
  return RootClaims{*seconds, std::string(*issuer_text), std::string(*subject_text), *id};
}
}

std::string cose_sign_root(const KeyPair& service_key, const Digest& root, const RootClaims& claims)
{
  const auto curve = service_key.public_key().curve();
  CHECK(curve && *curve != Curve::p521, "a service key is on P-256 or P-384");
  for (const auto& text : {claims.issuer, claims.subject})
    CHECK(text.size() <= root_claim_limit && is_utf8(text), "configuration is checked where it is read");
  const auto header = encode_header(cose_algorithm(*curve), service_key.public_key().id(), claims);
  return make_cose_sign1(service_key, header, base::as_view(root), false);
}

Result<RootClaims> cose_verify_root(std::string_view message, const PublicKey& service_key, const Digest& root)
{
  const auto curve = service_key.curve();
  if (!curve || *curve == Curve::p521)
    return wrong("the service key is not on P-256 or P-384");
  if (message.size() > size_limit)
    return wrong("larger than " + std::to_string(size_limit) + " bytes");
  const auto parsed = CoseSign1::parse(message);
  if (!parsed)
    return fail("COSE root signature", parsed.error());
  if (parsed->payload)
    return wrong("it carries a payload; the root must be detached");
  const auto header = CoseHeader::parse(parsed->protected_header);
  if (!header)
    return fail("COSE root signature", header.error());

  auto algorithm = header->find(algorithm_label);
  if (!algorithm || algorithm->integer() != cose_algorithm(*curve))
    return wrong("the algorithm (label 1) is not that of the service key");
  auto key_id = header->find(key_id_label);
  if (!key_id || key_id->bytes() != std::string_view(service_key.id()))
    return wrong("the key ID (label 4) is not that of the service key");
  auto tree = header->find(tree_label);
  if (!tree || tree->integer() != ccf_tree)
    return wrong("the kind of tree (label 395) is not 2");
  auto claims = read_claims(*header);
  if (!claims)
    return claims;

  // Exactly what a writer emits, and in its order: nothing more is stated under the service's name.
  const auto expected_header = encode_header(cose_algorithm(*curve), service_key.id(), *claims);
  if (parsed->protected_header != expected_header)
    return wrong("the protected header has other labels, or the same in another order or encoding");
  const auto expected =
      CborWriter().tag(18).array(4).bytes(expected_header).map(0).null().bytes(parsed->signature).encoded();
  if (message != expected)
    return wrong("the unprotected header is not empty, or the encoding is not deterministic");
  if (const auto verified = verify_cose_sign1(*parsed, base::as_view(root), service_key); !verified)
    return fail("COSE root signature", verified.error());
  return claims;
}
}
