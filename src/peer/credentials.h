#pragma once

#include "concordat/error.h"
#include "crypto/keys.h"
#include "net/tls.h"
#include "peer/hello.h"
#include "peer/refusal.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::peer
{
/// What a node shows to others.
struct Identity
{
  std::string certificate_pem; ///< endorsed by the service
  std::string private_key_pem;
};

/// The settings of both sides: TLS 1.3 alone, both show a certificate, nothing is resumed. TLS proves only who owns
/// which key; whether that counts is said by `present` and `judge`, because the validity of a node's certificate does
/// not matter between nodes: a wrong clock cuts nobody off.
/// @return Error::invalid if certificate or key cannot be read, or do not belong together
Result<net::SslContext> make_context(const Identity& identity);

/// The id of the node that a certificate is for, and its form on the wire.
Result<std::string> node_id_of(const Identity& identity);
std::optional<Digest> to_wire(const NodeId& id);
NodeId from_wire(const Digest& id);

/// Says which keys the service has and had, the newest first: who is endorsed by any of them belongs to it.
using ServiceKeys = std::function<std::vector<crypto::PublicKey>()>;
/// Says whether a node takes part, by the tables of the ledger.
using MaySpeak = std::function<bool(const NodeId&)>;

/// Who is at the other end, as far as TLS has proved it.
struct Presented
{
  NodeId id; ///< empty if there is no certificate that can be read
  bool endorsed = false;
};
Presented present(std::string_view certificate_der, const std::vector<crypto::PublicKey>& service_keys);

/// What a hello is held against.
struct Terms
{
  NodeId own_id;
  VersionRange versions;
};

/// Whether a node may speak that has said hello. The first reason that there is, from what is certain to what may
/// change: so a stranger learns nothing of the members.
/// @param binding  of the connection
Refusal judge(
    const Hello& hello, const Presented& presented, std::string_view binding, const Terms& terms,
    const std::vector<crypto::PublicKey>& service_keys, const MaySpeak& may_speak);

/// Whether a node that answered is the one that was called.
Refusal judge(
    const Answer& answer, const Presented& presented, const NodeId& called, const Terms& terms,
    const std::vector<crypto::PublicKey>& service_keys);

/// The service's name in a greeting: of its newest key. All zeros if there is none.
Digest service_digest(const std::vector<crypto::PublicKey>& service_keys);
}
