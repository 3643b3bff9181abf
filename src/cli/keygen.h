#pragma once

#include "cli/console.h"
#include "cli/failure.h"
#include "crypto/keys.h"

#include <functional>
#include <string>
#include <vector>

namespace concordat::cli
{
struct KeygenOptions
{
  std::string name;
  std::string directory = ".";
  std::string curve = "secp384r1"; ///< or secp256r1
  unsigned validity_days = 365;
  bool encryption = false; ///< an RSA-2048 pair for recovery shares, too
  bool force = false;      ///< replace files that exist
};

/// Writes `<name>_cert.pem` and `<name>_privk.pem`, with `encryption` also `<name>_enc_pubk.pem` and
/// `<name>_enc_privk.pem` (governance.md §17). Private keys are readable by their owner only. Nothing is written if one
/// of the files exists, unless forced.
/// @return the files written
Attempt<std::vector<std::string>> generate_keys(const KeygenOptions& options);

Outcome run_keygen(const KeygenOptions& options, Console& console);
}
