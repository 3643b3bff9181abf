#pragma once

#include "cli/failure.h"

#include <cstdint>
#include <optional>
#include <string>

namespace concordat::cli
{
/// The directory of a sandbox, laid out as existing tools expect it:
///
///     common/   service_cert.pem, member0_cert.pem, member0_privk.pem, member0_enc_pubk.pem, …, user0_cert.pem, …
///     node0/    config.json, log, ledger/, snapshots/, and what the node keeps for itself
///     sample.csv
class Workspace
{
public:
  /// @param directory made absolute
  explicit Workspace(const std::string& directory);

  const std::string& directory() const
  {
    return directory_;
  }
  std::string common(const std::string& name = "") const;
  std::string node(const std::string& name = "") const;
  std::string sample() const;

  /// An earlier sandbox has made it.
  bool exists() const;
  /// Makes directories, keys, the node's configuration and a sample file.
  Outcome create(unsigned members, unsigned users, unsigned port) const;
  /// Removes what `create` and the node have written, and nothing else.
  Outcome remove() const;

  /// The port in the node's configuration.
  Attempt<unsigned> port() const;
  Outcome set_port(unsigned port) const;

  /// How many callers of that kind (member, user) have a key in common/.
  unsigned count(const std::string& kind) const;

private:
  std::string directory_;
};

/// The configuration file of a sandbox's only node (governance.md §16).
std::string node_configuration(unsigned members, unsigned users, unsigned port);
}
