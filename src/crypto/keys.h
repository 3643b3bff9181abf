#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"

#include <memory>
#include <string>
#include <string_view>

typedef struct evp_pkey_st EVP_PKEY;

namespace concordat::crypto
{
enum class Curve
{
  p256,
  p384,
  p521,
};

/// A public key: EC on a named curve, or RSA of 2048 to 16384 bits. Cheap to copy; any thread may call.
/// One made of a null pointer is a placeholder, on which nothing may be called but assignment.
class PublicKey
{
public:
  /// @return Error::invalid unless it is the one DER encoding of such a key (a point of a curve uncompressed), so that
  ///         a key has one id
  static Result<PublicKey> from_der(std::string_view subject_public_key_info);
  /// As from_der; exactly one block "PUBLIC KEY".
  static Result<PublicKey> from_pem(std::string_view pem);
  explicit PublicKey(std::shared_ptr<EVP_PKEY> key);

  std::string der() const; ///< SubjectPublicKeyInfo; encoded at the first call only
  std::string pem() const;
  /// Lower-case hex SHA-256 of der(): the id of a node, the kid of a service key.
  std::string id() const;
  /// Nothing for a key that is not EC on one of the curves.
  Result<Curve> curve() const;
  /// ECDSA, `signature` in DER, `digest` taken as it is (not hashed again).
  bool verify_digest(const Digest& digest, std::string_view signature) const;
  /// ECDSA over the message with the curve's own hash, signature as r‖s of fixed width: what COSE uses.
  bool verify_cose(std::string_view message, std::string_view signature) const;

  EVP_PKEY* native() const;

private:
  struct State;
  std::shared_ptr<State> state_;
};

/// A key pair that signs. Cheap to copy; any thread may call.
class KeyPair
{
public:
  static KeyPair generate(Curve curve);
  /// @param private_pem  an EC key on one of the curves, not encrypted: PKCS#8 or SEC 1
  static Result<KeyPair> from_pem(std::string_view private_pem);

  const PublicKey& public_key() const
  {
    return public_key_;
  }
  std::string private_pem() const; ///< PKCS#8, not encrypted
  /// ECDSA over a digest taken as it is; DER.
  std::string sign_digest(const Digest& digest) const;
  /// ECDSA over the message with the curve's own hash; r‖s of fixed width.
  std::string sign_cose(std::string_view message) const;

private:
  explicit KeyPair(std::shared_ptr<EVP_PKEY> key) : key_(key), public_key_(std::move(key)) {}
  std::shared_ptr<EVP_PKEY> key_;
  PublicKey public_key_;
};

struct RsaPair
{
  std::string private_pem;
  std::string public_pem;
};

/// A fresh RSA key for encryption; takes tens of milliseconds.
RsaPair generate_rsa(unsigned bits = 2048);
}
