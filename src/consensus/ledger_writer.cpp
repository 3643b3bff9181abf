#include "consensus/ledger_writer.h"

#include "base/log.h"
#include "ledger/entry.h"

namespace concordat::consensus
{
LedgerWriter::LedgerWriter(
    base::FileSystem& files, base::Path directory, const ledger::LedgerSecrets& secrets,
    std::shared_ptr<ledger::ChunkFiles> chunks, Invariants* invariants)
    : files_(files),
      directory_(std::move(directory)),
      secrets_(secrets),
      invariants_(invariants),
      chunks_(std::move(chunks)),
      readable_(chunks_)
{
}

Result<void> LedgerWriter::append(const Batch& batch)
{
  if (auto appended = chunks_->append(batch.entries()); !appended)
    return fail("cannot append to the ledger", appended.error());
  return {};
}

Result<void> LedgerWriter::sync()
{
  if (auto synced = chunks_->sync(); !synced)
    return fail("cannot make the ledger durable", synced.error());
  if (invariants_)
    invariants_->durable(chunks_->last());
  return {};
}

void LedgerWriter::commit(Seqno seqno)
{
  if (auto renamed = chunks_->commit(seqno); !renamed)
    spdlog::warn("a completed ledger file keeps its name for now: {}", renamed.error().describe());
}

Result<void> LedgerWriter::truncate(Seqno last)
{
  if (invariants_)
    invariants_->cut(last);
  return chunks_->truncate(last);
}

Result<void> LedgerWriter::reopen(Seqno last, const Digest* leaf)
{
  auto opened = ledger::ChunkFiles::open(files_, directory_, secrets_, {.acknowledged = last});
  if (!opened)
    return std::unexpected(opened.error());
  // Going on after something else than what was committed would sign a history that no file holds.
  if (auto same = holds_committed(**opened, last, leaf); !same)
    return same;
  chunks_ = std::move(*opened);
  {
    const base::LockGuard lock(mutex_);
    readable_ = chunks_;
  }
  return truncate(last);
}

Result<void> LedgerWriter::holds_committed(const ledger::ChunkFiles& chunks, Seqno last, const Digest* leaf) const
{
  if (leaf == nullptr)
    return {};
  const auto bytes = chunks.read(last);
  if (!bytes)
    return std::unexpected(bytes.error());
  const auto entry = ledger::parse_entry(*bytes);
  if (!entry || entry->leaf() != *leaf)
    return fail(
        ErrorCode::corrupt,
        "the ledger directory holds another transaction " + std::to_string(last) + " than was committed");
  return {};
}

Result<std::string> LedgerWriter::read(Seqno seqno) const
{
  std::shared_ptr<const ledger::ChunkFiles> chunks;
  {
    const base::LockGuard lock(mutex_);
    chunks = readable_;
  }
  return chunks->read(seqno);
}
}
