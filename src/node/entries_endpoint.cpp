#include "node/entries_endpoint.h"

#include "base/encoding.h"
#include "base/log.h"
#include "ledger/merkle.h"
#include "ledger/signature.h"
#include "node/json.h"
#include "node/trust.h"

#include <charconv>

namespace concordat::node
{
namespace
{
constexpr std::size_t piece_size = std::size_t{64} << 10;

/// The entries from one seqno to another, in pieces of about the same size.
class Entries : public BodySource
{
public:
  Entries(const consensus::Ordering& ordering, Seqno from, Seqno last) : ordering_(ordering), next_(from), last_(last)
  {
  }

  bool next(std::string& piece) override
  {
    piece.clear();
    while (piece.size() < piece_size && (at_ < entry_.size() || next_ <= last_))
    {
      if (at_ == entry_.size())
      {
        auto read = ordering_.read(next_);
        if (!read)
        {
          // The receiver sees that entries are missing, by their numbers and by the header.
          spdlog::error("ledger entry {} cannot be handed out: {}", next_, read.error().describe());
          next_ = last_ + 1;
          at_ = entry_.size();
          break;
        }
        entry_ = std::move(*read);
        at_ = 0;
        ++next_;
      }
      const auto taken = std::string_view(entry_).substr(at_, piece_size - piece.size());
      piece += taken;
      at_ += taken.size();
    }
    return !piece.empty();
  }

private:
  const consensus::Ordering& ordering_;
  Seqno next_;
  const Seqno last_;
  std::string entry_;
  std::size_t at_ = 0;
};

struct Newest
{
  TxId txid;
  Digest root{};
};

/// The last signature in a committed state, and the root of the tree with it.
Result<Newest> newest_signature(const Services& services, ReadTransaction& state)
{
  const auto record =
      ledger::SignatureRecord::from_json(state.get(ledger::signatures_table, ledger::single_key).value_or(""));
  if (!record)
    return std::unexpected(record.error());
  auto tree = ledger::MerkleTree::deserialise(state.get(ledger::tree_table, ledger::single_key).value_or(""));
  if (!tree)
    return std::unexpected(tree.error());
  const auto bytes = services.ordering.read(record->txid.seqno);
  if (!bytes)
    return std::unexpected(bytes.error());
  const auto entry = ledger::parse_entry(*bytes);
  if (!entry)
    return std::unexpected(entry.error());
  tree->append(entry->leaf());
  return Newest{record->txid, tree->root()};
}

std::optional<Seqno> seqno_of(const std::optional<std::string>& text)
{
  Seqno seqno = 0;
  const char* const end = text ? text->data() + text->size() : nullptr;
  if (!text || std::from_chars(text->data(), end, seqno).ptr != end || seqno == 0)
    return std::nullopt;
  return seqno;
}

Response entries(const Services& services, Context& context)
{
  auto& state = *context.state();
  const auto record = node_record_of(state, context.caller().id);
  if (!record || string_member(*record, "status") != "Trusted")
    return Response::error(403, "AuthorizationFailed", "Only a trusted node is given the ledger");
  const auto from = seqno_of(context.request().parameter("from"));
  if (!from)
    return Response::error(400, "InvalidQueryParameterValue", "'from' must be the number of a transaction");
  const auto newest = newest_signature(services, state);
  if (!newest)
  {
    spdlog::error("the ledger cannot be handed out: {}", newest.error().describe());
    return Response::error(500, "InternalError", "The ledger of this node cannot be read");
  }
  if (*from > newest->txid.seqno + 1)
    return Response::error(404, "ResourceNotFound", "The ledger does not reach that transaction yet");
  auto response = Response::empty(200);
  response.headers.emplace_back("content-type", "application/octet-stream");
  response.headers.emplace_back("x-concordat-committed", newest->txid.to_string());
  response.headers.emplace_back("x-concordat-root", base::to_hex(base::as_view(newest->root)));
  response.stream = std::make_shared<Entries>(services.ordering, *from, newest->txid.seqno);
  return response;
}
}

Endpoint entries_endpoint(Services& services)
{
  Endpoint endpoint;
  endpoint.method = "GET";
  endpoint.path = "/concordat/entries";
  endpoint.mode = Mode::read_only;
  endpoint.policies = {AuthPolicy::node_cert};
  endpoint.handler = [&services](Context& context) { return entries(services, context); };
  endpoint.hidden = true;
  endpoint.forwarding = Forwarding::never; // the caller is a node that may be the only one to be reached
  return endpoint;
}
}
