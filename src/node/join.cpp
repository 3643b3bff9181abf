#include "node/join.h"

#include "base/log.h"
#include "crypto/hash.h"
#include "crypto/signing_request.h"
#include "ledger/chunks.h"
#include "net/address.h"
#include "node/certificates.h"
#include "node/fetch_ledger.h"
#include "node/genesis.h"
#include "node/join_message.h"
#include "node/json.h"

#include <boost/json.hpp>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

namespace concordat::node
{
namespace
{
constexpr std::uint64_t max_certificate_size = 1 << 20;
constexpr unsigned most_redirections = 4;
constexpr std::uint64_t client_timeout_ms = 10'000;
constexpr std::chrono::minutes between_words(1);
constexpr std::string_view join_path = "/node/join";
/// Of what another node says, as much is shown.
constexpr std::size_t longest_quoted = 512;

/// "host:port" of a redirection to another node; nothing for any other place.
std::optional<std::string> redirected_to(const Response& response)
{
  constexpr std::string_view scheme = "https://";
  auto location = find_header(response.headers, "location").value_or("");
  if (!location.starts_with(scheme) || !location.ends_with(join_path))
    return std::nullopt;
  location.remove_prefix(scheme.size());
  location.remove_suffix(join_path.size());
  auto address = std::string(location);
  return net::split_address(address) ? std::optional(std::move(address)) : std::nullopt;
}

/// What the body of an error answer says, without what would not show in a log.
std::string error_text(const Response& response)
{
  const auto body = parse_json(response.body);
  const auto* const object = body ? body->if_object() : nullptr;
  const auto* const error = object ? object->if_contains("error") : nullptr;
  const auto* const inner = error ? error->if_object() : nullptr;
  auto text =
      inner ? string_member(*inner, "code") + ": " + string_member(*inner, "message") : std::string("no reason");
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  return text.substr(0, longest_quoted);
}

class Joiner
{
public:
  Joiner(
      const Configuration& configuration, JoinMeans means, NodeKeys keys, crypto::Certificate service,
      JoinRequest request)
      : configuration_(configuration),
        means_(std::move(means)),
        keys_(std::move(keys)),
        service_(std::move(service)),
        body_(write_join_request(request))
  {
  }

  Result<Identity> run()
  {
    spdlog::info(
        "node {} asks {} to be let into the service", keys_.node_key.public_key().id(),
        configuration_.join->target_rpc_address);
    while (true)
    {
      auto asked = ask();
      if (!asked && asked.error().code == ErrorCode::denied)
        return std::unexpected(asked.error());
      if (!asked)
        say(asked.error().describe() + "; trying again");
      else if (!*asked)
        say("this node waits for the members of the service to trust it");
      else
      {
        auto joined = take_over(std::move(**asked));
        if (joined || joined.error().code != ErrorCode::unavailable)
          return joined;
        say(joined.error().describe() + "; trying again");
      }
      if (means_.stop)
        return fail(ErrorCode::unavailable, "this node was told to stop before it had joined the service");
      means_.wait(configuration_.join->retry_timeout);
    }
  }

private:
  /// Something new at once, the same thing now and then.
  void say(const std::string& text)
  {
    const auto now = means_.clock.steady();
    if (text == said_ && now - said_at_ < between_words)
      return;
    said_ = text;
    said_at_ = now;
    spdlog::info("{}", text);
  }

  Result<void> connect(const std::string& address)
  {
    crypto::CertificateRequest request;
    request.subject = configuration_.node_subject;
    request.valid_from = means_.clock.unix_seconds() - begins_before;
    request.validity_days = configuration_.node_validity_days;
    request.subject_alt_names = alternative_names(configuration_, means_.addresses);
    const auto certificate = crypto::self_signed(keys_.node_key, request);
    if (!certificate)
      return fail("cannot make the node's self-signed certificate", certificate.error());
    http::ClientOptions options;
    options.url = "https://" + address;
    options.service_certificate_pem = service_.pem();
    options.certificate_pem = certificate->pem();
    options.private_key_pem = keys_.node_key.private_pem();
    options.timeout_ms = client_timeout_ms;
    auto client = means_.connect(std::move(options));
    if (!client)
      return std::unexpected(client.error());
    client_ = std::move(*client);
    return {};
  }

