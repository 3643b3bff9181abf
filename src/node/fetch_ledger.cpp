#include "node/fetch_ledger.h"

#include "base/encoding.h"
#include "ledger/entry.h"

#include <optional>
#include <vector>

namespace concordat::node
{
namespace
{
constexpr std::size_t append_size = std::size_t{1} << 20;
constexpr std::uint64_t sync_size = std::uint64_t{64} << 20;

std::unexpected<Error> not_the_next(TxId last, std::string_view why)
{
  return fail(
      ErrorCode::corrupt, "what was received as the ledger entry after " + last.to_string() + " " + std::string(why));
}

std::optional<consensus::Mark> end_of(const Response& response)
{
  const auto txid = TxId::parse(find_header(response.headers, "x-concordat-committed").value_or(""));
  const auto bytes = base::from_hex(find_header(response.headers, "x-concordat-root").value_or(""));
  const auto root = bytes ? base::to_digest(*bytes) : fail(ErrorCode::invalid, "no root");
  if (!txid || !root)
    return std::nullopt;
  return consensus::Mark{*txid, *root};
}
}

void EntryReceiver::resume()
{
  rest_.clear();
}

Result<void> EntryReceiver::take(std::string_view piece)
{
  rest_ += piece;
  std::size_t whole = 0;
  const auto bytes = std::string_view(rest_);
  while (bytes.size() - whole >= ledger::entry_header_size)
  {
    const auto size = ledger::entry_size(bytes.substr(whole, ledger::entry_header_size));
    if (!size)
      return not_the_next(last_, "is none: " + size.error().describe());
    if (*size > bytes.size() - whole)
      break;
    whole += *size;
  }
  if (whole == 0)
    return {};
  if (auto stored = store(bytes.substr(0, whole)); !stored)
    return stored;
  rest_.erase(0, whole);
  return {};
}

Result<void> EntryReceiver::store(std::string_view whole)
{
  while (!whole.empty())
  {
    std::vector<std::string_view> entries;
    std::size_t size = 0;
    while (size < append_size && size < whole.size())
    {
      const auto entry = ledger::parse_entry(whole.substr(size));
      if (!entry)
        return not_the_next(last_, "is none: " + entry.error().describe());
      if (entry->is_snapshot || entry->txid.seqno != last_.seqno + 1 || entry->txid.view < last_.view)
        return not_the_next(last_, "is " + entry->txid.to_string());
      entries.push_back(entry->bytes);
      size += entry->bytes.size();
      last_ = entry->txid;
      tree_.append(entry->leaf());
    }
    if (auto appended = chunks_.append(entries); !appended)
      return appended;
    tree_.flush(tree_.size());
    unsynced_ += size;
    whole.remove_prefix(size);
  }
  if (unsynced_ < sync_size)
    return {};
  unsynced_ = 0;
  if (auto synced = chunks_.sync(); !synced)
    return synced;
  return chunks_.commit(chunks_.last());
}

Result<void> EntryReceiver::finish(const consensus::Mark& end)
{
  if (!rest_.empty())
    return not_the_next(last_, "is broken off");
  if (last_ != end.txid || tree_.root() != end.root)
    return fail(
        ErrorCode::corrupt, "the ledger that was received ends at " + last_.to_string() +
                                ", and is not the one up to " + end.txid.to_string() + " that was promised");
  if (auto synced = chunks_.sync(); !synced)
    return synced;
  return chunks_.commit(chunks_.last());
}

Result<consensus::Mark> fetch_ledger(http::Client& client, EntryReceiver& receiver)
{
  receiver.resume();
  Result<void> stored;
  const auto target = "/node/concordat/entries?from=" + std::to_string(receiver.next());
  const auto response = client.send_streaming(
      "GET", target, {{"accept", "application/octet-stream"}}, "",
      [&](std::string_view piece)
      {
        stored = receiver.take(piece);
        return stored.has_value();
      });
  if (!response)
    return fail(
        "the ledger was not received as a whole", Error{ErrorCode::unavailable, response.error().describe(), {}});
  // What another answer says in its body is no entry either.
  if (response->status != 200)
    return fail(
        ErrorCode::unavailable,
        "the node that was asked for the ledger answered with " + std::to_string(response->status));
  if (!stored)
    return std::unexpected(stored.error());
  const auto end = end_of(*response);
  if (!end)
    return fail(ErrorCode::corrupt, "the node that was asked for the ledger did not say where it ends");
  if (receiver.next() <= end->txid.seqno)
    return fail(
        ErrorCode::unavailable,
        "the node that was asked for the ledger broke off after transaction " + std::to_string(receiver.next() - 1));
  if (auto finished = receiver.finish(*end); !finished)
    return std::unexpected(finished.error());
  return *end;
}
}
