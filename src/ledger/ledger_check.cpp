#include "ledger/ledger_check.h"

#include "base/encoding.h"
#include "crypto/cose.h"
#include "ledger/json_text.h"
#include "ledger/signature.h"

#include <algorithm>

namespace concordat::ledger
{
namespace
{
constexpr std::string_view nodes_table = "public:ccf.gov.nodes.info";
constexpr std::string_view node_certs_table = "public:ccf.gov.nodes.endorsed_certificates";
constexpr std::string_view service_table = "public:ccf.gov.service.info";
constexpr std::size_t max_status = 64;
/// The tree forgets leaves in steps of this: the root is all that is asked of it.
constexpr std::uint64_t flush_every = 1024;

std::unexpected<Error> bad(std::string text)
{
  return fail(ErrorCode::corrupt, std::move(text));
}

/// Well-formed UTF-8 as RFC 3629 has it: shortest forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text)
{
  for (std::size_t i = 0; i < text.size();)
  {
    const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
    const auto lead = byte(i);
    const std::size_t more = lead < 0x80 ? 0 : lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : 3;
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4)
      return false;
    if ((lead == 0xe0 && byte(i + 1) < 0xa0) || (lead == 0xed && byte(i + 1) > 0x9f) ||
        (lead == 0xf0 && byte(i + 1) < 0x90) || (lead == 0xf4 && byte(i + 1) > 0x8f))
      return false;
    for (std::size_t k = 1; k <= more; ++k)
      if ((byte(i + k) & 0xc0) != 0x80)
        return false;
    i += more + 1;
  }
  return true;
}

const kv::MapWrites* find_map(const kv::WriteSet& writes, std::string_view table)
{
  const auto found = writes.find(table);
  return found == writes.end() ? nullptr : &found->second;
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

constexpr std::string_view known_statuses[] = {"Opening", "Open", "WaitingForRecoveryShares", "Recovering"};

bool is_known_status(std::string_view status)
{
  return std::ranges::find(known_statuses, status) != std::end(known_statuses);
}

struct ServiceInfo
{
  std::string status;
  std::string cert;
};

Result<ServiceInfo> read_service(const kv::MapWrites& map)
{
  const auto found = map.find(single_key);
  if (found == map.end() || !found->second)
    return bad("service.info is written without its one key");
  const auto object = parse_object(*found->second);
  if (!object)
    return fail("service.info", object.error());
  FieldReader fields(*object);
  ServiceInfo info{fields.text("status", max_status), fields.text("cert", max_cert)};
  if (auto good = fields.result(); !good)
    return fail("service.info", good.error());
  return info;
}

/// ledger-format.md §8.1; to `Opening` and to the same status is always allowed.
bool may_follow(std::string_view from, std::string_view to)
{
  if (to == "Opening" || from.empty() || from == to)
    return true;
  if (from == "Opening")
    return to == "Open" || to == "WaitingForRecoveryShares";
  if (from == "Recovering")
    return to == "WaitingForRecoveryShares";
  if (from == "WaitingForRecoveryShares")
    return to == "Open";
  return from == "Open" && to == "Recovering";
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

void Findings::oddity(const std::string& place, std::string text)
{
  add(place, std::move(text), !strict_);
}

void LedgerCheck::add(const Entry& entry, bool first_in_chunk)
{
  ++report_.entries;
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

  remember(writes);
  previous_ = {entry.txid.view, entry.flags, is_signature(writes)};
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
  if (auto good = check_nodes(writes); !good)
    return good;
  if (auto good = check_service(writes); !good)
    return good;
  return is_signature(writes) ? check_signature(entry, writes) : Result<void>{};
}

Result<void> LedgerCheck::check_names(const kv::WriteSet& writes)
{
  for (const auto& [name, map] : writes)
  {
    if (!is_utf8(name))
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
  if (entry.txid.view < previous_->view)
    return bad("the view goes back from " + std::to_string(previous_->view));
  if (entry.txid.view == previous_->view)
    return {};
  if (!previous_->signature)
    return bad("the view changes after an entry that is not a signature");
  const auto* const service = find_map(writes, service_table);
  if (!service)
    return {};
  const auto info = read_service(*service);
  if (!info)
    return std::unexpected(info.error());
  if (info->status == "Recovering" && entry.txid.view != previous_->view + 2)
    return bad("recovery in view " + std::to_string(entry.txid.view) + " after " + std::to_string(previous_->view));
  return {};
}

Result<void> LedgerCheck::check_nodes(const kv::WriteSet& writes)
{
  if (const auto* const nodes = find_map(writes, nodes_table))
    for (const auto& [node, value] : *nodes)
    {
      if (!value)
        continue;
      const auto object = parse_object(*value);
      if (!object)
        return fail("nodes.info of " + node, object.error());
      FieldReader fields(*object);
      const auto status = fields.text("status", max_status);
      if (auto good = fields.result(); !good)
        return fail("nodes.info of " + node, good.error());
      if (status != "Pending" && status != "Trusted" && status != "Retired")
        return bad("nodes.info of " + node + " has an unknown status");
    }
  if (const auto* const certs = find_map(writes, node_certs_table))
    for (const auto& [node, pem] : *certs)
    {
      if (!pem)
        continue;
      const auto cert = crypto::Certificate::from_pem(*pem);
      if (!cert)
        return fail("the endorsed certificate of " + node, cert.error());
      if (cert->public_key().id() != node)
        return bad("node id " + node + " is not the hash of the key in its endorsed certificate");
    }
  return {};
}

Result<void> LedgerCheck::check_service(const kv::WriteSet& writes)
{
  const auto* const service = find_map(writes, service_table);
  if (!service)
    return {};
  const auto info = read_service(*service);
  if (!info)
    return std::unexpected(info.error());
  if (const auto cert = crypto::Certificate::from_pem(info->cert); !cert)
    return fail("the service certificate", cert.error());
  if (!is_known_status(info->status))
    return bad("unknown service status");
  if (!may_follow(service_status_, info->status))
    return bad("service status " + service_status_ + " -> " + info->status);
  return {};
}

Result<void> LedgerCheck::check_signature(const Entry& entry, const kv::WriteSet& writes)
{
  const auto read = read_signature(writes);
  if (!read)
    return std::unexpected(read.error());
  if (!entry.cipher.empty() || entry.claims.value_or(Digest{}) != Digest{})
    return bad("a signature transaction with claims or private data");
  const auto& record = read->record;
  if (record.txid != entry.txid)
    return bad("the signature says it is " + record.txid.to_string());
  const auto root = tree_.root();
  if (record.root != root)
    return bad("the signed root differs from the tree of the entries before it");
  const auto service = crypto::Certificate::from_pem(service_cert_);
  if (!service)
    return fail("no service certificate before the signature", service.error());
  if (auto good = check_signer(*read, *service); !good)
    return good;

  // Every hash in the serialised tree goes into its root, in one way only: equal roots mean equal hashes.
  const auto tree = MerkleTree::deserialise(read->tree);
  if (!tree)
    return std::unexpected(tree.error());
  if (tree->size() != entry.txid.seqno || tree->root() != root)
    return bad("the tree in the signature differs from the entries before it");

  if (read->cose)
  {
    const auto claims = crypto::cose_verify_root(*read->cose, service->public_key(), root);
    if (!claims)
      return fail("COSE signature", claims.error());
    if (claims->txid != entry.txid)
      return bad("the COSE signature says it is " + claims->txid.to_string());
    ++report_.cose_signatures;
  }
  if (!read->cose || record.cert.empty() || !record.deprecated_fields_unused)
    findings_.oddity(entry.txid.to_string(), "signature as written by an older version");
  ++report_.signatures;
  report_.last_signed = entry.txid;
  return {};
}

Result<void> LedgerCheck::check_signer(const SignatureTransaction& read, const crypto::Certificate& service)
{
  const auto& record = read.record;
  const auto node = nodes_.find(record.node);
  if (node == nodes_.end() || (node->second.status != "Trusted" && node->second.status != "Retired"))
    return bad("the signing node is " + (node == nodes_.end() ? "unknown" : "'" + node->second.status + "'"));

  const auto endorsed = node_certs_.find(record.node);
  const auto& known = endorsed != node_certs_.end() ? endorsed->second
                    : !node->second.cert.empty()    ? node->second.cert
                                                    : record.cert;
  const auto cert = crypto::Certificate::from_pem(known);
  if (!cert)
    return fail("no certificate of the signing node", cert.error());
  if (cert->public_key().id() != record.node)
    return bad("the node id is not the hash of the signing key");
  if (!cert->public_key().curve() || !cert->public_key().verify_digest(record.root, record.signature))
    return bad("the node signature does not verify");
  if (record.cert.empty())
    return {};
  const auto own = crypto::Certificate::from_pem(record.cert);
  if (!own)
    return fail("the certificate in the signature", own.error());
  if (own->public_key().id() != record.node)
    return bad("the certificate in the signature is not of the signing node");
  if (!own->signed_by(service))
    return bad("the certificate of the signing node is not issued by the service");
  return {};
}

/// Whatever was found wrong, later transactions are judged by what this one wrote, as a node that replays it would.
void LedgerCheck::remember(const kv::WriteSet& writes)
{
  if (const auto* const nodes = find_map(writes, nodes_table))
    for (const auto& [node, value] : *nodes)
    {
      nodes_.erase(node);
      const auto object = value ? parse_object(*value) : bad("");
      if (!object)
        continue;
      FieldReader fields(*object);
      nodes_[node] = {fields.text("status", max_status), fields.optional_text("cert", max_cert).value_or("")};
    }
  if (const auto* const certs = find_map(writes, node_certs_table))
    for (const auto& [node, pem] : *certs)
    {
      node_certs_.erase(node);
      if (pem)
        node_certs_[node] = *pem;
    }
  if (const auto* const service = find_map(writes, service_table))
  {
    const auto info = read_service(*service);
    service_status_ = info ? info->status : "";
    service_cert_ = info ? info->cert : "";
    report_.service_status = is_known_status(service_status_) ? service_status_ : "unknown";
  }
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
