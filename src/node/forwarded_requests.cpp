#include "node/forwarded_requests.h"

#include "base/log.h"
#include "node/answers.h"

#include <atomic>
#include <utility>

namespace concordat::node
{
namespace
{
/// Callers that are known again without reading their certificates.
constexpr std::size_t most_clients = 1000;

/// Of a streamed answer, as much goes in one message if there is no more.
constexpr std::size_t one_message = std::size_t{1} << 20;
constexpr std::size_t piece_size = std::size_t{256} << 10;

/// A body that is there as a whole.
class WholeBody final : public BodySource
{
public:
  explicit WholeBody(std::string body) : body_(std::move(body)) {}
  bool next(std::string& piece) override
  {
    piece = body_.substr(at_, piece_size);
    at_ += piece.size();
    return !piece.empty();
  }

private:
  const std::string body_;
  std::size_t at_ = 0;
};

/// A request of another node's client. Its first answer counts; dropped without one it answers 500 itself.
class ForwardedExchange final : public http::Exchange, public std::enable_shared_from_this<ForwardedExchange>
{
public:
  using Send = std::function<bool(const peer::NodeId&, PeerMessage, peer::Payload)>;

  ForwardedExchange(
      ForwardedRequest request, peer::NodeId from, std::shared_ptr<const void> account, Send send, base::Executor& pool,
      std::shared_ptr<OutgoingStreams> streams)
      : request_(std::move(request.request)),
        id_(request.id),
        from_(std::move(from)),
        account_(std::move(account)),
        send_(std::move(send)),
        pool_(pool),
        streams_(std::move(streams))
  {
    session_.client_certificate = std::move(request.certificate);
  }
  ~ForwardedExchange() override
  {
    if (!answered_.load())
      send(Response::error(500, "InternalError", "The request was dropped without an answer."), false);
  }

  Request& request() override
  {
    return request_;
  }
  http::Session& session() override
  {
    return session_;
  }

  void respond(Response response, bool close) override
  {
    if (answered_.exchange(true))
      return;
    if (response.stream)
      read_on_pool(std::move(response), close);
    else if (response.body.size() > ForwardedAnswer::body_limit)
    {
      auto body = std::make_shared<WholeBody>(std::exchange(response.body, {}));
      send_in_pieces(std::move(response), close, {}, std::move(body));
    }
    else
      send(std::move(response), close);
  }

  /// Sent ahead: if the answer does not reach its node in time, the client can ask what became of this.
  void note_transaction(const std::string& id) override
  {
    if (const auto txid = TxId::parse(id))
      (void)send_(from_, PeerMessage::forwarded_place, ForwardedPlace{id_, *txid}.encode());
  }

private:
  /// Not here: this may be the thread that all writes wait for.
  void read_on_pool(Response response, bool close)
  {
    const auto held = std::make_shared<Response>(std::move(response));
    base::Job job;
    job.run = [self = shared_from_this(), held, close]
    {
      const auto stream = std::exchange(held->stream, nullptr);
      held->body.clear();
      try
      {
        for (std::string piece; stream->next(piece);)
        {
          held->body += piece;
          if (held->body.size() > one_message)
          {
            auto first = std::exchange(held->body, {});
            return self->send_in_pieces(std::move(*held), close, std::move(first), stream);
          }
        }
      }
      catch (const std::exception& error)
      {
        spdlog::error("the source of a response body threw an exception: {}", error.what());
        return self->send(answers::answer_too_large(held->headers), close);
      }
      self->send(std::move(*held), close);
    };
    job.refuse = [self = shared_from_this(), held, close](base::Refusal)
    { self->send(answers::answer_too_large(held->headers), close); };
    job.owner = "forwarded answers";
    if (!pool_.submit(std::move(job)))
      send(answers::answer_too_large(held->headers), close);
  }

  void send_in_pieces(Response response, bool close, std::string first, std::shared_ptr<BodySource> rest)
  {
    const auto headers = response.headers;
    if (!streams_->add(from_, id_, std::move(first), std::move(rest)))
      return send(answers::answer_too_large(headers), close);
    auto head = ForwardedAnswer{id_, close, std::move(response)}.encode();
    if (!head)
      return send(answers::answer_too_large(headers), close);
    if (!send_(from_, PeerMessage::forwarded_stream, std::move(*head)))
      spdlog::warn("an answer to a forwarded request does not reach node {}", from_);
  }

  void send(Response response, bool close)
  {
    auto headers = response.headers;
    auto message = ForwardedAnswer{id_, close, std::move(response)}.encode();
    if (!message)
      message = ForwardedAnswer{id_, close, answers::answer_too_large(headers)}.encode();
    // Who asked hears nothing then, and tells their client that nothing is known.
    if (!message || !send_(from_, PeerMessage::forwarded_answer, std::move(*message)))
      spdlog::warn("an answer to a forwarded request does not reach node {}", from_);
  }

  Request request_;
  http::Session session_;
  const std::uint64_t id_;
  const peer::NodeId from_;
  const std::shared_ptr<const void> account_;
  const Send send_;
  base::Executor& pool_;
  const std::shared_ptr<OutgoingStreams> streams_;
  std::atomic<bool> answered_{false};
};
}

ForwardedRequests::ForwardedRequests(Options options, base::Executor& pool, const base::Clock& clock)
    : options_(std::move(options)),
      pool_(pool),
      streams_(std::make_shared<OutgoingStreams>(OutgoingStreams::Options{.send = options_.send}, pool, clock))
{
}

void ForwardedRequests::take(peer::Received message)
{
  auto request = ForwardedRequest::decode(message.bytes);
  if (!request)
    return spdlog::warn("a request of node {} is dropped: {}", message.from, request.error().describe());
  message.bytes = {};
  const auto view = request->view;
  const auto exchange = std::make_shared<ForwardedExchange>(
      std::move(*request), std::move(message.from), std::move(message.account), options_.send, pool_, streams_);
  exchange->session().handler_data = client_of(exchange->session().client_certificate);
  exchange->session().first_view = view;
  options_.run(exchange, view);
}

std::shared_ptr<Client> ForwardedRequests::client_of(const std::string& certificate)
{
  const base::LockGuard lock(mutex_);
  const auto found = clients_.find(certificate);
  if (found != clients_.end())
    return found->second;
  if (clients_.size() >= most_clients)
    clients_.clear();
  auto made = std::make_shared<Client>(certificate);
  clients_.emplace(certificate, made);
  return made;
}
}