  /// Asks the node that the configuration names, and whom that one names.
  /// @return nothing while the node is pending. Error::denied: the service refuses; any other error may pass
  Result<std::optional<NetworkInfo>> ask()
  {
    auto address = configuration_.join->target_rpc_address;
    for (unsigned hops = 0; hops <= most_redirections; ++hops)
    {
      const auto where = "node " + address;
      if (auto connected = connect(address); !connected)
        return passing(where + " cannot be asked", connected.error());
      const auto response =
          client_->send("POST", std::string(join_path), {{"content-type", "application/json"}}, body_);
      if (!response)
        return passing(where + " cannot be asked", response.error());
      if (response->status == 307 || response->status == 308)
      {
        const auto next = redirected_to(*response);
        if (!configuration_.join->follow_redirect)
          return fail(
              ErrorCode::unavailable, where + " is not the primary, and 'command.join.follow_redirect' is false");
        if (!next)
          return fail(ErrorCode::unavailable, where + " names no other node to ask");
        address = *next;
        continue;
      }
      return read(where, *response);
    }
    return fail(ErrorCode::unavailable, "nodes name each other as the one to ask");
  }

  /// An error of the connection may pass, whatever its kind: who answers there may be replaced by who should.
  static std::unexpected<Error> passing(const std::string& what, const Error& cause)
  {
    return fail(ErrorCode::unavailable, what + ": " + cause.describe());
  }

  Result<std::optional<NetworkInfo>> read(const std::string& where, const Response& response) const
  {
    if (response.status >= 400 && response.status < 500)
      return fail(
          ErrorCode::denied, "the service does not let this node in: " + where + " answered " +
                                 std::to_string(response.status) + " " + error_text(response));
    if (response.status != 200)
      return fail(
          ErrorCode::unavailable, where + " answered " + std::to_string(response.status) + " " + error_text(response));
    auto answer = read_join_answer(response.body, service_, keys_.node_key.public_key());
    if (!answer)
      return passing(where, answer.error());
    return std::move(answer->network);
  }

  /// With the secrets: the ledger, then what a start finds again.
  Result<Identity> take_over(NetworkInfo network)
  {
    if (!chunks_)
      if (auto begun = begin_ledger(*network.ledger_secrets); !begun)
        return std::unexpected(begun.error());
    spdlog::info("the service trusts this node, which receives the ledger from transaction {} on", receiver_->next());
    const auto end = fetch_ledger(*client_, *receiver_);
    if (!end)
      return std::unexpected(end.error());
    spdlog::info("received the ledger up to transaction {}", end->txid.to_string());
    chunks_.reset();

    consensus::DurableState durable;
    durable.term = end->txid.view;
    durable.mark = *end;
    durable.several = true;
    if (auto saved = means_.sealed.save(durable); !saved)
      return fail("cannot seal the state of consensus", saved.error());
    Identity identity{
        keys_.node_key,
        network.service_key,
        keys_.encryption_private_key_pem,
        keys_.encryption_public_key_pem,
        std::move(network.ledger_secrets),
        true,
        JoinedService{std::move(network.cose_issuer), std::move(network.cose_subject)}};
    if (auto saved = means_.sealed.save_identity(identity); !saved)
      return fail("cannot seal this node's identity", saved.error());
    if (auto removed = means_.sealed.remove_keys(); !removed)
      return fail("cannot remove what was sealed before this node had joined", removed.error());
    return identity;
  }

  /// What an earlier process has received is thrown away: nobody knows how much of it is right.
  Result<void> begin_ledger(const ledger::LedgerSecrets& secrets)
  {
    const auto& directory = configuration_.ledger_directory;
    if (auto made = means_.files.make_directory(directory); !made)
      return made;
    const auto names = means_.files.list(directory);
    if (!names)
      return std::unexpected(names.error());
    for (const auto& name : *names)
      if (name.starts_with("ledger_"))
        if (auto removed = means_.files.remove(base::join(directory, name)); !removed)
          return removed;
    if (auto synced = means_.files.sync_directory(directory); !synced)
      return synced;
    ledger::ChunkLimits limits;
    limits.alone = false;
    auto chunks = ledger::ChunkFiles::open(means_.files, directory, secrets, limits);
    if (!chunks)
      return fail("cannot make the ledger directory", chunks.error());
    chunks_ = std::move(*chunks);
    receiver_.emplace(*chunks_);
    return {};
  }

