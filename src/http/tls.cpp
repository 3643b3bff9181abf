#include "http/tls.h"

#include <memory>
#include <string_view>

namespace concordat::http
{
namespace
{
int choose_http_1_1(
    SSL*, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
    unsigned int offered_size, void*)
{
  constexpr std::string_view wanted = "http/1.1";
  const std::string_view list(reinterpret_cast<const char*>(offered), offered_size);
  for (std::size_t at = 0; at < list.size(); at += 1 + static_cast<unsigned char>(list[at]))
  {
    if (list.substr(at + 1, static_cast<unsigned char>(list[at])) != wanted)
      continue;
    *chosen = offered + at + 1;
    *chosen_size = static_cast<unsigned char>(wanted.size());
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

Result<void> configure(SSL_CTX* context)
{
  SSL_CTX_set_options(
      context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  // Who a client is, and whether that counts, is decided by the authentication of each endpoint.
  net::accept_any_certificate(*context);
  SSL_CTX_set_alpn_select_cb(context, choose_http_1_1, nullptr);
  const bool done = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                    SSL_CTX_set_num_tickets(context, 0) == 1 &&
                    SSL_CTX_set_cipher_list(
                        context, "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:"
                                 "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256") == 1 &&
                    SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256") == 1 &&
                    SSL_CTX_set1_groups_list(context, "P-521:P-384:P-256") == 1;
  if (!done)
    return fail(ErrorCode::internal, "OpenSSL refuses the TLS settings: " + net::take_openssl_error());
  return {};
}
}

Result<net::SslContext> make_server_context(const TlsIdentity& identity)
{
  net::SslContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context)
    return fail(ErrorCode::internal, "cannot make a TLS context: " + net::take_openssl_error());
  if (auto configured = configure(context.get()); !configured)
    return std::unexpected(configured.error());
  if (auto used = net::use_identity(*context, identity.certificate_chain_pem, identity.private_key_pem); !used)
    return std::unexpected(used.error());
  return context;
}
}
