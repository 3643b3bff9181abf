#include "crypto/oaep.h"

#include "base/check.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"

#include <algorithm>
#include <openssl/rsa.h>

namespace concordat::crypto
{
namespace
{
using Context = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

bool is_rsa(EVP_PKEY* key)
{
  return key != nullptr && EVP_PKEY_is_a(key, "RSA") == 1;
}

bool set_padding(EVP_PKEY_CTX* context)
{
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1;
}

const unsigned char* bytes_of(std::string_view text)
{
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::unexpected<Error> not_a_key(const std::string& why)
{
  return fail(ErrorCode::invalid, "not a private key for decryption in PEM: " + why);
}
}

Result<std::string> wrap(const PublicKey& key, std::string_view secret)
{
  const ErrorScope errors;
  if (!is_rsa(key.native()))
    return fail(ErrorCode::invalid, "nothing can be encrypted with a key that is not RSA");
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.native(), nullptr));
  CHECK(
      context && EVP_PKEY_encrypt_init(context.get()) == 1 && set_padding(context.get()),
      "OpenSSL encrypts with any RSA key");
  std::string wrapped(static_cast<std::size_t>(EVP_PKEY_get_size(key.native())), '\0');
  auto size = wrapped.size();
  if (EVP_PKEY_encrypt(
          context.get(), reinterpret_cast<unsigned char*>(wrapped.data()), &size, bytes_of(secret), secret.size()) != 1)
    return fail(ErrorCode::invalid, "the key is too small for what is to be encrypted");
  wrapped.resize(size);
  return wrapped;
}

Result<DecryptionKey> DecryptionKey::from_pem(std::string_view private_pem)
{
  const ErrorScope errors;
  auto key = private_key_from_pem(private_pem);
  if (!key)
    return not_a_key(key.error().message);
  if (!is_rsa(key->get()))
    return not_a_key("it is not RSA");
  // The bounds of a public key: whoever wraps for it must be able to.
  const auto usable = PublicKey::from_der(PublicKey(*key).der());
  if (!usable)
    return not_a_key(usable.error().message);
  DecryptionKey read(std::move(*key));
  const auto wrapped = wrap(*usable, "the same");
  if (!wrapped || !read.unwrap(*wrapped))
    return not_a_key("its private and public part do not belong together");
  return read;
}

PublicKey DecryptionKey::public_key() const
{
  return PublicKey(key_);
}

Result<std::string> DecryptionKey::unwrap(std::string_view wrapped) const
{
  const ErrorScope errors;
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  CHECK(
      context && EVP_PKEY_decrypt_init(context.get()) == 1 && set_padding(context.get()),
      "OpenSSL decrypts with any RSA key");
  std::string secret(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())), '\0');
  auto size = secret.size();
  const bool good = EVP_PKEY_decrypt(
                        context.get(), reinterpret_cast<unsigned char*>(secret.data()), &size, bytes_of(wrapped),
                        wrapped.size()) == 1;
  std::string out = good ? secret.substr(0, size) : std::string();
  wipe(secret);
  if (!good)
    return fail(ErrorCode::corrupt, "it was not encrypted for this key");
  return out;
}
}
