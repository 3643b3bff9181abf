#include "crypto/signing_request.h"

#include "base/check.h"
#include "crypto/certificate_names.h"

namespace concordat::crypto
{
namespace
{
using NativeRequest = Owned<X509_REQ, X509_REQ_free>;
void free_extensions(STACK_OF(X509_EXTENSION) * extensions)
{
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}
using Extensions = Owned<STACK_OF(X509_EXTENSION), free_extensions>;

constexpr std::size_t largest = std::size_t{64} << 10; ///< bytes of PEM
constexpr const char* pem_name = "CERTIFICATE REQUEST";

std::unexpected<Error> unusable(const std::string& why)
{
  return fail(ErrorCode::invalid, "the certificate signing request cannot be used: " + why);
}
}

Result<SigningRequest> SigningRequest::from_pem(std::string_view pem)
{
  const ErrorScope errors;
  if (pem.size() > largest)
    return unusable("it is larger than " + std::to_string(largest) + " bytes");
  const auto der = pem_content(pem, pem_name, "certificate signing request");
  if (!der)
    return std::unexpected(der.error());
  const auto* at = reinterpret_cast<const unsigned char*>(der->data());
  const NativeRequest native(d2i_X509_REQ(nullptr, &at, static_cast<long>(der->size())));
  if (!native || at != reinterpret_cast<const unsigned char*>(der->data()) + der->size())
    return unusable("it is not PKCS#10");

  SigningRequest request;
  unsigned char* raw = nullptr;
  auto* const native_key = X509_REQ_get0_pubkey(native.get());
  const int size = native_key == nullptr ? -1 : i2d_PUBKEY(native_key, &raw);
  if (size <= 0)
    return unusable("its key cannot be read");
  auto key = PublicKey::from_der({reinterpret_cast<const char*>(raw), static_cast<std::size_t>(size)});
  OPENSSL_free(raw);
  if (!key)
    return fail("the certificate signing request cannot be used", key.error());
  if (!key->curve())
    return unusable("its key is not an EC key");
  if (X509_REQ_verify(native.get(), native_key) != 1)
    return unusable("it is not signed by its key");
  request.key = std::move(*key);

  auto subject = subject_text(X509_REQ_get_subject_name(native.get()));
  if (!subject)
    return std::unexpected(subject.error());
  request.subject = std::move(*subject);
  const Extensions extensions(X509_REQ_get_extensions(native.get()));
  if (!extensions)
    return request;
  int found = 0;
  const NativeNames names(
      static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions.get(), NID_subject_alt_name, &found, nullptr)));
  if (!names && found != -1) // there, but twice or not readable
    return unusable("its alternative names cannot be read");
  auto texts = alt_name_texts(names.get());
  if (!texts)
    return std::unexpected(texts.error());
  request.subject_alt_names = std::move(*texts);
  return request;
}

Result<std::string>
make_signing_request(const KeyPair& key, std::string_view subject, const std::vector<std::string>& subject_alt_names)
{
  const ErrorScope errors;
  const auto curve = key.public_key().curve();
  if (!curve)
    return std::unexpected(curve.error());
  const auto name = parse_subject(subject);
  if (!name)
    return std::unexpected(name.error());
  const auto names = parse_alt_names(subject_alt_names);
  if (!names)
    return std::unexpected(names.error());
  const NativeRequest made(X509_REQ_new());
  CHECK(
      made && X509_REQ_set_subject_name(made.get(), name->get()) == 1 &&
          X509_REQ_set_pubkey(made.get(), key.public_key().native()) == 1,
      "memory for a request is there");
  if (!subject_alt_names.empty())
  {
    STACK_OF(X509_EXTENSION)* list = nullptr;
    CHECK(
        X509V3_add1_i2d(&list, NID_subject_alt_name, names->get(), 0, X509V3_ADD_DEFAULT) == 1,
        "an extension that was built from its parts can be written");
    const Extensions extensions(list);
    CHECK(X509_REQ_add_extensions(made.get(), extensions.get()) == 1, "memory for an extension is there");
  }
  CHECK(
      X509_REQ_sign(made.get(), key.public_key().native(), hash_of(*curve)) > 0,
      "an EC key pair signs with its curve's hash");
  unsigned char* raw = nullptr;
  const int size = i2d_X509_REQ(made.get(), &raw);
  CHECK(size > 0, "a complete request can be written");
  const std::string der(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(size));
  OPENSSL_free(raw);
  return to_pem(der, pem_name);
}
}
