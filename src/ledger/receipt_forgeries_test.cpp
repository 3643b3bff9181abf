#include "base/encoding.h"
#include "crypto/cose.h"
#include "crypto/hash.h"
#include "ledger/test_receipt.h"

#include <functional>
#include <string>

namespace concordat::ledger
{
namespace
{
/// One element of DER with a length of up to 64 KiB.
struct DerElement
{
  std::string_view whole;
  std::string_view content;
  std::size_t end;
};

DerElement der_content(std::string_view der, std::size_t at)
{
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(der[at + i])); };
  const auto size = byte(1) < 0x80 ? byte(1) : byte(1) == 0x81 ? byte(2) : byte(2) << 8 | byte(3);
  const auto head = byte(1) < 0x80 ? 2U : byte(1) == 0x81 ? 3U : 4U;
  return {der.substr(at, head + size), der.substr(at + head, size), at + head + size};
}

/// What must never pass as a receipt though its signature is a true one of the service or of one of its nodes.
TEST_F(ReceiptOfOwnLedger, ForgeriesOfTrueSignaturesAreRefused)
{
  const auto of_signature = make(signature).value();
  const auto ordinary = make(signature - 1).value();
  struct Row
  {
    const char* what;
    const char* naming;
    std::function<Receipt()> forge;
  };
  const Row rows[] = {
      {"the digest and the self-signature of the service's certificate", "not of a node",
       [&]
       {
         // On P-256 a certificate is signed over the SHA-256 of its body, as a root is over itself.
         Receipt receipt;
         const auto& der = service.service_cert.der();
         const auto outer = der_content(der, 0);
         const auto body = der_content(outer.content, 0);
         const auto algorithm = der_content(outer.content, body.end);
         const auto bits = der_content(outer.content, algorithm.end);
         receipt.leaf = crypto::sha256(body.whole);
         receipt.signature = std::string(bits.content.substr(1));
         receipt.cert = service.service_cert.pem();
         receipt.node_id = service.service_key.public_key().id();
         EXPECT_TRUE(service.service_key.public_key().verify_digest(*receipt.leaf, receipt.signature));
         return receipt;
       }},
      {"a signature by the service's own key over a root", "not of a node",
       [&]
       {
         auto receipt = ordinary;
         receipt.cert = service.service_cert.pem();
         receipt.node_id = service.service_key.public_key().id();
         receipt.signature = service.service_key.sign_digest(receipt.root());
         return receipt;
       }},
      {"32 bytes that the node signed in a TLS handshake", "not that they are the root of a signature transaction",
       [&]
       {
         auto receipt = of_signature;
         receipt.cose_signature.reset();
         receipt.leaf = crypto::sha256("transcript");
         receipt.signature = service.node_key.sign_digest(*receipt.leaf);
         return receipt;
       }},
      {"a signed root without the service's own signature", "not that they are the root of a signature transaction",
       [&]
       {
         auto receipt = of_signature;
         receipt.cose_signature.reset();
         return receipt;
       }},
      {"a signed root with the service's signature over another", "service's signature",
       [&]
       {
         auto receipt = of_signature;
         receipt.cose_signature = crypto::cose_sign_root(service.service_key, Digest{}, {1, "", "", {2, signature}});
         return receipt;
       }},
      {"a signed root with a signature of another service", "service's signature",
       [&]
       {
         auto receipt = of_signature;
         const TestService stranger;
         receipt.cose_signature =
             crypto::cose_sign_root(stranger.service_key, *receipt.leaf, {1, "", "", {2, signature}});
         return receipt;
       }},
      {"an inner node of the tree as the leaf", "does not say which transaction",
       [&]
       {
         auto receipt = ordinary;
         const Proof first{receipt.proof.front()};
         const auto leaf = Receipt{{}, {}, {}, {}, receipt.components, {}, {}, {}}.root();
         receipt.components.reset();
         receipt.leaf = fold(leaf, first);
         receipt.proof.erase(receipt.proof.begin());
         return receipt;
       }},
      {"the leaf of a transaction without its components", "does not say which transaction",
       [&]
       {
         auto receipt = ordinary;
         receipt.leaf = Receipt{{}, {}, {}, {}, receipt.components, {}, {}, {}}.root();
         receipt.components.reset();
         return receipt;
       }},
      {"an inner node as a leaf of the older kind, its halves as digests", "signature",
       [&]
       {
         auto receipt = ordinary;
         receipt.components->claims_digest.reset();
         return receipt;
       }},
  };
  for (const auto& row : rows)
  {
    SCOPED_TRACE(row.what);
    const auto receipt = row.forge();
    const auto verified = receipt.verify(service.service_cert);
    ASSERT_FALSE(verified);
    EXPECT_EQ(verified.error().code, ErrorCode::corrupt);
    EXPECT_NE(verified.error().message.find(row.naming), std::string::npos) << verified.error().message;
  }
}

TEST_F(ReceiptOfOwnLedger, EvidenceOfOneTransactionDoesNotFitThePlaceOfAnother)
{
  // A service could be made to write evidence that names another transaction; the proof shows where it stands.
  const auto seqno = service.next().seqno;
  const TxId other{2, seqno + 1};
  const auto evidence = service.secret.commit_evidence(other);
  const auto digest = crypto::sha256("write set");
  const Digest claims{};
  const auto evidence_digest = crypto::sha256(evidence);
  service.tree.append(crypto::sha256({base::as_view(digest), base::as_view(evidence_digest), base::as_view(claims)}));
  service.tree.append(crypto::sha256("another"));
  Receipt receipt;
  receipt.components = {digest, evidence, claims};
  receipt.proof = service.tree.path(seqno);
  receipt.cert = service.node_cert.pem();
  receipt.node_id = service.node_key.public_key().id();
  receipt.signature = service.node_key.sign_digest(service.tree.root());
  ASSERT_EQ(receipt.root(), service.tree.root());
  const auto verified = receipt.verify(service.service_cert);
  ASSERT_FALSE(verified);
  EXPECT_NE(verified.error().message.find("another place in the tree"), std::string::npos) << verified.error().message;
}

TEST_F(ReceiptOfOwnLedger, ACertificateThatMayNotIssueOthersEndorsesNobody)
{
  // A node that the service endorsed makes up a node of its own.
  const auto made_up = crypto::KeyPair::generate(crypto::Curve::p256);
  auto receipt = make(signature - 1).value();
  receipt.cert = test_issue(made_up, "CN=made up", service.node_key, service.node_cert).pem();
  receipt.node_id = made_up.public_key().id();
  receipt.signature = made_up.sign_digest(receipt.root());
  receipt.service_endorsements = {service.node_cert.pem()};
  const auto verified = receipt.verify(service.service_cert);
  ASSERT_FALSE(verified);
  EXPECT_NE(verified.error().message.find("may not issue others"), std::string::npos) << verified.error().message;
}
}
}
