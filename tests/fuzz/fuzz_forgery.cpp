#include "ledger/chunk_format.h"
#include "ledger/receipt.h"
#include "ledger/test_service.h"
#include "ledger/test_verify.h"

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

/// Changes fields, entries and files of a ledger that a service signed, and of a receipt, as the input says, and
/// signs nothing anew. Accepted must mean that the same bytes were signed. What is changed keeps its form, so that it
/// is the checks that must refuse it, not the parser.
namespace
{
using namespace concordat;
using namespace concordat::ledger;

void require(bool holds)
{
  if (!holds)
    std::abort();
}

/// Decisions out of the input; zeros when it is used up.
class Choices
{
public:
  Choices(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}
  bool left() const
  {
    return at_ != end_;
  }
  std::size_t below(std::size_t bound)
  {
    const std::size_t byte = left() ? *at_++ : 0;
    return bound == 0 ? 0 : byte % bound;
  }

private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

/// Two services with a ledger each, of several batches; the second forges.
struct Ledgers
{
  Ledgers()
  {
    for (auto* service : {&real, &other})
    {
      service->create();
      for (int batch = 0; batch < 4; ++batch)
      {
        service->write_something();
        service->tree.flush(service->entries.size() - 1);
        service->sign(chunk_after);
      }
    }
  }
  TestService real;
  TestService other;
};

kv::WriteSet tables_of(const std::string& bytes)
{
  kv::WriteSet writes;
  const auto entry = parse_entry(bytes);
  if (entry)
    (void)kv::decode(entry->public_maps, kv::Domain::public_maps, writes);
  return writes;
}

/// The entry with other public tables; its leaf is then another one.
std::string with_tables(const std::string& bytes, const kv::WriteSet& writes)
{
  const auto entry = parse_entry(bytes);
  if (!entry)
    return bytes;
  std::string maps;
  kv::encode(writes, kv::Domain::public_maps, maps);
  static const LedgerSecret any(std::string(32, 'k'));
  return encode_entry(any, entry->txid, entry->flags, entry->claims.value_or(Digest{}), maps, {}).bytes;
}

void change_entry(std::vector<std::string>& entries, const Ledgers& ledgers, Choices& choices)
{
  if (entries.empty())
    return;
  const auto at = choices.below(entries.size());
  const auto from = choices.below(ledgers.other.entries.size());
  const auto& another = ledgers.other.entries[from].bytes;
  switch (choices.below(8))
  {
  case 0:
    entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(at));
    break;
  case 1:
    entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(at), std::string(entries[at]));
    break;
  case 2:
    std::swap(entries[at], entries[choices.below(entries.size())]);
    break;
  case 3:
    entries[at] = another;
    break;
  case 4:
    entries.push_back(another);
    break;
  case 5: // one table out of another entry: signatures, certificates, trees
  {
    auto writes = tables_of(entries[at]);
    const auto others = tables_of(choices.below(2) == 0 ? another : entries[choices.below(entries.size())]);
    if (others.empty())
      break;
    const auto& [name, map] = *std::next(others.begin(), static_cast<std::ptrdiff_t>(choices.below(others.size())));
    writes[name] = map;
    entries[at] = with_tables(entries[at], writes);
    break;
  }
  case 6: // one table less
  {
    auto writes = tables_of(entries[at]);
    if (writes.empty())
      break;
    writes.erase(std::next(writes.begin(), static_cast<std::ptrdiff_t>(choices.below(writes.size()))));
    entries[at] = with_tables(entries[at], writes);
    break;
  }
  default: // a field of the signature record, or another leaf forgotten in the tree
  {
    auto writes = tables_of(entries[at]);
    if (!writes.contains(signatures_table))
      break;
    static const char* const fields[] = {"cert", "node", "root", "sig"};
    const auto* const field = fields[choices.below(4)];
    if (choices.below(2) == 0)
      set_in_signature(writes, field, std::nullopt);
    else
      set_in_signature(writes, field, "00");
    entries[at] = with_tables(entries[at], writes);
  }
  }
}

void check_ledger(const Ledgers& ledgers, Choices choices)
{
  std::vector<std::string> entries;
  for (const auto& entry : ledgers.real.entries)
    entries.push_back(entry.bytes);
  for (int changes = 0; choices.left() && changes < 4; ++changes)
    change_entry(entries, ledgers, choices);

  std::string chunk(chunk_header_size, '\0');
  for (const auto& entry : entries)
    chunk += entry;
  VerifyOptions options;
  options.service_certificate_pem = ledgers.real.service_cert.pem();
  const auto report = verify({{"ledger_1", chunk}}, options);
  if (!report.verdict)
    return;
  const auto up_to = report.verdict->signed_up_to.seqno;
  for (Seqno seqno = 1; seqno < up_to; ++seqno)
    require(seqno <= ledgers.real.entries.size() && entries[seqno - 1] == ledgers.real.entries[seqno - 1].bytes);
}

void check_receipt(const Ledgers& ledgers, Choices choices)
{
  const auto& real = ledgers.real;
  const auto signature = parse_entry(real.entries.back().bytes).value();
  const auto covered = parse_entry(real.entries[real.entries.size() - 2].bytes).value();
  const auto of_other = parse_entry(ledgers.other.entries.back().bytes).value();
  const Receipt receipts[] = {
      make_receipt(covered, signature, real.secret).value(), make_receipt(signature, signature, real.secret).value(),
      make_receipt(of_other, of_other, ledgers.other.secret).value()};
  auto receipt = receipts[choices.below(3)];
  for (int changes = 0; choices.left() && changes < 4; ++changes)
  {
    const auto& from = receipts[choices.below(3)];
    switch (choices.below(9))
    {
    case 0:
      receipt.signature = from.signature;
      break;
    case 1:
      receipt.cert = choices.below(2) == 0 ? from.cert : real.service_cert.pem();
      break;
    case 2:
      receipt.node_id = from.node_id;
      break;
    case 3:
      receipt.components = from.components;
      break;
    case 4:
      receipt.leaf = choices.below(2) == 0 ? from.leaf : std::optional(receipt.root());
      break;
    case 5:
      receipt.cose_signature = from.cose_signature;
      break;
    case 6:
      receipt.proof = from.proof;
      break;
    case 7:
      if (!receipt.proof.empty())
        receipt.proof.erase(receipt.proof.begin());
      break;
    default:
      receipt.service_endorsements = {choices.below(2) == 0 ? real.node_cert.pem() : real.service_cert.pem()};
    }
  }
  const auto read = Receipt::from_json(receipt.to_json());
  const auto proven = read ? read->verify(real.service_cert) : std::unexpected(read.error());
  if (!proven)
    return;
  require(*proven == covered.txid || *proven == signature.txid);
  if (*proven == covered.txid)
    require(receipt.components && receipt.components->write_set_digest == covered.write_set_digest());
}
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  static const Ledgers ledgers;
  check_ledger(ledgers, {data, size});
  check_receipt(ledgers, {data, size});
  return 0;
}
