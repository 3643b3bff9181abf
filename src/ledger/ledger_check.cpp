#include "ledger/ledger_check.h"

#include "crypto/cbor.h"
#include "crypto/cose.h"

namespace concordat::ledger
{
namespace
{
/// The tree forgets leaves in steps of this: the root is all that is asked of it.
constexpr std::uint64_t flush_every = 1024;

std::unexpected<Error> bad(std::string text)
{
  return fail(ErrorCode::corrupt, std::move(text));
}

/// Findings quote names from the ledger and are printed on terminals: nothing of them may control one.
void make_printable(std::string& text)
{
  constexpr std::size_t longest = 1000;
  if (text.size() > longest)
    text.replace(longest, std::string::npos, "...");
  for (char& c : text)
    if (c < ' ' || c > '~')
      c = '?';
}
}

void Findings::add(std::string place, std::string text, bool is_note)
{
  make_printable(place);
  make_printable(text);
  auto& count = is_note ? notes_ : errors_;
  if (++count < max_each)
    report_.findings.push_back({place, std::move(text), is_note});
  else if (count == max_each)
    report_.findings.push_back(
        {place, std::string("further ") + (is_note ? "notes" : "errors") + " are not listed", is_note});
}

void Findings::error(const std::string& place, std::string text)
{
  add(place, std::move(text), false);
}

void Findings::note(const std::string& place, std::string text)
{
  add(place, std::move(text), true);
}

void Findings::oddity(const std::string& place, std::string text)
{
  add(place, std::move(text), !strict_);
}

void LedgerCheck::add(const Entry& entry, bool first_in_chunk)
{
  ++report_.entries;
  report_.last = entry.txid;
  verdict_.transaction(entry.txid);
  const auto place = entry.txid.to_string();
  kv::WriteSet writes;
  if (auto decoded = kv::decode(entry.public_maps, kv::Domain::public_maps, writes); !decoded)
    findings_.error(place, "public domain: " + decoded.error().describe());
  show(entry, writes);
  if (entry.type != 4 || entry.max_conflict_version != 0)
    findings_.oddity(
        place, "entry type " + std::to_string(entry.type) + ", max conflict version " +
                   std::to_string(entry.max_conflict_version));
  if (auto good = check(entry, writes, first_in_chunk); !good)
    findings_.error(place, good.error().describe());

  tables_.remember(entry.txid, writes);
  previous_ = {entry.txid, entry.flags, is_signature(writes)};
  tree_.append(entry.leaf());
  if (tree_.size() - tree_.first_kept() > flush_every)
    tree_.flush(tree_.size());
}

Result<void> LedgerCheck::check(const Entry& entry, const kv::WriteSet& writes, bool first_in_chunk)
{
  if (auto good = check_names(writes); !good)
    return good;
  if (auto good = check_sequence(entry, writes, first_in_chunk); !good)
    return good;
  ServiceTables::Oddities oddities;
  if (auto good = tables_.check(writes, oddities); !good)
    return good;
  for (auto& oddity : oddities)
    findings_.oddity(entry.txid.to_string(), std::move(oddity));
  return is_signature(writes) ? check_signature(entry, writes) : Result<void>{};
}

Result<void> LedgerCheck::check_names(const kv::WriteSet& writes)
{
  for (const auto& [name, map] : writes)
  {
    if (!crypto::is_utf8(name))
      return bad("the name of a table is not UTF-8");
    if (kv::is_reserved(name))
      return bad("the table name " + name + " is reserved");
  }
  return {};
}

Result<void> LedgerCheck::check_sequence(const Entry& entry, const kv::WriteSet& writes, bool first_in_chunk)
{
  if (!first_in_chunk && (entry.flags & chunk_before) != 0)
    return bad("flag 'chunk before' on an entry that does not start a chunk");
  if (!is_signature(writes) && (entry.flags & chunk_after) != 0)
    return bad("flag 'chunk after' on an entry that is not a signature");
  if (!previous_)
    return entry.txid == TxId{2, 1} ? Result<void>{} : bad("the first transaction of a service is 2.1");
  if (!first_in_chunk && (previous_->flags & chunk_after) != 0)
    return bad("no new chunk after flag 'chunk after'");
  if (first_in_chunk && (previous_->flags & chunk_after) == 0 && (entry.flags & chunk_before) == 0)
    findings_.oddity(entry.txid.to_string(), "new chunk without a flag asking for it");
  const auto view = previous_->txid.view;
  if (entry.txid.view < view)
    return bad("the view goes back from " + std::to_string(view));
  if (entry.txid.view == view)
    return {};
  if (!previous_->signature)
    return bad("the view changes after an entry that is not a signature");
  if (service_status_in(writes) == "Recovering" && entry.txid.view != view + 2)
    return bad("recovery in view " + std::to_string(entry.txid.view) + " after " + std::to_string(view));
  return {};
}

/// Every signature that is there must be right; whether it proves anything is for the verdict.
Result<void> LedgerCheck::check_signature(const Entry& entry, const kv::WriteSet& writes)
{
  const auto read = read_signature(writes);
  if (!read)
    return std::unexpected(read.error());
  if (!entry.cipher.empty() || entry.claims.value_or(Digest{}) != Digest{})
    return bad("a signature transaction with claims or private data");
  const auto& service = tables_.service();
  if (!service)
    return bad("no service certificate before the signature");
  CheckedSignature checked{entry.txid, tree_.root(), 0, false, false};

  // Every hash in the serialised tree goes into its root, in one way only: equal roots mean equal hashes.
  const auto tree = MerkleTree::deserialise(read->tree);
  if (!tree)
    return std::unexpected(tree.error());
  if (tree->size() != entry.txid.seqno || tree->root() != checked.root)
    return bad("the tree in the signature differs from the entries before it");
  checked.tree_begins = tree->first_kept();

  if (read->record)
  {
    if (read->record->txid != entry.txid)
      return bad("the signature says it is " + read->record->txid.to_string());
    if (read->record->root != checked.root)
      return bad("the signed root differs from the tree of the entries before it");
    const auto endorsed = check_node(*read->record, *service);
    if (!endorsed)
      return std::unexpected(endorsed.error());
    checked.by_endorsed = *endorsed;
    ++report_.signatures;
  }
  if (read->cose)
  {
    const auto claims = crypto::cose_verify_root(*read->cose, service->public_key(), checked.root);
    if (!claims)
      return fail("COSE signature", claims.error());
    if (claims->txid != entry.txid)
      return bad("the COSE signature says it is " + claims->txid.to_string());
    checked.by_service = true;
    ++report_.cose_signatures;
  }
  tables_.remember_signed_root(checked.root);

  const auto place = entry.txid.to_string();
  if (!read->cose || (read->record && (read->record->cert.empty() || !read->record->deprecated_fields_unused)))
    findings_.oddity(place, "signature as written by an older version");
  if (read->has_unknown_signatures)
    findings_.oddity(place, "signatures of a kind that is not checked here stand beside the others");
  if (const auto why = verdict_.signature(checked, tables_); !why.empty())
    findings_.oddity(place, "this signature proves nothing by itself: " + why);
  return {};
}

/// @return whether the certificate of the node that signed is issued by the service. One that the signature carries
///         must be; only old ledgers have signatures without
Result<bool> LedgerCheck::check_node(const SignatureRecord& record, const crypto::Certificate& service)
{
  const auto node = tables_.node(record.node);
  if (!node || (node->status != "Trusted" && node->status != "Retired"))
    return bad("the signing node is " + (node ? "'" + node->status + "'" : "unknown"));
  const auto cert = crypto::Certificate::from_pem(record.cert.empty() ? node->cert : record.cert);
  if (!cert)
    return fail("no certificate of the signing node", cert.error());
  if (cert->public_key().id() != record.node)
    return bad("the node id is not the hash of the signing key");
  if (!cert->public_key().curve() || !cert->public_key().verify_digest(record.root, record.signature))
    return bad("the node signature does not verify");
  // What issues certificates signs other things than roots, and they must not pass as roots.
  const bool endorsed = cert->signed_by(service) && !cert->is_ca();
  if (!endorsed && !record.cert.empty())
    return bad("the certificate of the signing node is not one that the service issued to a node");
  return endorsed;
}

void LedgerCheck::show(const Entry& entry, const kv::WriteSet& writes)
{
  if (!on_transaction_)
    return;
  ShownTransaction shown{entry.txid, entry.flags, entry.cipher.size(), {}};
  for (const auto& [name, map] : writes)
    shown.tables.push_back({name, {map.begin(), map.end()}});
  on_transaction_(shown);
}
}
