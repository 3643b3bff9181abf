#include "crypto/openssl.h"

#include "base/check.h"

#include <array>
#include <limits>
#include <openssl/pem.h>

using namespace std::string_view_literals;

namespace concordat::crypto
{
namespace
{
constexpr std::array<CurveFacts, 3> all_facts{{
    {"P-256", "SHA256", 32, -7,
     "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"sv},
    {"P-384", "SHA384", 48, -35,
     "\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04"sv},
    {"P-521", "SHA512", 66, -36,
     "\x30\x81\x9b\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23\x03\x81\x86\x00\x04"sv},
}};

/// More than any certificate or key that is in use.
constexpr std::size_t pem_limit = std::size_t{256} << 10;

void free_openssl_bytes(void* bytes)
{
  OPENSSL_free(bytes);
}
}

const CurveFacts& facts(Curve curve)
{
  return all_facts.at(static_cast<std::size_t>(curve));
}

const EVP_MD* hash_of(Curve curve)
{
  static const std::array<const EVP_MD*, 3> hashes{
      EVP_MD_fetch(nullptr, all_facts[0].hash, nullptr), EVP_MD_fetch(nullptr, all_facts[1].hash, nullptr),
      EVP_MD_fetch(nullptr, all_facts[2].hash, nullptr)};
  const auto* const hash = hashes.at(static_cast<std::size_t>(curve));
  CHECK(hash != nullptr, "the default provider of OpenSSL has SHA-2");
  return hash;
}

std::string openssl_reason()
{
  const auto code = ERR_peek_last_error();
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "no reason given" : reason;
}

Result<std::string> pem_content(std::string_view text, std::string_view name, std::string_view what)
{
  const ErrorScope errors;
  const auto wrong = [what](const std::string& why)
  { return fail(ErrorCode::invalid, "not a PEM " + std::string(what) + ": " + why); };
  if (text.size() > pem_limit)
    return wrong("larger than " + std::to_string(pem_limit) + " bytes");
  const auto first = text.find("-----BEGIN ");
  if (first == std::string_view::npos)
    return wrong("no line -----BEGIN " + std::string(name) + "-----");
  if (text.find("-----BEGIN ", first + 1) != std::string_view::npos)
    return wrong("more than one block; give exactly one");

  const Owned<BIO, BIO_free> input(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  CHECK(input, "memory for a few words is there");
  char* raw_name = nullptr;
  char* raw_header = nullptr;
  unsigned char* raw_content = nullptr;
  long size = 0;
  if (PEM_read_bio(input.get(), &raw_name, &raw_header, &raw_content, &size) != 1)
    return wrong(openssl_reason());
  const Owned<char, free_openssl_bytes> found_name(raw_name);
  const Owned<char, free_openssl_bytes> header(raw_header);
  const Owned<unsigned char, free_openssl_bytes> content(raw_content);
  if (std::string_view(raw_name) != name)
    return wrong("the block is a " + std::string(raw_name));
  if (*raw_header != '\0')
    return wrong("headers in the block, such as those of encryption, are not accepted");
  return std::string(reinterpret_cast<const char*>(raw_content), static_cast<std::size_t>(size));
}

std::string to_pem(std::string_view der, const char* name)
{
  const Owned<BIO, BIO_free> output(BIO_new(BIO_s_mem()));
  CHECK(
      output && PEM_write_bio(
                    output.get(), name, "", reinterpret_cast<const unsigned char*>(der.data()),
                    static_cast<long>(der.size())) > 0,
      "memory takes any text");
  char* text = nullptr;
  const auto size = BIO_get_mem_data(output.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

namespace
{
constexpr std::size_t largest_private_pem = std::size_t{64} << 10;

int no_password(char*, int, int, void*)
{
  return -1;
}
}

Result<std::shared_ptr<EVP_PKEY>> private_key_from_pem(std::string_view pem)
{
  const ErrorScope errors;
  const auto wrong = [](std::string why) { return fail(ErrorCode::invalid, std::move(why)); };
  if (pem.size() > largest_private_pem)
    return wrong("larger than " + std::to_string(largest_private_pem) + " bytes");
  const Owned<BIO, BIO_free> input(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  CHECK(input, "memory for a few words is there");
  auto key = own(PEM_read_bio_PrivateKey(input.get(), nullptr, no_password, nullptr));
  if (!key)
    return wrong(openssl_reason() + " (an encrypted key is not accepted)");
  return key;
}
}
