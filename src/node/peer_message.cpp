#include "node/peer_message.h"

#include "base/check.h"
#include "base/encoding.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace concordat::node
{
namespace
{
constexpr std::uint32_t most_headers = 1024;
constexpr std::uint64_t longest_method = 32;
constexpr std::size_t node_id_size = 64;

std::unexpected<Error> wrong(const std::string& why)
{
  return fail(ErrorCode::invalid, "not a message of a node: " + why);
}

void append_text(std::string& out, std::string_view text)
{
  base::append_le(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

void append_headers(std::string& out, const Headers& headers)
{
  base::append_le(out, static_cast<std::uint32_t>(headers.size()));
  for (const auto& [name, value] : headers)
  {
    append_text(out, name);
    append_text(out, value);
  }
}

/// Reads fields one after the other; after the first that is missing, the rest is empty.
class Fields
{
public:
  explicit Fields(std::string_view bytes) : reader_(bytes) {}

  template <typename T> T number()
  {
    const auto value = reader_.le<T>();
    failed_ = failed_ || !value;
    return value && !failed_ ? *value : T{};
  }
  std::string_view bytes(std::uint64_t size)
  {
    const auto taken = reader_.take(size);
    failed_ = failed_ || !taken;
    return taken && !failed_ ? *taken : std::string_view();
  }
  std::string_view text()
  {
    return bytes(number<std::uint32_t>());
  }
  Headers headers()
  {
    Headers out;
    const auto count = number<std::uint32_t>();
    failed_ = failed_ || count > most_headers;
    for (std::uint32_t i = 0; i < count && !failed_; ++i)
    {
      const auto name = text();
      out.emplace_back(name, text());
    }
    return out;
  }
  std::string_view rest()
  {
    return bytes(reader_.left());
  }
  std::uint64_t left() const
  {
    return reader_.left();
  }
  bool failed() const
  {
    return failed_;
  }

private:
  base::Reader reader_;
  bool failed_ = false;
};

bool is_token(std::string_view text)
{
  return !text.empty() && std::ranges::all_of(
                              text,
                              [](char c)
                              {
                                return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                       std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
                              });
}

bool has_control(std::string_view text)
{
  return std::ranges::any_of(
      text, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == '\x7f'; });
}

/// Headers that end where they seem to: what a value holds must not become another header, or a body.
bool are_headers(const Headers& headers)
{
  return std::ranges::all_of(
      headers, [](const auto& header) { return is_token(header.first) && !has_control(header.second); });
}

/// The body beside the head, not copied again.
Result<peer::Payload> joined(std::string head, std::uint64_t head_limit, std::string body, std::uint64_t body_limit)
{
  if (head.size() > head_limit)
    return fail(ErrorCode::limit, "its headers are larger than " + std::to_string(head_limit) + " bytes");
  if (body.size() > body_limit)
    return fail(
        ErrorCode::limit,
        "its body of " + std::to_string(body.size()) + " bytes is larger than " + std::to_string(body_limit));
  const auto owner = std::make_shared<const std::pair<std::string, std::string>>(std::move(head), std::move(body));
  std::vector<std::string_view> pieces{owner->first};
  if (!owner->second.empty())
    pieces.emplace_back(owner->second);
  return peer::Payload(owner, std::move(pieces));
}
}

bool is_peer_address(std::string_view text)
{
  const auto colon = text.rfind(':');
  return text.size() <= ConsensusMessage::address_limit && colon != std::string_view::npos && colon != 0 &&
         colon + 1 < text.size() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string ConsensusMessage::encode_head() const
{
  CHECK(address.size() <= address_limit && message.size() <= message_limit, "who sends keeps to the limits");
  std::string out;
  out.reserve(1 + address.size() + sizeof(std::uint32_t) + message.size());
  base::append_le(out, static_cast<std::uint8_t>(address.size()));
  out += address;
  append_text(out, message);
  return out;
}

Result<ConsensusMessage> ConsensusMessage::decode(std::string_view bytes)
{
  Fields fields(bytes);
  ConsensusMessage out;
  out.address = fields.bytes(fields.number<std::uint8_t>());
  out.message = fields.text();
  out.batches = fields.rest();
  if (fields.failed())
    return wrong("it ends too early");
  if (out.message.size() > message_limit)
    return wrong("its part for consensus is larger than " + std::to_string(message_limit) + " bytes");
  if (!out.address.empty() && !is_peer_address(out.address))
    return wrong("its address is none");
  return out;
}

Result<peer::Payload> ForwardedRequest::encode() &&
{
  std::string head;
  base::append_le(head, id);
  base::append_le(head, view);
  append_text(head, certificate);
  append_text(head, request.method);
  append_text(head, request.path);
  append_text(head, request.query);
  append_headers(head, request.headers);
  if (request.headers.size() > most_headers)
    return fail(ErrorCode::limit, "it has more than " + std::to_string(most_headers) + " headers");
  return joined(std::move(head), head_limit, std::move(request.body), body_limit);
}

Result<ForwardedRequest> ForwardedRequest::decode(std::string_view bytes)
{
  Fields fields(bytes);
  ForwardedRequest out;
  out.id = fields.number<std::uint64_t>();
  out.view = fields.number<View>();
  out.certificate = fields.text();
  out.request.method = fields.text();
  out.request.path = fields.text();
  out.request.query = fields.text();
  out.request.headers = fields.headers();
  const auto head = bytes.size() - fields.left();
  const auto body = fields.rest();
  if (fields.failed())
    return wrong("it ends too early");
  if (head > head_limit || body.size() > body_limit)
    return wrong("it is larger than a request may be that is forwarded");
  const auto& method = out.request.method;
  if (method.size() > longest_method || !is_token(method) ||
      std::ranges::any_of(method, [](char c) { return c >= 'a' && c <= 'z'; }))
    return wrong("its method is none");
  if (!out.request.path.starts_with('/') || has_control(out.request.path) || !are_headers(out.request.headers))
    return wrong("its path or headers are none");
  out.request.body = body;
  return out;
}

Result<peer::Payload> ForwardedAnswer::encode() &&
{
  CHECK(!response.stream, "who answers has read the stream");
  std::string head;
  base::append_le(head, id);
  base::append_le(head, static_cast<std::uint8_t>(close ? 1 : 0));
  base::append_le(head, static_cast<std::uint16_t>(response.status));
  append_headers(head, response.headers);
  if (response.headers.size() > most_headers)
    return fail(ErrorCode::limit, "it has more than " + std::to_string(most_headers) + " headers");
  return joined(std::move(head), head_limit, std::move(response.body), body_limit);
}

Result<ForwardedAnswer> ForwardedAnswer::decode(std::string_view bytes)
{
  Fields fields(bytes);
  ForwardedAnswer out;
  out.id = fields.number<std::uint64_t>();
  const auto close = fields.number<std::uint8_t>();
  out.close = close == 1;
  out.response.status = fields.number<std::uint16_t>();
  out.response.headers = fields.headers();
  const auto head = bytes.size() - fields.left();
  const auto body = fields.rest();
  if (fields.failed() || close > 1)
    return wrong("it ends too early");
  if (head > head_limit || body.size() > body_limit)
    return wrong("it is larger than an answer may be that is forwarded");
  // 1xx would be no answer, and the client would wait for another one.
  if (out.response.status < 200 || out.response.status > 599)
    return wrong("its status is none");
  out.response.body = body;
  return out;
}

peer::Payload ForwardedPlace::encode() const
{
  std::string out;
  base::append_le(out, id);
  base::append_le(out, txid.view);
  base::append_le(out, txid.seqno);
  return out;
}

Result<ForwardedPlace> ForwardedPlace::decode(std::string_view bytes)
{
  Fields fields(bytes);
  ForwardedPlace out;
  out.id = fields.number<std::uint64_t>();
  out.txid.view = fields.number<View>();
  out.txid.seqno = fields.number<Seqno>();
  if (fields.failed() || fields.left() != 0)
    return wrong("it has another size");
  // As whoever asks for it has to write it.
  if (!TxId::parse(out.txid.to_string()))
    return wrong("it names no transaction");
  return out;
}

Result<peer::Payload> NodeUpdate::encode() const
{
  std::string out;
  append_text(out, changes);
  append_text(out, certificate_signing_request);
  if (out.size() > limit)
    return fail(ErrorCode::limit, "it is larger than " + std::to_string(limit) + " bytes");
  return peer::Payload(std::move(out));
}

Result<NodeUpdate> NodeUpdate::decode(std::string_view bytes)
{
  if (bytes.size() > limit)
    return wrong("it is larger than the record of a node may be");
  Fields fields(bytes);
  NodeUpdate out;
  out.changes = fields.text();
  out.certificate_signing_request = fields.text();
  if (fields.failed() || fields.left() != 0)
    return wrong("it has another size");
  return out;
}
Result<peer::Payload> ForwardedPiece::encode() &&
{
  std::string head;
  base::append_le(head, id);
  base::append_le(head, static_cast<std::uint8_t>(end));
  const auto head_limit = head.size();
  return joined(std::move(head), head_limit, std::move(bytes), limit);
}

Result<ForwardedPiece> ForwardedPiece::decode(std::string_view bytes)
{
  Fields fields(bytes);
  ForwardedPiece out;
  out.id = fields.number<std::uint64_t>();
  const auto end = fields.number<std::uint8_t>();
  out.bytes = fields.rest();
  if (fields.failed() || end > static_cast<std::uint8_t>(End::broken))
    return wrong("it ends too early");
  if (out.bytes.size() > limit)
    return wrong("it is larger than a piece of an answer may be");
  out.end = static_cast<End>(end);
  return out;
}

peer::Payload ForwardedMore::encode() const
{
  std::string out;
  base::append_le(out, id);
  base::append_le(out, static_cast<std::uint8_t>(wanted ? 1 : 0));
  return out;
}

Result<ForwardedMore> ForwardedMore::decode(std::string_view bytes)
{
  Fields fields(bytes);
  ForwardedMore out;
  out.id = fields.number<std::uint64_t>();
  const auto wanted = fields.number<std::uint8_t>();
  if (fields.failed() || fields.left() != 0 || wanted > 1)
    return wrong("it has another size");
  out.wanted = wanted == 1;
  return out;
}

peer::Payload NodeAddresses::encode() const
{
  CHECK(addresses.size() <= max_nodes, "who sends keeps to the limit");
  std::string out;
  base::append_le(out, static_cast<std::uint16_t>(addresses.size()));
  for (const auto& [node, address] : addresses)
  {
    append_text(out, node);
    append_text(out, address);
  }
  return peer::Payload(std::move(out));
}

Result<NodeAddresses> NodeAddresses::decode(std::string_view bytes)
{
  Fields fields(bytes);
  NodeAddresses out;
  const auto count = fields.number<std::uint16_t>();
  if (count > max_nodes)
    return wrong("it names too many nodes");
  for (std::uint16_t i = 0; i < count && !fields.failed(); ++i)
  {
    const auto node = fields.text();
    const auto address = fields.text();
    const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    if (!fields.failed() &&
        (node.size() != node_id_size || !std::ranges::all_of(node, is_hex) || !is_peer_address(address)))
      return wrong("it names a node or an address that is none");
    if (!out.addresses.empty() && node <= out.addresses.rbegin()->first)
      return wrong("its nodes are not in order");
    out.addresses.emplace(node, address);
  }
  if (fields.failed() || fields.left() != 0)
    return wrong("it has another size");
  return out;
}

peer::Payload AcceptedAbsence::encode() const
{
  CHECK(missing.size() <= max_missing, "who sends keeps to the limit");
  std::string out;
  base::append_le(out, start);
  base::append_le(out, static_cast<std::uint16_t>(missing.size()));
  for (const auto id : missing)
    base::append_le(out, id);
  return peer::Payload(std::move(out));
}

Result<AcceptedAbsence> AcceptedAbsence::decode(std::string_view bytes)
{
  Fields fields(bytes);
  AcceptedAbsence out;
  out.start = fields.number<std::uint64_t>();
  const auto count = fields.number<std::uint16_t>();
  if (count == 0 || count > max_missing)
    return wrong("it names nobody, or too many nodes");
  for (std::uint16_t i = 0; i < count; ++i)
    out.missing.push_back(fields.number<consensus::EngineId>());
  // The tables hold numbers of JSON.
  if (fields.failed() || fields.left() != 0 || out.start == 0 ||
      std::ranges::any_of(out.missing, [](auto id) { return id == 0 || id >= std::uint64_t{1} << 63; }))
    return wrong("it has another size, or numbers that are none");
  return out;
}
}
