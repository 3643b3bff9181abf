#include "consensus/batch.h"

#include "base/check.h"
#include "base/log.h"

#include <exception>
#include <utility>

namespace concordat::consensus
{
void Waiting::encoded(ledger::EncodedEntry entry)
{
  entry_ = std::move(entry);
  finish(Encoding::done);
}

void Waiting::failed()
{
  finish(Encoding::failed);
}

void Waiting::finish(Encoding how)
{
  encoding_.store(how, std::memory_order_release);
  encoding_.notify_one();
}

bool Waiting::wait() const
{
  encoding_.wait(Encoding::running, std::memory_order_acquire);
  return encoding_.load(std::memory_order_acquire) == Encoding::done;
}

void Waiting::settle(const Result<void>& outcome)
{
  CHECK(!std::exchange(settled_, true), "an outcome is told once");
  tell(outcome);
}

void Waiting::give_up_on(const Error& why)
{
  tell(std::unexpected(why));
}

void Waiting::tell(const Result<void>& outcome)
{
  if (!done_)
    return;
  const auto done = std::exchange(done_, nullptr);
  try
  {
    done(outcome);
  }
  catch (const std::exception& thrown)
  {
    spdlog::error("an answer to transaction {} failed: {}", txid.to_string(), thrown.what());
  }
}

std::vector<std::string_view> Batch::entries() const
{
  std::vector<std::string_view> out;
  for (std::string_view rest = received_; !rest.empty(); rest.remove_prefix(out.back().size()))
    out.push_back(rest.substr(0, static_cast<std::size_t>(*ledger::entry_size(rest))));
  if (!out.empty())
    return out;
  out.reserve(transactions.size() + 1);
  for (const auto& transaction : transactions)
    out.push_back(transaction->entry().bytes);
  out.push_back(signature.bytes);
  return out;
}

Result<std::shared_ptr<const Batch>> Batch::received(const Descriptor& descriptor, std::string bytes)
{
  const auto refused = [&](std::string why)
  {
    return fail(
        ErrorCode::invalid, "the batch from " + std::to_string(descriptor.first) + " to " +
                                std::to_string(descriptor.last) + " " + std::move(why));
  };
  if (bytes.size() != descriptor.length)
    return refused("has " + std::to_string(bytes.size()) + " bytes, not " + std::to_string(descriptor.length));
  const auto batch = std::make_shared<Batch>();
  batch->descriptor = descriptor;
  batch->received_ = std::move(bytes);
  auto seqno = descriptor.first;
  for (std::string_view rest = batch->received_; !rest.empty(); ++seqno)
  {
    const auto entry = ledger::parse_entry(rest);
    if (!entry)
      return fail(refused("cannot be read").error().message, entry.error());
    if (entry->is_snapshot || entry->txid.seqno != seqno || seqno > descriptor.last)
      return refused("holds entry " + entry->txid.to_string() + " where " + std::to_string(seqno) + " belongs");
    rest.remove_prefix(entry->bytes.size());
    if (!rest.empty())
      continue;
    batch->signature_txid = entry->txid;
    batch->ends_chunk = (entry->flags & ledger::chunk_after) != 0;
    if (entry->leaf() != descriptor.digest)
      return refused("ends with another entry than it says");
  }
  if (seqno != descriptor.last + 1)
    return refused("ends with entry " + std::to_string(seqno - 1));
  return batch;
}
}
