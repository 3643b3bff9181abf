#pragma once

#include "base/encoding.h"
#include "consensus/durable_state.h"
#include "crypto/certificate.h"
#include "http/client.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"
#include "ledger/secrets.h"
#include "node/join_message.h"
#include "node/json.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// The other side of a node that joins, as far as a test wants to decide what it says.
namespace concordat::node::test
{
/// A service with a ledger of a few entries that nobody needs to understand.
class ServiceToJoin
{
public:
  explicit ServiceToJoin(Seqno last = 5)
  {
    while (tree.size() <= last)
      add();
  }

  void add(std::uint8_t flags = 0, std::size_t size = 20)
  {
    const auto seqno = tree.size();
    auto entry = ledger::encode_entry(
        secrets.at(seqno), {view, seqno}, flags, {}, {}, std::string(size, static_cast<char>('a' + seqno % 26)));
    entries.push_back(std::move(entry.bytes));
    tree.append(entry.leaf);
  }
  consensus::Mark end() const
  {
    return {{view, tree.size() - 1}, tree.root()};
  }
  std::string bytes(Seqno from) const
  {
    std::string all;
    for (auto seqno = from; seqno < tree.size(); ++seqno)
      all += entries[seqno - 1];
    return all;
  }
  Response ledger(Seqno from) const
  {
    Response response;
    response.headers = {
        {"x-concordat-committed", end().txid.to_string()},
        {"x-concordat-root", base::to_hex(base::as_view(end().root))}};
    response.body = bytes(from);
    return response;
  }
  crypto::Certificate endorse(const crypto::PublicKey& node) const
  {
    return crypto::issue(node, {"CN=node", {}, 1'700'000'000, 10, false}, key, certificate).value();
  }
  Response let_in(const crypto::PublicKey& node) const
  {
    const auto cert = certificate.pem();
    const auto endorsed = endorse(node).pem();
    const NetworkInfoView network{secrets, key, cert, "Open", endorsed, "issuer", "subject"};
    return Response::json(to_canonical_json(write_join_answer("Trusted", node.id(), &network)));
  }

  const crypto::KeyPair key = crypto::KeyPair::generate(crypto::Curve::p384);
  const crypto::Certificate certificate = crypto::self_signed(key, {"CN=service", {}, 1'700'000'000, 10, true}).value();
  ledger::LedgerSecrets secrets{ledger::LedgerSecret::generate()};
  ledger::MerkleTree tree;
  View view = 2;
  std::vector<std::string> entries;
};

/// What a test's service is asked.
struct Asked
{
  http::ClientOptions options;
  std::string method;
  std::string target;
  std::string body;

  /// Of whoever asks over this connection.
  crypto::PublicKey key() const
  {
    return crypto::Certificate::from_pem(options.certificate_pem.value()).value().public_key();
  }
};

/// Answers from a function; a body that is streamed comes in pieces of `piece` bytes.
class FakeClient : public http::Client
{
public:
  using Answer = std::function<Result<Response>(const Asked&)>;
  FakeClient(http::ClientOptions options, Answer answer, std::size_t piece = 7)
      : options_(std::move(options)),
        answer_(std::move(answer)),
        piece_(piece)
  {
  }

  Result<Response>
  send(const std::string& method, const std::string& target, const Headers&, std::string_view body) override
  {
    return answer_({options_, method, target, std::string(body)});
  }
  Result<Response> send_streaming(
      const std::string& method, const std::string& target, const Headers&, std::string_view body,
      const std::function<bool(std::string_view)>& on_body) override
  {
    auto response = answer_({options_, method, target, std::string(body)});
    if (!response)
      return response;
    const auto all = std::exchange(response->body, {});
    for (std::size_t at = 0; at < all.size(); at += piece_)
      if (!on_body(std::string_view(all).substr(at, piece_)))
        break;
    // A test says by a status of 0 that the connection broke at the end of these bytes.
    if (response->status == 0)
      return fail(ErrorCode::unavailable, "the connection broke");
    return response;
  }

private:
  const http::ClientOptions options_;
  const Answer answer_;
  const std::size_t piece_;
};
}
