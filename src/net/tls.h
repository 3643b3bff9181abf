#pragma once

#include "concordat/error.h"

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace concordat::net
{
using SslContext = std::shared_ptr<SSL_CTX>;

/// Puts a certificate chain and its key into a context (of a server or a client).
Result<void> use_identity(SSL_CTX& context, const std::string& chain_pem, const std::string& key_pem);

/// The last complaint of OpenSSL on this thread, in its words; its queue is empty afterwards.
std::string take_openssl_error();

/// Has TLS prove only that the other side owns the key of the certificate that they show: self-signed, expired and
/// otherwise odd ones pass. Who that is, and whether it counts, is for the owner of the connection to decide.
void accept_any_certificate(SSL_CTX& context);

/// One side of a TLS connection, between ciphertext in memory and plaintext in memory: it knows no socket, so
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

  enum class Side
  {
    server,
    client,
  };

  /// @param context  may be changed for other connections afterwards
  explicit TlsStream(const SslContext& context, Side side = Side::server);
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
  /// What is written from now on is under a fresh key: a key of AES-GCM is for 2^24.5 records at most (RFC 8446 §5.5).
  /// @return false if the connection is broken
  bool renew_key();
  /// 32 bytes that both sides of this connection compute, and of no other (RFC 8446 §7.5). @pre the handshake is done
  /// @return empty if OpenSSL refuses
  std::string exported(std::string_view label) const;
  /// Tells the peer that nothing more will come.
  void close_notify();
  /// Gives back what OpenSSL holds for records, if it is between two.
  void release_buffers();

  /// DER, once the handshake is done; empty if the other side showed none.
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
