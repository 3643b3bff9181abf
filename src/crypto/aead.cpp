#include "crypto/aead.h"

#include "base/check.h"
#include "crypto/hash.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

namespace concordat::crypto
{
struct Aead::Key
{
  /// Tells keys apart where an address would not: a new key may lie where an old one was, while a thread still holds
  /// the schedule of the old one.
  std::uint64_t id = 0;
  std::array<unsigned char, 32> bytes{};

  Key() = default;
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
  ~Key()
  {
    OPENSSL_cleanse(bytes.data(), bytes.size());
  }
};

namespace
{
enum class Direction : std::uint8_t
{
  open = 0,
  seal = 1,
};

/// What one thread works with: a cipher context that holds the schedule of the key last used.
struct ThreadState
{
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  std::uint64_t key_id = 0;

  ThreadState() = default;
  ThreadState(const ThreadState&) = delete;
  ThreadState& operator=(const ThreadState&) = delete;
  ~ThreadState()
  {
    EVP_CIPHER_CTX_free(context);
  }
};

const EVP_CIPHER* aes_256_gcm()
{
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  CHECK(cipher != nullptr, "the default provider of OpenSSL has AES-256-GCM");
  return cipher;
}

/// A context ready for additional data and text.
EVP_CIPHER_CTX* start(std::uint64_t key_id, const unsigned char* key, const Iv& iv, Direction direction)
{
  thread_local ThreadState state;
  const bool same_key = state.key_id == key_id;
  state.key_id = key_id;
  CHECK(
      EVP_CipherInit_ex2(
          state.context, same_key ? nullptr : aes_256_gcm(), same_key ? nullptr : key, iv.data(),
          static_cast<int>(direction), nullptr) == 1,
      "key and IV have the sizes that AES-256-GCM asks for");
  return state.context;
}

/// Feeds additional data (no `out`) or text, in steps that OpenSSL can count in an int.
void update(EVP_CIPHER_CTX* context, char* out, const char* in, std::size_t size)
{
  constexpr std::size_t largest_step = std::size_t{1} << 30;
  for (std::size_t done = 0; done < size;)
  {
    const auto step = std::min(size - done, largest_step);
    int written = 0;
    CHECK(
        EVP_CipherUpdate(
            context, out != nullptr ? reinterpret_cast<unsigned char*>(out + done) : nullptr, &written,
            reinterpret_cast<const unsigned char*>(in + done), static_cast<int>(step)) == 1,
        "AES-GCM takes any bytes up to 64 GiB");
    done += step;
  }
}
}

Aead::Aead(std::string_view key)
{
  static std::atomic<std::uint64_t> last_id{0};
  auto made = std::make_shared<Key>();
  CHECK(key.size() == made->bytes.size(), "a key of AES-256 has 32 bytes");
  made->id = ++last_id;
  std::copy(key.begin(), key.end(), made->bytes.begin());
  key_ = std::move(made);
}

Tag Aead::seal(const Iv& iv, std::string_view aad, char* text, std::size_t size) const
{
  auto* const context = start(key_->id, key_->bytes.data(), iv, Direction::seal);
  update(context, nullptr, aad.data(), aad.size());
  update(context, text, text, size);

  std::array<unsigned char, 16> rest;
  int written = 0;
  CHECK(EVP_CipherFinal_ex(context, rest.data(), &written) == 1 && written == 0, "a stream cipher keeps nothing back");
  Tag tag;
  CHECK(
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag.size()), tag.data()) == 1,
      "a sealed text has its tag");
  return tag;
}

Result<std::string> Aead::open(const Iv& iv, std::string_view aad, std::string_view cipher, const Tag& tag) const
{
  auto* const context = start(key_->id, key_->bytes.data(), iv, Direction::open);
  update(context, nullptr, aad.data(), aad.size());
  std::string text(cipher);
  update(context, text.data(), text.data(), text.size());

  Tag expected = tag;
  CHECK(
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(expected.size()), expected.data()) == 1,
      "AES-GCM takes a tag of 16 bytes");
  std::array<unsigned char, 16> rest;
  int written = 0;
  if (EVP_CipherFinal_ex(context, rest.data(), &written) != 1)
  {
    ERR_clear_error();
    wipe(text);
    return fail(
        ErrorCode::corrupt, "authentication failed: the data, its header or the key is not the one it was sealed with");
  }
  return text;
}
}
