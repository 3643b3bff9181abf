#include "joiner.h"

#include "crypto/certificate.h"

#include <optional>

namespace concordat::simulation
{
namespace
{
constexpr Time patience{3'000'000};
constexpr Time look_interval{2'000};
}

class JoiningClient::Exchange : public http::Exchange
{
public:
  Exchange(Host& host, Request request, std::string certificate)
      : host_(host),
        process_(host.process()),
        request_(std::move(request))
  {
    session_.interface = "main";
    session_.client_certificate = std::move(certificate);
  }

  Request& request() override
  {
    return request_;
  }
  http::Session& session() override
  {
    return session_;
  }
  void respond(Response response, bool) override
  {
    if (!is_gone() && !response_)
      response_ = std::move(response);
  }
  void resume(std::function<void()> task) override
  {
    if (!is_gone())
      host_.later(Time(100), std::move(task));
  }
  bool is_gone() const
  {
    return host_.process() != process_ || host_.is_dead();
  }
  std::optional<Response>& response()
  {
    return response_;
  }

private:
  Host& host_;
  const std::uint64_t process_;
  Request request_;
  http::Session session_;
  std::optional<Response> response_;
};

JoiningClient::JoiningClient(
    Around& around, http::ClientOptions options, std::function<Host*(const std::string& url)> host_at)
    : around_(around),
      options_(std::move(options)),
      host_at_(std::move(host_at))
{
}

Result<Response>
JoiningClient::send(const std::string& method, const std::string& target, const Headers& headers, std::string_view body)
{
  auto* const host = host_at_(options_.url);
  if (!host || host->is_dead())
    return fail(ErrorCode::unavailable, "nobody answers there");
  Request request;
  request.method = method;
  const auto question = target.find('?');
  request.path = target.substr(0, question);
  request.query = question == std::string::npos ? "" : target.substr(question + 1);
  request.headers = headers;
  request.body = body;
  const auto exchange = std::make_shared<Exchange>(
      *host, std::move(request), crypto::Certificate::from_pem(options_.certificate_pem.value_or("")).value().der());
  host->forget_plan();
  host->node().dispatcher().handle(exchange);
  host->step_soon();
  const auto until = around_.schedule.now() + patience;
  while (!exchange->response() && !exchange->is_gone() && around_.schedule.now() < until && !around_.verdict.first())
    around_.wait(look_interval);
  if (exchange->is_gone() || !exchange->response())
    return fail(ErrorCode::unavailable, "the connection broke");
  return std::move(*exchange->response());
}

Result<Response> JoiningClient::send_streaming(
    const std::string& method, const std::string& target, const Headers& headers, std::string_view body,
    const std::function<bool(std::string_view)>& on_body)
{
  auto response = send(method, target, headers, body);
  if (!response)
    return response;
  if (const auto stream = std::exchange(response->stream, nullptr))
    for (std::string piece; stream->next(piece);)
      if (!on_body(piece))
        return fail(ErrorCode::unavailable, "the receiver has had enough");
  response->body.clear();
  return response;
}
}
