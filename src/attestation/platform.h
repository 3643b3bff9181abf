#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"

#include <optional>
#include <string>
#include <string_view>

namespace concordat::attestation
{
/// What a piece of evidence states, as governance lists it (attestation.md §5).
struct Claims
{
  std::string measurement; ///< key of `nodes.<platform>.measurements`
  std::string code_digest; ///< lower-case hex of the measurement's bytes: `code_digest` of a node record
  std::string host_data;   ///< key of `nodes.<platform>.host_data`: 64 hex digits
  Digest report_data{};    ///< SHA-256 of the node's public key: the bytes of its node id
};

/// What a node shows to prove what it runs: the raw bytes of a `quote_info` (attestation.md §1), and what they state.
struct Evidence
{
  std::string format;       ///< such as "Insecure_Virtual"
  std::string quote;        ///< raw, to be written in base64
  std::string endorsements; ///< raw; empty for the virtual platform
  Claims claims;
};

/// The seam to the trusted execution environment that the process runs in. Any thread may call.
class Platform
{
public:
  virtual ~Platform() = default;
  /// As in the names of tables: "virtual".
  virtual std::string_view name() const = 0;
  /// What an operator must be told at every start; nothing if the platform protects as it should.
  virtual std::optional<std::string> warning() const = 0;
  /// 32 bytes that the same code on the same machine gets again, and nobody else. Lives as long as the platform.
  virtual std::string_view sealing_key() const = 0;
  /// @param report_data  SHA-256 of the node's public key, which the evidence binds to the code
  virtual Result<Evidence> evidence(const Digest& report_data) const = 0;
};

/// Checks evidence of another node for its format and reads what it states. That what it states is trusted is for
/// governance to say.
/// @param quote, endorsements  any bytes, not in base64
/// @return Error::invalid saying what is wrong, also for a format that this build cannot check
Result<Claims> check_evidence(std::string_view format, std::string_view quote, std::string_view endorsements);
}
