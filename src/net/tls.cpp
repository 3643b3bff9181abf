#include "net/tls.h"

#include "base/check.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace concordat::net
{
namespace
{
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

BioPtr memory_bio(const std::string& text)
{
  const auto size = std::min<std::size_t>(text.size(), std::numeric_limits<int>::max());
  return {BIO_new_mem_buf(text.data(), static_cast<int>(size)), BIO_free};
}

/// Without it OpenSSL would ask for the password of an encrypted key on the terminal.
int no_password(char*, int, int, void*)
{
  return -1;
}

/// An old complaint in the queue would be taken for the next call's. Looking costs less than clearing.
void forget_errors()
{
  if (ERR_peek_error() != 0)
    ERR_clear_error();
}
}

void accept_any_certificate(SSL_CTX& context)
{
  const auto accept = [](X509_STORE_CTX* store, void*)
  {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  };
  SSL_CTX_set_cert_verify_callback(&context, accept, nullptr);
}

std::string take_openssl_error()
{
  const auto code = ERR_peek_last_error();
  ERR_clear_error();
  const char* const reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "no reason given";
}

Result<void> use_identity(SSL_CTX& context, const std::string& chain_pem, const std::string& key_pem)
{
  ERR_clear_error();
  const auto chain = memory_bio(chain_pem);
  const X509Ptr certificate(PEM_read_bio_X509(chain.get(), nullptr, no_password, nullptr), X509_free);
  if (!certificate)
    return fail(ErrorCode::invalid, "the TLS certificate is not a certificate in PEM form: " + take_openssl_error());
  if (SSL_CTX_use_certificate(&context, certificate.get()) != 1)
    return fail(ErrorCode::invalid, "the TLS certificate cannot be used: " + take_openssl_error());
  while (X509* issuer = PEM_read_bio_X509(chain.get(), nullptr, no_password, nullptr))
  {
    if (SSL_CTX_add0_chain_cert(&context, issuer) != 1)
    {
      X509_free(issuer);
      return fail(ErrorCode::invalid, "the chain of the TLS certificate cannot be used: " + take_openssl_error());
    }
  }
  ERR_clear_error();

  const auto key_text = memory_bio(key_pem);
  const KeyPtr key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, no_password, nullptr), EVP_PKEY_free);
  if (!key)
    return fail(ErrorCode::invalid, "the TLS private key is not an unencrypted key in PEM form");
  if (SSL_CTX_use_PrivateKey(&context, key.get()) != 1 || SSL_CTX_check_private_key(&context) != 1)
    return fail(ErrorCode::invalid, "the TLS private key does not belong to the certificate: " + take_openssl_error());
  return {};
}

BIO_METHOD* TlsStream::bio_method()
{
  static BIO_METHOD* const method = []
  {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "concordat memory");
    CHECK(made != nullptr, "a few bytes at the start of the process");
    BIO_meth_set_read_ex(made, bio_read);
    BIO_meth_set_write_ex(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

int TlsStream::bio_read(BIO* bio, char* to, std::size_t size, std::size_t* done)
{
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *done = std::min(size, self.input_.size());
  if (*done == 0)
  {
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(to, self.input_.data(), *done);
  self.input_.remove_prefix(*done);
  return 1;
}

int TlsStream::bio_write(BIO* bio, const char* from, std::size_t size, std::size_t* done)
{
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  self.output_.append(from, size);
  *done = size;
  return 1;
}

long TlsStream::bio_control(BIO*, int command, long, void*)
{
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

TlsStream::TlsStream(const SslContext& context, Side side) : ssl_(SSL_new(context.get()))
{
  BIO* const bio = BIO_new(bio_method());
  CHECK(ssl_ != nullptr && bio != nullptr, "memory for a connection; without it nothing else would go on either");
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  if (side == Side::server)
    SSL_set_accept_state(ssl_);
  else
    SSL_set_connect_state(ssl_);
}

TlsStream::~TlsStream()
{
  SSL_free(ssl_);
}

void TlsStream::feed(std::string_view ciphertext)
{
  CHECK(input_.empty(), "what was fed before is used up before more is fed");
  input_ = ciphertext;
}

template <typename Step> TlsStream::Status TlsStream::run(Step step)
{
  while (true)
  {
    forget_errors();
    const auto before = input_.size();
    const int result = step();
    if (result == 1)
      return Status::ok;
    const int error = SSL_get_error(ssl_, result);
    if (error == SSL_ERROR_WANT_READ && input_.empty())
      return Status::want_more;
    // OpenSSL may stop between two records, after a message that carries no data.
    if (error == SSL_ERROR_WANT_READ && input_.size() < before)
      continue;
    input_ = {};
    return error == SSL_ERROR_ZERO_RETURN ? Status::closed : Status::failed;
  }
}

TlsStream::Status TlsStream::handshake()
{
  return run([&] { return SSL_do_handshake(ssl_); });
}

TlsStream::Status TlsStream::read(char* to, std::size_t capacity, std::size_t& size)
{
  return run([&] { return SSL_read_ex(ssl_, to, capacity, &size); });
}

bool TlsStream::is_drained() const
{
  return input_.empty() && SSL_pending(ssl_) == 0;
}

bool TlsStream::write(std::string_view plaintext)
{
  if (plaintext.empty())
    return true;
  forget_errors();
  std::size_t written = 0;
  return SSL_write_ex(ssl_, plaintext.data(), plaintext.size(), &written) == 1 && written == plaintext.size();
}

bool TlsStream::renew_key()
{
  forget_errors();
  return SSL_key_update(ssl_, SSL_KEY_UPDATE_NOT_REQUESTED) == 1;
}

std::string TlsStream::exported(std::string_view label) const
{
  forget_errors();
  std::string bytes(32, '\0');
  const int done = SSL_export_keying_material(
      ssl_, reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), label.data(), label.size(), nullptr, 0, 0);
  return done == 1 ? bytes : std::string();
}

void TlsStream::close_notify()
{
  if ((SSL_get_shutdown(ssl_) & SSL_SENT_SHUTDOWN) != 0)
    return;
  forget_errors();
  SSL_shutdown(ssl_);
}

void TlsStream::release_buffers()
{
  SSL_free_buffers(ssl_);
  if (output_.empty())
    std::string().swap(output_);
}

std::string TlsStream::peer_certificate() const
{
  const X509* const certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr)
    return {};
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0)
    return {};
  std::string bytes(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return bytes;
}
}
