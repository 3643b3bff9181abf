#include "node/node_update.h"

#include "crypto/signing_request.h"
#include "node/certificates.h"
#include "node/json.h"
#include "node/trust.h"

#include <boost/json.hpp>

namespace concordat::node
{
Result<std::optional<NodeUpdate>> wanted_update(
    ReadTransaction& state, const Configuration& configuration, const Identity& identity,
    const std::map<std::string, std::string>& addresses, const boost::json::object& says)
{
  const auto record = node_record_of(state, identity.node_id());
  if (!record)
    return std::nullopt;
  boost::json::object changes;
  for (const auto& [name, value] : says)
  {
    const auto* const known = record->if_contains(name);
    if (!known || to_canonical_json(*known) != to_canonical_json(value))
      changes[name] = value;
  }
  if (changes.empty())
    return std::nullopt;
  auto request = crypto::make_signing_request(
      identity.node_key, configuration.node_subject, alternative_names(configuration, addresses));
  if (!request)
    return fail("cannot ask for a certificate", request.error());
  return NodeUpdate{to_canonical_json(changes), std::move(*request)};
}
}
