#include "peer/credentials.h"

#include "base/encoding.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"

#include <algorithm>
#include <memory>

namespace concordat::peer
{
namespace
{
/// Of the other side's certificates, before anything is known of them; a node shows one.
constexpr long certificates_limit = 16 << 10;

bool is_of_service(const Digest& named, const std::vector<crypto::PublicKey>& service_keys)
{
  return std::any_of(
      service_keys.begin(), service_keys.end(), [&](const auto& key) { return crypto::sha256(key.der()) == named; });
}
}

Result<net::SslContext> make_context(const Identity& identity)
{
  net::SslContext context(SSL_CTX_new(TLS_method()), SSL_CTX_free);
  if (!context)
    return fail(ErrorCode::internal, "cannot make a TLS context: " + net::take_openssl_error());
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_max_cert_list(context.get(), certificates_limit);
  net::accept_any_certificate(*context);
  const bool done = SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1 &&
                    SSL_CTX_set_num_tickets(context.get(), 0) == 1 &&
                    SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256") == 1 &&
                    SSL_CTX_set1_groups_list(context.get(), "P-256:P-384:X25519") == 1;
  if (!done)
    return fail(ErrorCode::internal, "OpenSSL refuses the TLS settings: " + net::take_openssl_error());
  if (auto used = net::use_identity(*context, identity.certificate_pem, identity.private_key_pem); !used)
    return std::unexpected(used.error());
  return context;
}

Result<NodeId> node_id_of(const Identity& identity)
{
  const auto certificate = crypto::Certificate::from_pem(identity.certificate_pem);
  if (!certificate)
    return fail("cannot tell the node's id", certificate.error());
  return certificate->public_key().id();
}

std::optional<Digest> to_wire(const NodeId& id)
{
  const auto bytes = base::from_hex(id);
  if (!bytes || base::to_hex(*bytes) != id)
    return std::nullopt;
  const auto digest = base::to_digest(*bytes);
  return digest ? std::optional(*digest) : std::nullopt;
}

NodeId from_wire(const Digest& id)
{
  return base::to_hex(base::as_view(id));
}

Presented present(std::string_view certificate_der, const std::vector<crypto::PublicKey>& service_keys)
{
  const auto certificate = crypto::Certificate::from_der(certificate_der);
  if (!certificate)
    return {};
  const auto signed_by = [&](const auto& key) { return certificate->signed_by(key); };
  return {
      certificate->public_key().id(),
      // The service signs other authorities too: its own keys before. None of them is a node.
      !certificate->is_ca() && std::any_of(service_keys.begin(), service_keys.end(), signed_by)};
}

Refusal judge(
    const Hello& hello, const Presented& presented, std::string_view binding, const Terms& terms,
    const std::vector<crypto::PublicKey>& service_keys, const MaySpeak& may_speak)
{
  if (!presented.endorsed)
    return Refusal::certificate;
  if (from_wire(hello.from) != presented.id)
    return Refusal::sender;
  if (binding.empty() || base::as_view(hello.binding) != binding)
    return Refusal::binding;
  if (from_wire(hello.to) != terms.own_id)
    return Refusal::recipient;
  if (!is_of_service(hello.service, service_keys))
    return Refusal::service;
  if (!negotiate(hello.versions, terms.versions))
    return Refusal::version;
  if (!may_speak(presented.id))
    return Refusal::membership;
  return Refusal::none;
}

Refusal judge(
    const Answer& answer, const Presented& presented, const NodeId& called, const Terms& terms,
    const std::vector<crypto::PublicKey>& service_keys)
{
  if (!presented.endorsed)
    return Refusal::certificate;
  if (presented.id != called)
    return Refusal::recipient;
  if (answer.refusal != Refusal::none)
    return answer.refusal;
  if (!is_of_service(answer.service, service_keys))
    return Refusal::service;
  if (answer.version < terms.versions.min || answer.version > terms.versions.max)
    return Refusal::version;
  return Refusal::none;
}

Digest service_digest(const std::vector<crypto::PublicKey>& service_keys)
{
  return service_keys.empty() ? Digest{} : crypto::sha256(service_keys.front().der());
}
}
