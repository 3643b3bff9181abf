#include "crypto/cose.h"

#include "base/encoding.h"
#include "crypto/certificate.h"
#include "crypto/cose_sign1.h"
#include "crypto/hash.h"
#include "crypto/test_foreign.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <vector>

namespace concordat::crypto
{
namespace
{
class ForeignCoseRoot : public ForeignSignatures
{
protected:
  PublicKey service_key() const
  {
    return Certificate::from_pem(service_cert).value().public_key();
  }
};

TEST_F(ForeignCoseRoot, Verifies)
{
  for (const auto& signature : signatures)
  {
    const auto claims = cose_verify_root(signature.message, service_key(), signature.root);
    ASSERT_TRUE(claims) << claims.error().describe();
    EXPECT_EQ(claims->txid.to_string(), signature.txid);
    EXPECT_EQ(claims->issuer, "");
    EXPECT_EQ(claims->subject, "");
    EXPECT_GT(claims->issued_at, 1'736'175'000);
    EXPECT_LT(claims->issued_at, 1'736'262'112);
  }
}

TEST_F(ForeignCoseRoot, IsRefusedOverAnotherRootOrKey)
{
  EXPECT_FALSE(cose_verify_root(signatures[0].message, service_key(), signatures[1].root));
  for (const auto curve : {Curve::p256, Curve::p384, Curve::p521})
    EXPECT_FALSE(cose_verify_root(signatures[0].message, KeyPair::generate(curve).public_key(), signatures[0].root));
}

TEST_F(ForeignCoseRoot, IsRefusedWithAnyByteChangedOrCut)
{
  const auto& signature = signatures[0];
  const auto key = service_key();
  for (std::size_t i = 0; i < signature.message.size(); ++i)
  {
    for (const int change : {0x01, 0x20, 0x80})
    {
      auto tampered = signature.message;
      tampered[i] = static_cast<char>(tampered[i] ^ change);
      const auto verified = cose_verify_root(tampered, key, signature.root);
      ASSERT_FALSE(verified) << "byte " << i << " changed by " << change;
      EXPECT_EQ(verified.error().code, ErrorCode::corrupt);
    }
    EXPECT_FALSE(cose_verify_root(signature.message.substr(0, i), key, signature.root)) << "cut at " << i;
  }
  EXPECT_FALSE(cose_verify_root(signature.message + '\0', key, signature.root));
}

// The head of a real message, so that a writer who changes its form is noticed.
TEST_F(ForeignCoseRoot, IsEncodedByteForByteAsOurs)
{
  const auto key = KeyPair::generate(Curve::p384);
  const auto made =
      cose_sign_root(key, Digest{1}, {.issued_at = 1'736'175'713, .issuer = "", .subject = "", .txid = {4, 30}});
  auto real = signatures[0].message;
  const auto real_id = service_key().id();
  const auto id_at = real.find(real_id);
  ASSERT_NE(id_at, std::string::npos);
  real.replace(id_at, real_id.size(), key.public_key().id());
  ASSERT_EQ(made.size(), real.size());
  EXPECT_EQ(base::to_hex(made.substr(0, made.size() - 96)), base::to_hex(real.substr(0, real.size() - 96)));
}

TEST(CoseRoot, StatesWhatWasSigned)
{
  for (const auto curve : {Curve::p256, Curve::p384})
  {
    const auto key = KeyPair::generate(curve);
    const RootClaims claims{1'800'000'000, "example.com", "ledger", {17, 4'000'000'000}};
    const Digest root = sha256("root");
    const auto verified = cose_verify_root(cose_sign_root(key, root, claims), key.public_key(), root);
    ASSERT_TRUE(verified) << verified.error().describe();
    EXPECT_EQ(verified->issued_at, claims.issued_at);
    EXPECT_EQ(verified->issuer, claims.issuer);
    EXPECT_EQ(verified->subject, claims.subject);
    EXPECT_EQ(verified->txid, claims.txid);
  }
}

/// A header as §6.3 says, in which the test bends one thing.
struct Bent
{
  std::int64_t algorithm = -7;
  std::string key_id;
  std::int64_t tree = 2;
  bool claims = true;
  std::string txid = "2.2";
  bool more_labels = false;
  bool text_as_bytes = false;

  std::string encode() const
  {
    CborWriter header;
    header.map((claims ? 5 : 4) + (more_labels ? 1 : 0));
    header.integer(1).integer(algorithm).integer(4).bytes(key_id).integer(395).integer(tree);
    if (claims)
    {
      header.integer(15).map(3).integer(6).integer(1).integer(1);
      (text_as_bytes ? header.bytes("") : header.text("")).integer(2).text("");
    }
    header.text("ccf.v1").map(1).text("txid").text(txid);
    if (more_labels)
      header.text("more").integer(1);
    return header.encoded();
  }
};

TEST(CoseRoot, RefusesAnotherFormEvenWithAGoodSignature)
{
  const auto key = KeyPair::generate(Curve::p256);
  const Digest root{5};
  const auto outcome = [&](const Bent& bent, bool attached = false)
  {
    const auto message = make_cose_sign1(key, bent.encode(), base::as_view(root), attached);
    return cose_verify_root(message, key.public_key(), root);
  };
  const Bent good{.key_id = key.public_key().id()};
  ASSERT_TRUE(outcome(good)) << outcome(good).error().describe();

  const auto bend = [&](auto change)
  {
    auto bent = good;
    change(bent);
    return outcome(bent);
  };
  EXPECT_FALSE(bend([](Bent& b) { b.algorithm = -35; }));
  EXPECT_FALSE(bend([](Bent& b) { b.key_id = *base::from_hex(b.key_id); }));
  EXPECT_FALSE(bend([](Bent& b) { b.key_id[0] = b.key_id[0] == '0' ? '1' : '0'; }));
  EXPECT_FALSE(bend([](Bent& b) { b.tree = 1; }));
  EXPECT_FALSE(bend([](Bent& b) { b.claims = false; }));
  EXPECT_FALSE(bend([](Bent& b) { b.txid = "2.0"; }));
  EXPECT_FALSE(bend([](Bent& b) { b.txid = "02.2"; }));
  EXPECT_FALSE(bend([](Bent& b) { b.more_labels = true; }));
  EXPECT_FALSE(bend([](Bent& b) { b.text_as_bytes = true; }));
  EXPECT_FALSE(outcome(good, true)) << "the root must be detached";
}

TEST(CoseRoot, RefusesAnUnprotectedHeader)
{
  const auto key = KeyPair::generate(Curve::p256);
  const Digest root{5};
  const auto message = cose_sign_root(key, root, {0, "", "", {2, 2}});
  const auto parsed = CoseSign1::parse(message).value();
  const auto with_header = CborWriter().tag(18).array(4).bytes(parsed.protected_header).map(1).integer(99).integer(1);
  auto changed = with_header;
  changed.null().bytes(parsed.signature);
  EXPECT_TRUE(CoseSign1::parse(changed.encoded()));
  EXPECT_FALSE(cose_verify_root(changed.encoded(), key.public_key(), root));
}

TEST(CoseRoot, MayStateTheLongestIssuerAndSubject)
{
  const auto key = KeyPair::generate(Curve::p384);
  const std::string longest(root_claim_limit, 'x');
  const auto message = cose_sign_root(key, Digest{}, {1, longest, longest, {2, 2}});
  const auto verified = cose_verify_root(message, key.public_key(), Digest{});
  ASSERT_TRUE(verified) << verified.error().describe();
  EXPECT_EQ(verified->issuer, longest);
}

TEST(CoseRoot, AnyBytesAreSafe)
{
  const auto key = KeyPair::generate(Curve::p256).public_key();
  EXPECT_TRUE(rc::check(
      [&key](const std::vector<std::uint8_t>& raw)
      {
        const std::string message = "\xd2\x84" + std::string(raw.begin(), raw.end());
        RC_ASSERT(!cose_verify_root(message, key, Digest{}).has_value());
        RC_ASSERT(!cose_verify_root(std::string(raw.begin(), raw.end()), key, Digest{}).has_value());
      }));
}

TEST(CoseSign1, CarriesAPayloadOnEveryCurve)
{
  for (const auto curve : {Curve::p256, Curve::p384, Curve::p521})
  {
    const auto key = KeyPair::generate(curve);
    CborWriter header;
    header.map(2).text("ccf.gov.msg.type").text("ballot").integer(1).integer(cose_algorithm(curve));
    const auto message = make_cose_sign1(key, header.encoded(), "payload", true);
    const auto parsed = CoseSign1::parse(message);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->payload, "payload");
    EXPECT_TRUE(verify_cose_sign1(*parsed, "payload", key.public_key()));
    EXPECT_FALSE(verify_cose_sign1(*parsed, "payloae", key.public_key()));
    EXPECT_FALSE(verify_cose_sign1(*parsed, "payload", KeyPair::generate(curve).public_key()));
    const auto read = CoseHeader::parse(parsed->protected_header);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->find("ccf.gov.msg.type")->text(), "ballot");
    EXPECT_FALSE(read->find("ccf.gov.msg.created_at"));
    EXPECT_FALSE(read->find(4));
  }
}

TEST(CoseSign1, RefusesAnAlgorithmThatIsNotTheKeys)
{
  const auto key = KeyPair::generate(Curve::p256);
  for (const std::int64_t algorithm : {-35, -37, 0, 7})
  {
    const auto message = make_cose_sign1(key, CborWriter().map(1).integer(1).integer(algorithm).encoded(), "", true);
    EXPECT_FALSE(verify_cose_sign1(CoseSign1::parse(message).value(), "", key.public_key()));
  }
  const auto without = make_cose_sign1(key, "", "", true);
  EXPECT_FALSE(verify_cose_sign1(CoseSign1::parse(without).value(), "", key.public_key()));
}

TEST(CoseSign1, RefusesAnotherProtectedHeaderThanWasSigned)
{
  const auto key = KeyPair::generate(Curve::p256);
  const auto signed_header = CborWriter().map(1).integer(1).integer(-7).encoded();
  const auto other_header = CborWriter().map(2).integer(1).integer(-7).integer(4).bytes("me").encoded();
  const auto message = make_cose_sign1(key, signed_header, "text", true);
  auto parsed = CoseSign1::parse(message).value();
  ASSERT_TRUE(verify_cose_sign1(parsed, "text", key.public_key()));
  EXPECT_FALSE(verify_cose_sign1(parsed, "Text", key.public_key()));
  parsed.protected_header = other_header;
  EXPECT_FALSE(verify_cose_sign1(parsed, "text", key.public_key()));
}

TEST(CoseHeader, RefusesALabelThatStandsTwice)
{
  EXPECT_FALSE(CoseHeader::parse(CborWriter().map(2).integer(1).integer(1).integer(1).integer(2).encoded()));
  EXPECT_FALSE(CoseHeader::parse(CborWriter().map(2).text("a").integer(1).text("a").integer(2).encoded()));
  EXPECT_TRUE(CoseHeader::parse(CborWriter().map(2).text("a").integer(1).text("b").integer(2).encoded()));
  EXPECT_TRUE(CoseHeader::parse(""));
}

TEST(CoseHeader, RefusesTooManyLabels)
{
  const auto with = [](std::size_t count)
  {
    CborWriter header;
    header.map(count);
    for (std::size_t i = 0; i < count; ++i)
      header.integer(static_cast<std::int64_t>(i)).null();
    return header.encoded();
  };
  EXPECT_TRUE(CoseHeader::parse(with(CoseHeader::label_limit)));
  EXPECT_FALSE(CoseHeader::parse(with(CoseHeader::label_limit + 1)));
}
}
}
