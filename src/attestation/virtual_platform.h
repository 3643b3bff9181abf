#pragma once

#include "attestation/platform.h"
#include "base/files.h"

#include <memory>

namespace concordat::attestation
{
inline constexpr std::string_view virtual_format = "Insecure_Virtual";
inline constexpr std::string_view virtual_measurement = "Insecure hard-coded virtual measurement v1";

/// No trusted execution environment at all, for development and tests: anybody can make the same evidence, and the
/// sealing key lies in a file.
class VirtualPlatform : public Platform
{
public:
  /// Reads the sealing key, or makes one if the file is missing (with its directory).
  /// @param sealing_key_file  32 bytes, on the machine's disk with no permission beyond 0600
  /// @param executable  SHA-256 of what runs, the host data of the evidence; see `executable_digest`
  /// @return Error::corrupt for a malformed key, Error::denied for one that others may read; nothing is changed then
  static Result<std::unique_ptr<VirtualPlatform>>
  open(base::FileSystem& files, const base::Path& sealing_key_file, const Digest& executable);

  /// Reads the sealing key and makes none.
  /// @return Error::not_found if the file is missing; the errors of `open`
  static Result<std::string> stored_key(base::FileSystem& files, const base::Path& sealing_key_file);

  VirtualPlatform(const VirtualPlatform&) = delete;
  VirtualPlatform& operator=(const VirtualPlatform&) = delete;
  ~VirtualPlatform() override;

  std::string_view name() const override;
  std::optional<std::string> warning() const override;
  std::string_view sealing_key() const override;
  Result<Evidence> evidence(const Digest& report_data) const override;

private:
  VirtualPlatform(std::string sealing_key, const Digest& executable);

  std::string sealing_key_;
  Digest executable_;
};

/// Reads a quote of the virtual platform (attestation.md §9); what it states is not protected by anything.
Result<Claims> read_virtual_quote(std::string_view quote);
}
