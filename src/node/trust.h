#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "crypto/keys.h"
#include "ledger/secrets.h"

#include <boost/json/value.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// How nodes come to be trusted, and cease to be (governance.md §8.6, §10): the same for who joins before the service
/// opens, for proposals, and for the operator of the machine. What the status of a node means for who agrees on
/// transactions is for consensus.
namespace concordat::node
{
/// What the service certifies with, on any node that has joined it.
struct Certifier
{
  const crypto::KeyPair& service_key;
  const ledger::LedgerSecrets& ledger_secrets;
  std::int64_t unix_seconds = 0; ///< now
};

/// For how long a node's certificate is to be valid.
struct Validity
{
  std::optional<std::int64_t> valid_from; ///< seconds since 1970; a little before now unless given
  std::optional<std::uint64_t> days;      ///< as many as the service allows unless given
};

/// How many days the service allows a node's certificate to be valid.
std::uint64_t longest_validity(ReadTransaction& state);

/// Makes a pending node trusted: status, version of the newest ledger secret, a certificate issued by the service, and
/// its number in consensus.
/// @return whether anything changed: only a pending node is made trusted. Error::not_found for a node that is not
///         known; Error::invalid when no certificate can be issued, saying why
Result<bool>
trust_node(Transaction& transaction, std::string_view node_id, const Certifier& certifier, const Validity& validity);

/// What a trusted node may say of itself in its record.
enum class Says
{
  addresses, ///< where it listens
  all,       ///< also what it runs: for a node that nobody else has to believe
};

/// Changes the record of a trusted node, and certifies it anew for the names that it asks for. What is not named stays
/// as it is: the version of its ledger secret, its data, its status.
/// @param changes  a JSON object; comes from another node, and may be anything
/// @return whether anything changed. Error::not_found for a node that is not known; Error::denied for one that is not
///         trusted; Error::invalid for changes that it may not make, or that say nothing of use
Result<bool> update_node(
    Transaction& transaction, std::string_view node_id, Says may_say, std::string_view changes,
    std::string_view certificate_signing_request, const Certifier& certifier, const Validity& validity);

/// Takes a node out: one that is pending is forgotten, one that is trusted becomes `Retired`.
/// @return whether anything changed: not for one that is not known, or retired already. Error::denied for the last one
///         that is trusted, without which there would be no service
Result<bool> retire_node(Transaction& transaction, std::string_view node_id);

/// Notes of every node that is `Retired` in the committed state, and in no majority there any more, that it takes no
/// part, so that it may be shut down.
/// @return whether any was noted
bool note_retired_committed(Transaction& transaction, ReadTransaction& committed);

/// Forgets a node that takes no part any more; its number in consensus stays taken.
/// @return Error::not_found; Error::denied unless it is noted as such in the committed state (http-api.md §6.4)
Result<void> delete_node(Transaction& transaction, ReadTransaction& committed, std::string_view node_id);

/// Whether the node with this record is to take part: it is trusted, or retired and that is not noted yet (§10.3).
bool takes_part(const boost::json::object& record);

/// The record of a node in `nodes.info`; nothing if there is none.
std::optional<boost::json::object> node_record_of(ReadTransaction& state, std::string_view node_id);
}
