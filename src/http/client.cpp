#include "http/client.h"

#include "http/client_connection.h"
#include "http/response_parser.h"

#include <algorithm>
#include <utility>

namespace concordat::http
{
namespace
{
bool is_safe(std::string_view text)
{
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; });
}

class BlockingClient final : public Client
{
public:
  explicit BlockingClient(std::unique_ptr<ClientConnector> connector) : connector_(std::move(connector)) {}

  Result<Response>
  send(const std::string& method, const std::string& target, const Headers& headers, std::string_view body) override
  {
    return exchange(method, target, headers, body, {});
  }

  Result<Response> send_streaming(
      const std::string& method, const std::string& target, const Headers& headers, std::string_view body,
      const std::function<bool(std::string_view)>& on_body) override
  {
    return exchange(method, target, headers, body, on_body);
  }

  void set_timeout(std::uint64_t milliseconds) override
  {
    connector_->set_timeout(milliseconds);
    if (connection_)
      connection_->set_timeout(milliseconds);
  }

private:
  Result<Response> exchange(
      const std::string& method, const std::string& target, const Headers& headers, std::string_view body,
      const std::function<bool(std::string_view)>& on_body)
  {
    auto request = compose(method, target, headers, body);
    if (!request)
      return std::unexpected(request.error());
    if (connection_ && !connection_->is_idle())
      connection_.reset();
    if (!connection_)
    {
      auto connected = connector_->connect();
      if (!connected)
        return std::unexpected(connected.error());
      connection_ = std::move(*connected);
    }

    ResponseParser::Options options;
    options.is_head = method == "HEAD";
    options.on_body = on_body;
    ResponseParser parser(std::move(options));
    auto done = transfer(parser, *request);
    if (!done || parser.stopped() || !parser.keep_alive())
      connection_.reset();
    if (!done)
      return fail(method + " " + target + " at " + connector_->host_and_port(), done.error());
    return parser.take();
  }

  Result<std::string>
  compose(const std::string& method, const std::string& target, const Headers& headers, std::string_view body) const
  {
    if (!is_safe(method) || !is_safe(target) || method.empty() || target.empty() ||
        target.find(' ') != std::string::npos || method.find(' ') != std::string::npos)
      return fail(ErrorCode::invalid, "method or target of a request holds a space or control character, or nothing");
    std::string out = method + " " + target + " HTTP/1.1\r\nhost: " + connector_->host_and_port() + "\r\n";
    for (const auto& [name, value] : headers)
    {
      if (!is_safe(name) || !is_safe(value) || name.empty() || name.find_first_of(": ") != std::string::npos)
        return fail(ErrorCode::invalid, "the request header '" + name + "' holds a character that is not allowed");
      if (name != "content-length" && name != "transfer-encoding" && name != "host")
        out += name + ": " + value + "\r\n";
    }
    if (!body.empty() || (method != "GET" && method != "HEAD"))
      out += "content-length: " + std::to_string(body.size()) + "\r\n";
    out += "\r\n";
    out += body;
    return out;
  }

  /// An error answer may come, and the server close, before the request is sent: what was answered counts.
  Result<void> transfer(ResponseParser& parser, const std::string& request)
  {
    const auto sent = connection_->write(request);
    std::string piece;
    while (!parser.done() && !parser.stopped())
    {
      const auto read = connection_->read(piece);
      if (!read && !parser.started())
        return fail(
            ErrorCode::unavailable, "the connection broke while the request was on its way, and whether it took "
                                    "effect is not known: " +
                                        (sent ? read.error() : sent.error()).describe());
      if (!read)
        return std::unexpected(read.error());
      if (piece.empty() && !parser.started())
        return fail(
            ErrorCode::unavailable, "the server closed the connection without an answer while the request was on its "
                                    "way; whether it took effect is not known");
      if (auto parsed = piece.empty() ? parser.end() : parser.feed(piece); !parsed)
        return parsed;
    }
    return {};
  }

  std::unique_ptr<ClientConnector> connector_;
  std::unique_ptr<ClientConnection> connection_;
};
}

Result<std::unique_ptr<Client>> Client::create(ClientOptions options)
{
  auto connector = ClientConnector::create(std::move(options));
  if (!connector)
    return std::unexpected(connector.error());
  return std::make_unique<BlockingClient>(std::move(*connector));
}
}
