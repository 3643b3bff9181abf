#pragma once

#include "base/files.h"
#include "concordat/error.h"

#include <string>
#include <string_view>

namespace concordat::attestation
{
/// Files outside the trust boundary that only this code on this machine can read or make: docs/formats/sealed-file.md.
///
/// Any thread may call; two at a time must not write the same path. What was read or written is secret and authentic,
/// but not fresh: whoever owns the disk can put back an older file of the same purpose.
class SealedFiles
{
public:
  static constexpr std::size_t size_limit = std::size_t{64} << 20;

  /// @param sealing_key  32 bytes; CHECKed
  SealedFiles(base::FileSystem& files, std::string_view sealing_key);
  SealedFiles(const SealedFiles&) = delete;
  SealedFiles& operator=(const SealedFiles&) = delete;
  ~SealedFiles();

  /// Replaces the file so that after a crash either the old or the new content is there, durably once it returns.
  /// @param purpose  what the content is for; a file is readable for the purpose it was written for, no other
  /// @return Error::limit above `size_limit`; the errors of the disk
  Result<void> write(const base::Path& path, std::string_view purpose, std::string_view plaintext);
  /// @return Error::not_found if there is no such file; Error::corrupt for one that is not, byte for byte, what was
  ///         written under this key for this purpose; the errors of the disk
  Result<std::string> read(const base::Path& path, std::string_view purpose);

private:
  base::FileSystem& files_;
  std::string sealing_key_;
};
}
