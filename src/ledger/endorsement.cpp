#include "ledger/endorsement.h"

#include "crypto/cose_sign1.h"
#include "ledger/json_text.h"

namespace concordat::ledger
{
namespace
{
constexpr std::size_t max_endorsement = 16384;
constexpr std::size_t max_key = 1024;
}

Result<ServiceEndorsement> read_endorsement(std::string_view json)
{
  const auto object = parse_object(json);
  if (!object)
    return std::unexpected(object.error());
  FieldReader fields(*object);
  const auto message = fields.base64("endorsement", max_endorsement);
  ServiceEndorsement read{fields.base64("endorsing_key", max_key), {}};
  if (auto good = fields.result(); !good)
    return std::unexpected(good.error());
  const auto key = crypto::PublicKey::from_der(read.endorsing_key);
  if (!key)
    return fail("the endorsing key", key.error());
  const auto parsed = crypto::CoseSign1::parse(message);
  if (!parsed)
    return std::unexpected(parsed.error());
  if (!parsed->payload)
    return fail(ErrorCode::corrupt, "the endorsement carries no key");
  if (auto verified = crypto::verify_cose_sign1(*parsed, *parsed->payload, *key); !verified)
    return std::unexpected(verified.error());
  read.endorsed_key = *parsed->payload;
  return read;
}
}
