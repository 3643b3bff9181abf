#pragma once

#include "base/files.h"
#include "concordat/transaction.h"
#include "ledger/secrets.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace concordat::simulation
{
/// Every entry of the ledger that anybody outside has ever seen. Two different ones under one nonce and one key would
/// give away the authentication key.
class Nonces
{
public:
  /// @param secrets  what the node that writes now would decrypt with; null if it has sealed none
  explicit Nonces(std::function<std::shared_ptr<const ledger::LedgerSecrets>()> secrets) : secrets_(std::move(secrets))
  {
  }

  /// Entries, one after the other, up to what is none.
  void keep(std::string_view entries);
  /// What a nonce was used twice for, if one was.
  const std::optional<std::string>& wrong() const
  {
    return wrong_;
  }

private:
  void keep(TxId nonce, std::string_view entry);

  const std::function<std::shared_ptr<const ledger::LedgerSecrets>()> secrets_;
  std::map<TxId, std::vector<std::string>> entries_;
  std::optional<std::string> wrong_;
};

/// Stands between a node and its disk, and keeps every entry of the ledger that was ever written, as the owner of the
/// disk can.
class WatchedFiles : public base::FileSystem
{
public:
  WatchedFiles(base::FileSystem& below, base::Path ledger_directory, Nonces& nonces)
      : below_(below),
        ledger_(std::move(ledger_directory) + "/ledger_"),
        nonces_(nonces)
  {
  }

  Result<std::unique_ptr<base::File>> open(const base::Path& path, base::OpenMode mode) override;
  Result<std::vector<std::string>> list(const base::Path& directory) const override
  {
    return below_.list(directory);
  }
  bool exists(const base::Path& path) const override
  {
    return below_.exists(path);
  }
  Result<void> rename(const base::Path& from, const base::Path& to) override
  {
    return below_.rename(from, to);
  }
  Result<void> remove(const base::Path& path) override
  {
    return below_.remove(path);
  }
  Result<void> make_directory(const base::Path& path) override
  {
    return below_.make_directory(path);
  }
  Result<void> sync_directory(const base::Path& directory) override
  {
    return below_.sync_directory(directory);
  }
  Result<std::unique_ptr<base::DirectoryLock>> lock_directory(const base::Path& directory) override
  {
    return below_.lock_directory(directory);
  }

private:
  class Watched;

  void written(std::uint64_t offset, std::string_view bytes);

  base::FileSystem& below_;
  const std::string ledger_;
  Nonces& nonces_;
};
}
