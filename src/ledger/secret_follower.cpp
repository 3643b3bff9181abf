#include "ledger/secret_follower.h"

namespace concordat::ledger
{
namespace
{
std::string place(Seqno seqno)
{
  return "the ledger secret of transaction " + std::to_string(seqno);
}

std::unexpected<Error> denied(Seqno seqno, std::string why)
{
  return fail(place(seqno), Error{ErrorCode::denied, std::move(why), nullptr});
}

std::unexpected<Error> denied(Seqno seqno, const Error& why)
{
  return denied(seqno, why.describe());
}

/// What a table with one entry holds; nothing if it was not written.
std::optional<std::string_view> value_in(const kv::WriteSet& writes, std::string_view table)
{
  const auto found = writes.find(table);
  if (found == writes.end())
    return std::nullopt;
  const auto value = found->second.find(single_key);
  return value == found->second.end() || !value->second ? std::optional<std::string_view>("") : *value->second;
}

/// Whether the entry says of itself that it begins a secret.
bool begins_secret(const SecretRecord& record, Seqno seqno)
{
  return record.next_first == seqno && !record.sealed_previous.empty();
}
}

Result<std::string> SecretFollower::open(const Entry& entry, const kv::WriteSet& writes)
{
  const auto seqno = entry.txid.seqno;
  const auto period = secrets_.period(seqno);
  const bool begins = seqno != 1 && period.first == seqno;
  const auto before = begins ? secrets_.period(seqno - 1) : period;
  auto content = entry.open(*period.secret);
  if (content)
  {
    if (auto good = check(seqno, writes, begins ? &before : nullptr); !good)
      return std::unexpected(good.error());
    saw_change_ = saw_change_ || begins;
    return content;
  }

  const auto text = value_in(writes, secret_history_table);
  const auto record = text ? SecretRecord::from_json(*text) : fail(ErrorCode::not_found, "none");
  if (record && begins_secret(*record, seqno))
  {
    auto learned = learn(entry, writes, *record, before);
    if (!learned)
      return std::unexpected(learned.error());
    if (*learned)
      return std::move(**learned);
    // A change of this node's own, which a crash may have torn: one that is alone wraps it for nobody.
    if (begins && (!others_ || !value_in(writes, wrapped_secrets_table)))
      return content;
    return denied(
        seqno, "this node does not know it, and it is not wrapped for this node; the sealed directory was put back "
               "from an older copy than the ledger, or is another node's");
  }
  if (!begins || !others_)
    return content;
  auto under_old = entry.open(*before.secret);
  if (!under_old)
    return content;
  if (auto good = check(seqno, writes, nullptr); !good)
    return std::unexpected(good.error());
  secrets_.take_back(seqno);
  changed_ = true;
  return under_old;
}

/// Of an entry that is authentic.
/// @param before  what was in force before it, if it begins a secret
Result<void> SecretFollower::check(Seqno seqno, const kv::WriteSet& writes, const LedgerSecrets::Period* before) const
{
  const auto text = value_in(writes, secret_history_table);
  if (!text && !before)
    return {};
  if (!text)
    return denied(seqno, "it is not recorded there");
  const auto record = SecretRecord::from_json(*text);
  if (!record)
    return denied(seqno, record.error());
  if (!before)
    return seqno != 1 && begins_secret(*record, seqno) ? denied(seqno, "it is said to begin there, and does not")
                                                       : Result<void>{};
  if (auto good = record->check(*before->secret, before->first, secrets_.at(seqno), seqno); !good)
    return denied(seqno, good.error());
  return {};
}

/// @return nothing if there is none for this node
Result<std::optional<std::string>> SecretFollower::learn(
    const Entry& entry, const kv::WriteSet& writes, const SecretRecord& record, LedgerSecrets::Period before)
{
  const auto seqno = entry.txid.seqno;
  const auto text = value_in(writes, wrapped_secrets_table);
  auto secret = text && receiver_ ? unwrap_secret(*text, seqno, *receiver_) : Result<std::optional<LedgerSecret>>{};
  if (!secret)
    return fail(place(seqno), secret.error());
  if (!*secret)
    return std::nullopt;
  auto content = entry.open(**secret);
  if (!content)
    return fail(place(seqno) + ", as it is wrapped for this node, does not open it", content.error());
  // Authentic under what anybody could have wrapped: whoever made it must have known the secret before.
  if (auto good = record.check(*before.secret, before.first, **secret, seqno); !good)
    return denied(seqno, good.error());
  secrets_.add(seqno, std::move(**secret));
  changed_ = true;
  saw_change_ = true;
  return std::move(*content);
}
}
