#include "crypto/keys.h"

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <optional>

namespace concordat::crypto
{
namespace
{
constexpr int smallest_rsa_bits = 2048;
constexpr int largest_rsa_bits = 16384;

std::optional<Curve> curve_of(EVP_PKEY* key)
{
  const ErrorScope errors;
  if (key == nullptr || EVP_PKEY_is_a(key, "EC") != 1)
    return std::nullopt;
  std::array<char, 64> group{};
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) != 1)
    return std::nullopt;
  const std::string_view name(group.data());
  if (name == "prime256v1" || name == "P-256")
    return Curve::p256;
  if (name == "secp384r1" || name == "P-384")
    return Curve::p384;
  if (name == "secp521r1" || name == "P-521")
    return Curve::p521;
  return std::nullopt;
}

std::string encode(EVP_PKEY* key)
{
  unsigned char* raw = nullptr;
  const int size = i2d_PUBKEY(key, &raw);
  CHECK(size > 0, "a key that was parsed or made can be written");
  std::string der(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(size));
  OPENSSL_free(raw);
  return der;
}

using Context = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

bool verify(EVP_PKEY* key, std::string_view digest, std::string_view signature)
{
  const ErrorScope errors;
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  return context && EVP_PKEY_verify_init(context.get()) == 1 &&
         EVP_PKEY_verify(
             context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
             reinterpret_cast<const unsigned char*>(digest.data()), digest.size()) == 1;
}

std::string sign(EVP_PKEY* key, std::string_view digest)
{
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  std::string signature(160, '\0');
  auto size = signature.size();
  CHECK(
      context && EVP_PKEY_sign_init(context.get()) == 1 &&
          EVP_PKEY_sign(
              context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
              reinterpret_cast<const unsigned char*>(digest.data()), digest.size()) == 1,
      "an EC key on a named curve signs any digest, in at most 139 bytes");
  signature.resize(size);
  return signature;
}

/// The message hashed with the curve's own hash.
std::string hashed(Curve curve, std::string_view message)
{
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  CHECK(
      EVP_Digest(
          message.data(), message.size(), reinterpret_cast<unsigned char*>(digest.data()), &size, hash_of(curve),
          nullptr) == 1,
      "SHA-2 takes any message");
  digest.resize(size);
  return digest;
}

using Signature = Owned<ECDSA_SIG, ECDSA_SIG_free>;

std::string to_fixed_width(Curve curve, std::string_view der)
{
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const Signature parsed(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  CHECK(parsed, "OpenSSL reads the signature that it has just made");
  const auto width = facts(curve).size;
  std::string fixed(2 * width, '\0');
  auto* const out = reinterpret_cast<unsigned char*>(fixed.data());
  const auto int_width = static_cast<int>(width);
  CHECK(
      BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), out, int_width) == int_width &&
          BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), out + width, int_width) == int_width,
      "r and s are below the order of the curve");
  return fixed;
}

std::string to_der(std::string_view fixed)
{
  const auto width = static_cast<int>(fixed.size() / 2);
  const auto* const in = reinterpret_cast<const unsigned char*>(fixed.data());
  const Signature made(ECDSA_SIG_new());
  auto* const r = BN_bin2bn(in, width, nullptr);
  auto* const s = BN_bin2bn(in + width, width, nullptr);
  CHECK(
      made && r != nullptr && s != nullptr && ECDSA_SIG_set0(made.get(), r, s) == 1, "memory for two numbers is there");
  unsigned char* raw = nullptr;
  const int size = i2d_ECDSA_SIG(made.get(), &raw);
  CHECK(size > 0, "any two numbers can be written");
  std::string der(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(size));
  OPENSSL_free(raw);
  return der;
}

