#include "consensus/signature_index.h"

#include "base/check.h"
#include "kv/write_set.h"
#include "ledger/entry.h"
#include "ledger/signature.h"

#include <algorithm>

namespace concordat::consensus
{
SignatureIndex::SignatureIndex(const std::vector<Seqno>& all, std::size_t bound) : bound_(bound)
{
  CHECK(bound > 0, "the newest signature is always known");
  for (const auto signature : all)
    add(signature);
}

void SignatureIndex::add(Seqno signature)
{
  CHECK(newest_.empty() || signature > newest_.back(), "signatures are committed in their order");
  newest_.push_back(signature);
  if (newest_.size() <= bound_)
    return;
  forgotten_ = newest_.front();
  newest_.pop_front();
}

std::optional<Seqno> SignatureIndex::newest() const
{
  return newest_.empty() ? std::nullopt : std::optional(newest_.back());
}

std::optional<Seqno> SignatureIndex::find(Seqno seqno) const
{
  if (must_read(seqno))
    return std::nullopt;
  const auto found = std::lower_bound(newest_.begin(), newest_.end(), seqno);
  return found == newest_.end() ? std::nullopt : std::optional(*found);
}

bool SignatureIndex::must_read(Seqno seqno) const
{
  return seqno <= forgotten_;
}

Result<std::optional<Seqno>>
find_signature(Seqno seqno, Seqno last, const std::function<Result<std::string>(Seqno)>& read)
{
  for (auto at = seqno; at <= last; ++at)
  {
    const auto bytes = read(at);
    if (!bytes)
      return std::unexpected(bytes.error());
    const auto entry = ledger::parse_entry(*bytes);
    if (!entry)
      return fail("ledger entry " + std::to_string(at), entry.error());
    kv::WriteSet writes;
    if (auto decoded = kv::decode(entry->public_maps, kv::Domain::public_maps, writes); !decoded)
      return fail("ledger entry " + std::to_string(at), decoded.error());
    if (ledger::is_signature(writes))
      return at;
  }
  return std::nullopt;
}
}
