#pragma once

#include "base/check.h"
#include "crypto/certificate.h"
#include "crypto/keys.h"
#include "peer/credentials.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace concordat::peer::test
{
constexpr std::int64_t second_of_2026 = 1'770'000'000;

/// A node's key and what the service, or somebody else, says of it.
struct TestNodeKeys
{
  crypto::KeyPair key = crypto::KeyPair::generate(crypto::Curve::p256);
  Identity identity;

  NodeId id() const
  {
    return key.public_key().id();
  }
};

/// A service's identity, made on the spot, that endorses nodes.
struct TestService
{
  crypto::KeyPair key = crypto::KeyPair::generate(crypto::Curve::p256);
  crypto::Certificate certificate = *crypto::self_signed(key, request("CN=service", second_of_2026, true));

  static crypto::CertificateRequest request(std::string subject, std::int64_t valid_from, bool is_ca = false)
  {
    crypto::CertificateRequest made;
    made.subject = std::move(subject);
    made.valid_from = valid_from;
    made.validity_days = 1;
    made.is_ca = is_ca;
    return made;
  }

  /// Certificates are valid for one day of 2026, so for most of the time they have expired or are not valid yet.
  void endorse(TestNodeKeys& node, std::int64_t valid_from = second_of_2026, bool is_ca = false) const
  {
    const auto issued = crypto::issue(node.key.public_key(), request("CN=node", valid_from, is_ca), key, certificate);
    CHECK(issued, "tests ask for certificates that can be made");
    node.identity = {issued->pem(), node.key.private_pem()};
  }
  TestNodeKeys node() const
  {
    TestNodeKeys made;
    endorse(made);
    return made;
  }
  static TestNodeKeys self_signed_node()
  {
    TestNodeKeys made;
    made.identity = {crypto::self_signed(made.key, request("CN=node", second_of_2026))->pem(), made.key.private_pem()};
    return made;
  }
  std::vector<crypto::PublicKey> keys() const
  {
    return {key.public_key()};
  }
};
}
