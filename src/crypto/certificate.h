#pragma once

#include "crypto/keys.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

typedef struct x509_st X509;

namespace concordat::crypto
{
/// A parsed X.509 certificate. Cheap to copy; any thread may call.
class Certificate
{
public:
  static Result<Certificate> from_pem(std::string_view pem);
  static Result<Certificate> from_der(std::string_view der);

  const std::string& der() const
  {
    return der_;
  }
  std::string pem() const;
  /// Lower-case hex SHA-256 of der(): the id of a member or user.
  std::string id() const;
  const PublicKey& public_key() const
  {
    return public_key_;
  }
  std::int64_t not_before() const
  {
    return not_before_;
  } ///< seconds since 1970
  std::int64_t not_after() const
  {
    return not_after_;
  }
  bool valid_at(std::int64_t unix_seconds) const
  {
    return not_before_ <= unix_seconds && unix_seconds <= not_after_;
  }
  std::string subject() const; ///< such as "CN=CCF Service"
  /// It may issue other certificates (RFC 5280 §4.2.1.9).
  bool is_ca() const;
  /// The signature of this certificate verifies under the issuer's key. Validity times are not looked at.
  bool signed_by(const Certificate& issuer) const;
  bool signed_by(const PublicKey& issuer) const;

private:
  std::shared_ptr<X509> native_;
  std::string der_;
  PublicKey public_key_{nullptr};
  std::int64_t not_before_ = 0;
  std::int64_t not_after_ = 0;
};

/// What a new certificate says.
struct CertificateRequest
{
  std::string subject;                        ///< "CN=…"; one or more comma-separated parts
  std::vector<std::string> subject_alt_names; ///< "iPAddress:127.0.0.1" or "dNSName:localhost"
  std::int64_t valid_from = 0;                ///< seconds since 1970
  unsigned validity_days = 1;                 ///< notAfter = from + days − 1 second
  bool is_ca = false;
};

/// Well-formed v3: basic constraints, key identifiers, random positive serial; signed with the issuer's curve's hash.
Result<Certificate> self_signed(const KeyPair& key, const CertificateRequest& request);
Result<Certificate>
issue(const PublicKey& key, const CertificateRequest& request, const KeyPair& issuer_key, const Certificate& issuer);
}
