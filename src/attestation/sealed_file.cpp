#include "attestation/sealed_file.h"

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

#include <algorithm>

namespace concordat::attestation
{
namespace
{
constexpr std::string_view magic = "cncdseal";
constexpr std::uint32_t version = 1;
constexpr std::string_view key_info = "concordat sealed file v1:";
constexpr std::size_t key_size = 32;
constexpr std::size_t salt_size = 16;
constexpr std::size_t iv_size = std::tuple_size_v<crypto::Iv>;
constexpr std::size_t tag_size = std::tuple_size_v<crypto::Tag>;
/// Magic, version, salt and IV: what the tag covers beside the text.
constexpr std::size_t authenticated_size = magic.size() + sizeof(version) + salt_size + iv_size;
constexpr std::size_t header_size = authenticated_size + tag_size;

crypto::Aead cipher_for(std::string_view sealing_key, std::string_view salt, std::string_view purpose)
{
  auto key = crypto::hkdf_sha256(sealing_key, salt, std::string(key_info) + std::string(purpose), key_size);
  crypto::Aead cipher(key);
  crypto::wipe(key);
  return cipher;
}

template <typename Array> Array to_array(std::string_view bytes)
{
  Array array;
  CHECK(bytes.size() == array.size(), "the caller has taken exactly as many bytes");
  std::copy(bytes.begin(), bytes.end(), array.begin());
  return array;
}

std::unexpected<Error> unusable(const base::Path& path, std::string_view purpose, const std::string& why)
{
  return fail(
      ErrorCode::corrupt,
      "sealed file '" + path + "' (" + std::string(purpose) + ") " + why +
          "; none of it was used. If the sealing key has changed, put back the right key. Otherwise move the file away "
          "to "
          "start without it, and do not restore an older copy: the node may have promised more since");
}
}

SealedFiles::SealedFiles(base::FileSystem& files, std::string_view sealing_key)
    : files_(files),
      sealing_key_(sealing_key)
{
  CHECK(sealing_key.size() == key_size, "a platform gives a sealing key of 32 bytes");
}

SealedFiles::~SealedFiles()
{
  crypto::wipe(sealing_key_);
}

Result<void> SealedFiles::write(const base::Path& path, std::string_view purpose, std::string_view plaintext)
{
  if (plaintext.size() > size_limit)
    return fail(
        ErrorCode::limit, "sealed file '" + path + "' would hold " + std::to_string(plaintext.size()) +
                              " bytes; no more than " + std::to_string(size_limit) + " are allowed");

  const auto salt = crypto::random_bytes(salt_size);
  const auto iv = crypto::random_bytes(iv_size);
  std::string content;
  content.reserve(header_size + plaintext.size());
  content.append(magic);
  base::append_le(content, version);
  content.append(salt).append(iv);
  const auto authenticated = content;
  content.append(tag_size, '\0').append(plaintext);

  const auto tag = cipher_for(sealing_key_, salt, purpose)
                       .seal(to_array<crypto::Iv>(iv), authenticated, content.data() + header_size, plaintext.size());
  std::copy(tag.begin(), tag.end(), content.begin() + authenticated_size);
  if (auto replaced = files_.replace(path, content); !replaced)
    return fail("cannot write the sealed file (" + std::string(purpose) + ")", replaced.error());
  return {};
}

Result<std::string> SealedFiles::read(const base::Path& path, std::string_view purpose)
{
  const auto content = files_.read(path, header_size + size_limit);
  if (!content && content.error().code == ErrorCode::limit)
    return unusable(path, purpose, "is larger than any that was ever written");
  if (!content)
    return fail("cannot read the sealed file (" + std::string(purpose) + ")", content.error());
  if (content->size() < header_size)
    return unusable(path, purpose, "is cut off in its header");

  base::Reader reader(*content);
  if (*reader.take(magic.size()) != magic)
    return unusable(path, purpose, "is not a sealed file");
  if (const auto found = *reader.le<std::uint32_t>(); found != version)
    return unusable(path, purpose, "has version " + std::to_string(found) + ", which this release does not know");
  const auto salt = *reader.take(salt_size);
  const auto iv = to_array<crypto::Iv>(*reader.take(iv_size));
  const auto tag = to_array<crypto::Tag>(*reader.take(tag_size));
  auto plaintext = cipher_for(sealing_key_, salt, purpose)
                       .open(iv, std::string_view(*content).substr(0, authenticated_size), reader.rest(), tag);
  if (!plaintext)
    return unusable(path, purpose, "was changed, or written under another sealing key or for another purpose");
  return plaintext;
}
}