/// Instead of asking at the terminal for the password of an encrypted key.
std::string write_private(EVP_PKEY* key)
{
  const Owned<BIO, BIO_free> output(BIO_new(BIO_s_secmem()));
  CHECK(
      output && PEM_write_bio_PKCS8PrivateKey(output.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
      "a private key in memory can be written");
  char* text = nullptr;
  const auto size = BIO_get_mem_data(output.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}
}

struct PublicKey::State
{
  std::shared_ptr<EVP_PKEY> key;
  std::optional<Curve> curve;
  // Writing a key costs OpenSSL more than signing with it, so it is done once and only where it is asked for.
  std::once_flag encoded;
  std::string der;
  std::string id;

  const State& with_encoding()
  {
    std::call_once(
        encoded,
        [this]
        {
          if (der.empty())
            der = encode(key.get());
          id = base::to_hex(base::as_view(sha256(der)));
        });
    return *this;
  }
};

PublicKey::PublicKey(std::shared_ptr<EVP_PKEY> key)
{
  if (!key)
    return;
  state_ = std::make_shared<State>();
  state_->curve = curve_of(key.get());
  state_->key = std::move(key);
}

Result<PublicKey> PublicKey::from_der(std::string_view subject_public_key_info)
{
  const ErrorScope errors;
  const auto wrong = [](const std::string& why) { return fail(ErrorCode::invalid, "not a public key: " + why); };
  // A modulus of 16384 bits and all around it fits in.
  if (subject_public_key_info.size() > 4096)
    return wrong("larger than 4096 bytes");
  const auto* const begin = reinterpret_cast<const unsigned char*>(subject_public_key_info.data());
  const auto* at = begin;
  auto key = own(d2i_PUBKEY(nullptr, &at, static_cast<long>(subject_public_key_info.size())));
  if (!key)
    return wrong(openssl_reason());

  PublicKey result(std::move(key));
  auto& state = *result.state_;
  if (state.curve)
  {
    const auto& curve = facts(*state.curve);
    if (!subject_public_key_info.starts_with(curve.spki_prefix) ||
        subject_public_key_info.size() != curve.spki_prefix.size() + 2 * curve.size)
      return wrong("not the DER encoding with a named curve and an uncompressed point");
  }
  else if (EVP_PKEY_is_a(state.key.get(), "RSA") == 1)
  {
    const int bits = EVP_PKEY_get_bits(state.key.get());
    if (bits < smallest_rsa_bits || bits > largest_rsa_bits)
      return wrong("RSA of " + std::to_string(bits) + " bits; 2048 to 16384 are accepted");
    if (encode(state.key.get()) != subject_public_key_info)
      return wrong("not in DER");
  }
  else
    return wrong("neither RSA nor EC on P-256, P-384 or P-521");
  state.der = subject_public_key_info;
  return result;
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem)
{
  const auto der = pem_content(pem, "PUBLIC KEY", "public key");
  if (!der)
    return std::unexpected(der.error());
  return from_der(*der);
}

std::string PublicKey::der() const
{
  CHECK(state_, "a placeholder is replaced before it is used");
  return state_->with_encoding().der;
}

std::string PublicKey::pem() const
{
  return to_pem(der(), "PUBLIC KEY");
}

std::string PublicKey::id() const
{
  CHECK(state_, "a placeholder is replaced before it is used");
  return state_->with_encoding().id;
}

Result<Curve> PublicKey::curve() const
{
  CHECK(state_, "a placeholder is replaced before it is used");
  if (!state_->curve)
    return fail(ErrorCode::invalid, "the key is not EC on P-256, P-384 or P-521");
  return *state_->curve;
}

bool PublicKey::verify_digest(const Digest& digest, std::string_view signature) const
{
  return curve() && verify(native(), base::as_view(digest), signature);
}

bool PublicKey::verify_cose(std::string_view message, std::string_view signature) const
{
  const auto curve_here = curve();
  return curve_here && signature.size() == 2 * facts(*curve_here).size &&
         verify(native(), hashed(*curve_here, message), to_der(signature));
}

EVP_PKEY* PublicKey::native() const
{
  return state_ ? state_->key.get() : nullptr;
}

KeyPair KeyPair::generate(Curve curve)
{
  auto key = own(EVP_EC_gen(facts(curve).group));
  CHECK(key, "OpenSSL makes keys on its own curves");
  return KeyPair(std::move(key));
}

Result<KeyPair> KeyPair::from_pem(std::string_view private_pem)
{
  const ErrorScope errors;
  const auto wrong = [](const std::string& why)
  { return fail(ErrorCode::invalid, "not a private key in PEM: " + why); };
  auto key = private_key_from_pem(private_pem);
  if (!key)
    return wrong(key.error().message);
  if (!curve_of(key->get()))
    return wrong("it is not EC on P-256, P-384 or P-521");
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, key->get(), nullptr));
  if (!context || EVP_PKEY_check(context.get()) != 1)
    return wrong("its private and public part do not belong together: " + openssl_reason());
  return KeyPair(std::move(*key));
}

std::string KeyPair::private_pem() const
{
  return write_private(key_.get());
}

std::string KeyPair::sign_digest(const Digest& digest) const
{
  return sign(key_.get(), base::as_view(digest));
}

std::string KeyPair::sign_cose(std::string_view message) const
{
  const auto curve = public_key_.curve();
  CHECK(curve, "a key pair is on one of the curves");
  return to_fixed_width(*curve, sign(key_.get(), hashed(*curve, message)));
}

RsaPair generate_rsa(unsigned bits)
{
  CHECK(
      bits >= static_cast<unsigned>(smallest_rsa_bits) && bits <= static_cast<unsigned>(largest_rsa_bits),
      "RSA below 2048 bits is not safe, above 16384 not usable");
  const auto key = own(EVP_RSA_gen(bits));
  CHECK(key, "OpenSSL makes RSA keys of any usual size");
  return {write_private(key.get()), to_pem(encode(key.get()), "PUBLIC KEY")};
}
}
