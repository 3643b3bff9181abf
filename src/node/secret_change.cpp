#include "node/secret_change.h"

#include "base/check.h"
#include "base/log.h"
#include "ledger/entry.h"
#include "ledger/secret_record.h"
#include "ledger/wrapped_secret.h"
#include "node/engine_ids.h"
#include "node/json.h"
#include "node/tables.h"
#include "node/trust.h"

#include <boost/json.hpp>

#include <algorithm>
#include <map>
#include <string>

namespace concordat::node
{
namespace
{
/// The encryption keys of all who are to have a new secret.
std::map<std::string, crypto::PublicKey> receivers(ReadTransaction& state)
{
  std::map<std::string, crypto::PublicKey> out;
  const auto agrees = configuration_in(state);
  // One that has retired just now may still be sent what is agreed on.
  const auto hears = [&](const std::string& id)
  {
    return std::ranges::any_of(
        engine_ids_of(state, id), [&](auto one) { return agrees.role(one) != consensus::Role::none; });
  };
  for (const auto nodes = state.scan(tables::node_info); nodes->next();)
  {
    std::string id(nodes->key());
    const auto record = node_record_of(state, id);
    if (!record || !(takes_part(*record) || hears(id)))
      continue;
    auto key = crypto::PublicKey::from_pem(string_member(*record, "encryption_pub_key"));
    if (key && !key->curve())
      out.emplace(std::move(id), std::move(*key));
    else
      spdlog::error(
          "node {} cannot be given the new ledger secret, as its record holds no RSA key for that: retire it, and add "
          "it anew",
          id);
  }
  return out;
}
}

void write_secret_change(
    Transaction& transaction, const ledger::LedgerSecrets& secrets, std::string_view self, Seqno first)
{
  const auto before = transaction.version(ledger::secret_history_table, ledger::single_key);
  transaction.put(
      ledger::secret_history_table, ledger::single_key,
      ledger::SecretRecord::of_change(secrets, first, before).to_json());
  const auto nodes = receivers(transaction);
  if (std::ranges::all_of(nodes, [&](const auto& node) { return node.first == self; }))
    return;
  const auto wrapped = ledger::wrap_secret(secrets.at(first), first, nodes);
  CHECK(wrapped, "an RSA key of the smallest size that is read has room for a secret");
  transaction.put(ledger::wrapped_secrets_table, ledger::single_key, *wrapped);
}
}
