#include "crypto/cose_sign1.h"

#include "crypto/openssl.h"

#include <algorithm>

namespace concordat::crypto
{
namespace
{
constexpr std::uint64_t sign1_tag = 18;
constexpr std::uint64_t sign1_parts = 4;
constexpr std::int64_t algorithm_label = 1;

std::unexpected<Error> wrong(std::string why)
{
  return fail(ErrorCode::corrupt, "COSE message: " + std::move(why));
}

std::unexpected<Error> wrong(const std::string& where, Error cause)
{
  return fail("COSE message: " + where, std::move(cause));
}

/// RFC 9052 §4.4.
std::string to_be_signed(std::string_view protected_header, std::string_view payload)
{
  return CborWriter().array(4).text("Signature1").bytes(protected_header).bytes("").bytes(payload).encoded();
}
}

Result<CoseSign1> CoseSign1::parse(std::string_view message)
{
  CborReader reader(message);
  const auto tag = reader.tag();
  if (!tag)
    return wrong("tag", tag.error());
  if (*tag != sign1_tag)
    return wrong("tag " + std::to_string(*tag) + " where COSE_Sign1 has 18");
  const auto parts = reader.array();
  if (!parts)
    return wrong("content", parts.error());
  if (*parts != sign1_parts)
    return wrong(std::to_string(*parts) + " parts where COSE_Sign1 has 4");

  CoseSign1 result;
  const auto protected_header = reader.bytes();
  if (!protected_header)
    return wrong("protected header", protected_header.error());
  result.protected_header = *protected_header;

  const auto type = reader.peek();
  if (type && *type != CborType::map)
    return wrong("the unprotected header is not a map");
  const auto unprotected_header = reader.item();
  if (!unprotected_header)
    return wrong("unprotected header", unprotected_header.error());
  result.unprotected_header = *unprotected_header;

  if (!reader.null())
  {
    const auto payload = reader.bytes();
    if (!payload)
      return wrong("payload", payload.error());
    result.payload = *payload;
  }
  const auto signature = reader.bytes();
  if (!signature)
    return wrong("signature", signature.error());
  result.signature = *signature;
  if (!reader.done())
    return wrong("it is followed by something else");
  return result;
}

Result<CoseHeader> CoseHeader::parse(std::string_view encoded)
{
  CoseHeader header;
  if (encoded.empty())
    return header;
  CborReader reader(encoded);
  const auto count = reader.map();
  if (!count)
    return wrong("header", count.error());
  if (*count > label_limit)
    return wrong("a header with " + std::to_string(*count) + " labels; no more than 64 are read");
  for (std::uint64_t i = 0; i < *count; ++i)
  {
    CoseLabel label;
    const auto type = reader.peek();
    if (type && *type == CborType::text)
    {
      const auto text = reader.text();
      if (!text)
        return wrong("label", text.error());
      label = *text;
    }
    else
    {
      const auto number = reader.integer();
      if (!number)
        return wrong("label", number.error());
      label = *number;
    }
    if (header.find(label))
      return wrong("a label stands twice in a header");
    const auto value = reader.item();
    if (!value)
      return wrong("header value", value.error());
    header.values_.emplace_back(label, *value);
  }
  if (!reader.done())
    return wrong("the header is followed by something else");
  return header;
}

std::optional<CborReader> CoseHeader::find(CoseLabel label) const
{
  const auto found =
      std::find_if(values_.begin(), values_.end(), [&label](const auto& entry) { return entry.first == label; });
  if (found == values_.end())
    return std::nullopt;
  return CborReader(found->second);
}

Result<void> verify_cose_sign1(const CoseSign1& message, std::string_view payload, const PublicKey& key)
{
  const auto curve = key.curve();
  if (!curve)
    return wrong("cannot be verified", curve.error());
  const auto header = CoseHeader::parse(message.protected_header);
  if (!header)
    return std::unexpected(header.error());
  auto value = header->find(algorithm_label);
  if (!value)
    return wrong("the protected header has no algorithm (label 1)");
  const auto algorithm = value->integer();
  if (!algorithm)
    return wrong("algorithm", algorithm.error());
  if (*algorithm != cose_algorithm(*curve))
    return wrong(
        "algorithm " + std::to_string(*algorithm) + " where the key has " + std::to_string(cose_algorithm(*curve)));
  if (!key.verify_cose(to_be_signed(message.protected_header, payload), message.signature))
    return wrong("the signature does not verify");
  return {};
}

std::string
make_cose_sign1(const KeyPair& key, std::string_view protected_header, std::string_view payload, bool attached)
{
  CborWriter message;
  message.tag(sign1_tag).array(sign1_parts).bytes(protected_header).map(0);
  if (attached)
    message.bytes(payload);
  else
    message.null();
  return message.bytes(key.sign_cose(to_be_signed(protected_header, payload))).encoded();
}

std::int64_t cose_algorithm(Curve curve)
{
  return facts(curve).cose_algorithm;
}
}