  const Configuration& configuration_;
  JoinMeans means_;
  const NodeKeys keys_;
  const crypto::Certificate service_;
  const std::string body_;
  std::unique_ptr<http::Client> client_; ///< to the node that was asked last
  std::unique_ptr<ledger::ChunkFiles> chunks_;
  std::optional<EntryReceiver> receiver_;
  std::string said_;
  std::chrono::steady_clock::time_point said_at_;
};

Result<NodeKeys> keys_of(const Configuration& configuration, const JoinMeans& means)
{
  if (means.sealed.has_keys())
  {
    auto keys = means.sealed.load_keys();
    return keys ? std::move(keys) : fail("cannot unseal this node's keys", keys.error());
  }
  const auto& directory = configuration.ledger_directory;
  const auto names = means.files.exists(directory) ? means.files.list(directory) : Result<std::vector<std::string>>{};
  if (!names)
    return std::unexpected(names.error());
  if (!names->empty())
    return fail(
        ErrorCode::exists, "the ledger directory '" + directory +
                               "' is not empty, but this node has no sealed identity to read it with; give it the "
                               "sealed directory that belongs to it, or an empty ledger directory");
  auto keys = NodeKeys::generate(configuration.curve);
  // Before the first request: after a restart it is the same node that asks.
  if (auto saved = means.sealed.save_keys(keys); !saved)
    return fail("cannot seal this node's keys", saved.error());
  return keys;
}

Result<JoinRequest> request_of(const Configuration& configuration, const JoinMeans& means, const NodeKeys& keys)
{
  const auto evidence = means.platform.evidence(crypto::sha256(keys.node_key.public_key().der()));
  if (!evidence)
    return fail("cannot get the platform's evidence", evidence.error());
  auto node_data = read_node_data(means.files, configuration);
  if (!node_data)
    return std::unexpected(node_data.error());
  auto asked = crypto::make_signing_request(
      keys.node_key, configuration.node_subject, alternative_names(configuration, means.addresses));
  if (!asked)
    return fail("'node_certificate' does not make a request for a certificate", asked.error());
  auto interfaces = published_interfaces(configuration, means.addresses);
  JoinRequest request;
  request.node_to_node_interface = std::move(interfaces.node_to_node);
  request.rpc_interfaces = std::move(interfaces.rpc);
  request.format = evidence->format;
  request.quote = evidence->quote;
  request.endorsements = evidence->endorsements;
  request.public_encryption_key = keys.encryption_public_key_pem;
  request.certificate_signing_request = std::move(*asked);
  request.node_data = std::move(*node_data);
  return request;
}

void wait_for(const std::atomic<bool>& stop, std::chrono::milliseconds time)
{
  constexpr std::chrono::milliseconds slice(50);
  for (; time.count() > 0 && !stop; time -= slice)
    std::this_thread::sleep_for(std::min(time, slice));
}
}

Result<Identity> join_service(const Configuration& configuration, JoinMeans means)
{
  if (auto right = check_clock(means.clock.unix_seconds()); !right)
    return std::unexpected(right.error());
  const auto pem = means.files.read(configuration.service_certificate_file, max_certificate_size);
  if (!pem)
    return fail("'command.service_certificate_file' cannot be used", pem.error());
  auto service = crypto::Certificate::from_pem(*pem);
  if (!service)
    return fail("'command.service_certificate_file' is not a PEM certificate", service.error());
  auto keys = keys_of(configuration, means);
  if (!keys)
    return std::unexpected(keys.error());
  auto request = request_of(configuration, means, *keys);
  if (!request)
    return std::unexpected(request.error());
  if (!means.wait)
    means.wait = [&stop = means.stop](std::chrono::milliseconds time) { wait_for(stop, time); };
  return Joiner(configuration, std::move(means), std::move(*keys), std::move(*service), std::move(*request)).run();
}
}
