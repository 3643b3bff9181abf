#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "crypto/keys.h"

#include <string>
#include <string_view>

namespace concordat::ledger
{
/// What a service states of the key of the one before it, or at first of its own (ledger-format.md §10.6).
struct ServiceEndorsement
{
  std::string endorsing_key; ///< DER, of the service that signed
  std::string endorsed_key;  ///< DER
};

/// Reads the value of the table `previous_service_identity_endorsement` and verifies its signature under the key that
/// it names. Whether that is the key of any service is not looked at.
Result<ServiceEndorsement> read_endorsement(std::string_view json);
}
