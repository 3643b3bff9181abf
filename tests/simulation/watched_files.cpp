#include "watched_files.h"

#include "ledger/chunk_format.h"
#include "ledger/entry.h"

#include <algorithm>

namespace concordat::simulation
{
class WatchedFiles::Watched : public base::File
{
public:
  Watched(WatchedFiles& files, std::unique_ptr<base::File> below) : files_(files), below_(std::move(below)) {}

  Result<std::string> read_at(std::uint64_t offset, std::size_t size) const override
  {
    return below_->read_at(offset, size);
  }
  Result<void> write_at(std::uint64_t offset, std::string_view bytes) override
  {
    files_.written(offset, bytes);
    return below_->write_at(offset, bytes);
  }
  Result<void> truncate(std::uint64_t size) override
  {
    return below_->truncate(size);
  }
  Result<std::uint64_t> size() const override
  {
    return below_->size();
  }
  Result<void> sync() override
  {
    return below_->sync();
  }

private:
  WatchedFiles& files_;
  std::unique_ptr<base::File> below_;
};

Result<std::unique_ptr<base::File>> WatchedFiles::open(const base::Path& path, base::OpenMode mode)
{
  auto file = below_.open(path, mode);
  if (!file || !path.starts_with(ledger_) || mode == base::OpenMode::read)
    return file;
  return std::make_unique<Watched>(*this, std::move(*file));
}

void WatchedFiles::written(std::uint64_t offset, std::string_view bytes)
{
  if (offset == 0)
    bytes.remove_prefix(std::min<std::size_t>(bytes.size(), ledger::chunk_header_size));
  nonces_.keep(bytes);
}

void Nonces::keep(std::string_view bytes)
{
  // Entries are written whole, one after the other; what is none is a table of positions.
  while (const auto entry = ledger::parse_entry(bytes))
  {
    keep(entry->txid, entry->bytes);
    bytes.remove_prefix(entry->bytes.size());
  }
}

void Nonces::keep(TxId nonce, std::string_view bytes)
{
  auto& kept = entries_[nonce];
  if (std::ranges::find(kept, bytes) != kept.end())
    return;
  if (!kept.empty())
    if (const auto secrets = secrets_())
      for (const auto& [first, secret] : secrets->periods())
      {
        const auto opens = [key = secret](std::string_view entry)
        { return ledger::parse_entry(entry).value().open(*key).has_value(); };
        if (opens(bytes) && std::ranges::any_of(kept, opens))
          wrong_ = "the nonce " + nonce.to_string() + " is used for two entries under one key";
      }
  kept.emplace_back(bytes);
}
}
