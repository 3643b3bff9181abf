#pragma once

#include "concordat/error.h"
#include "http/server.h"

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace concordat::http
{
using SslContext = std::shared_ptr<SSL_CTX>;

/// What the server side of http-api.md §4.1 says. Sessions are never resumed: each handshake shows the client's
/// certificate again, and no ticket key lies in memory.
/// @return Error::invalid if certificate or key cannot be read, or do not belong together
Result<SslContext> make_server_context(const TlsIdentity& identity);

/// Puts a certificate chain and its key into a context (for the server and the client).
Result<void> use_identity(SSL_CTX& context, const std::string& chain_pem, const std::string& key_pem);

/// The last complaint of OpenSSL on this thread, in its words; its queue is empty afterwards.
std::string take_openssl_error();

/// The server side of one TLS connection, between ciphertext in memory and plaintext in memory: it knows no socket, so
/// what is received or sent in one system call is up to its owner. Used by one thread; stays where it was made.
class TlsStream
{
public:
  enum class Status
  {
    ok,
    want_more, ///< all that was fed is used up
    closed,    ///< the peer said that nothing more will come
    failed,    ///< what came is not TLS, or broken; an alert may stand in the output
  };

  /// @param context  may be changed for other connections afterwards
  explicit TlsStream(const SslContext& context);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream();

  /// @param ciphertext  kept until `handshake` or `read` wants more
  void feed(std::string_view ciphertext);
  Status handshake();
  /// @param size  how many bytes were put into `to`; only with ok
  Status read(char* to, std::size_t capacity, std::size_t& size);
  /// True if a `read` now could only want more; saves the call.
  bool is_drained() const;
  /// Encrypts into the output. @return false if the connection is broken
  bool write(std::string_view plaintext);
  /// Tells the peer that nothing more will come.
  void close_notify();
  /// Gives back what OpenSSL holds for records, if it is between two.
  void release_buffers();

  /// DER, once the handshake is done; empty if the client showed none.
  std::string peer_certificate() const;

  /// Ciphertext to be sent; the owner takes away what they have sent.
  std::string& output()
  {
    return output_;
  }
  const std::string& output() const
  {
    return output_;
  }

private:
  static BIO_METHOD* bio_method();
  static int bio_read(BIO* bio, char* to, std::size_t size, std::size_t* done);
  static int bio_write(BIO* bio, const char* from, std::size_t size, std::size_t* done);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  template <typename Step> Status run(Step step);

  SSL* ssl_ = nullptr;
  std::string_view input_;
  std::string output_;
};
}
