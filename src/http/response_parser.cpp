#include "http/response_parser.h"

#include <boost/beast/http/basic_parser.hpp>

#include <limits>
#include <optional>
#include <utility>

namespace concordat::http
{
namespace
{
namespace beast = boost::beast;
using beast::http::error;

/// Beyond this a size line of a chunk, or trailers, are taken for an attack.
constexpr std::size_t max_chunk_line = 32 << 10;

using Options = ResponseParser::Options;

class Message final : public beast::http::basic_parser<false>
{
public:
  explicit Message(const Options& options) : options_(options)
  {
    eager(true);
    skip(options.is_head);
    header_limit(static_cast<std::uint32_t>(
        std::min<std::size_t>(options.max_head_size, std::numeric_limits<std::uint32_t>::max())));
    if (options.on_body)
      body_limit(boost::none);
    else
      body_limit(options.max_body_size);
  }

  Response response;
  bool stopped = false;

private:
  void on_request_impl(beast::http::verb, beast::string_view, beast::string_view, int, beast::error_code&) override {}

  void on_response_impl(int status, beast::string_view, int, beast::error_code&) override
  {
    response.status = status;
  }

  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value, beast::error_code&) override
  {
    if (header_done_)
      return;
    std::string lower(name.data(), name.size());
    for (char& c : lower)
      c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    response.headers.emplace_back(std::move(lower), std::string(value.data(), value.size()));
  }

  void on_header_impl(beast::error_code&) override
  {
    header_done_ = true;
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}

  std::size_t on_body_impl(beast::string_view body, beast::error_code&) override
  {
    return take_body(body);
  }

  void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}

  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, beast::error_code&) override
  {
    return take_body(body);
  }

  void on_finish_impl(beast::error_code&) override {}

  std::size_t take_body(beast::string_view body)
  {
    if (!options_.on_body)
      response.body.append(body.data(), body.size());
    else if (!stopped)
      stopped = !options_.on_body({body.data(), body.size()});
    return body.size();
  }

  const Options& options_;
  bool header_done_ = false;
};
}

class ResponseParser::Impl
{
public:
  explicit Impl(Options options) : options_(std::move(options))
  {
    message.emplace(options_);
  }

  Result<void> feed(std::string_view bytes)
  {
    held_.append(bytes);
    std::size_t at = 0;
    while (at < held_.size() && !message->is_done())
    {
      const auto rest = std::string_view(held_).substr(at);
      // An unfinished last chunk shorter than this trips an assertion of the parser.
      if (message->is_header_done() && message->chunked() && rest.size() < 5)
        break;
      beast::error_code ec;
      at += message->put({rest.data(), rest.size()}, ec);
      if (ec == error::need_more)
        break;
      if (ec == error::body_limit || ec == error::header_limit)
        return fail(ErrorCode::limit, "the server's answer is larger than allowed");
      if (ec)
        return fail(ErrorCode::corrupt, "the server's answer is not well-formed HTTP/1.1: " + ec.message());
      if (message->is_done() && message->response.status / 100 == 1)
        message.emplace(options_);
    }
    held_.erase(0, at);
    if (message->is_header_done() && !message->is_done() && held_.size() > max_chunk_line)
      return fail(ErrorCode::limit, "the server's answer has a chunk header that is larger than allowed");
    return {};
  }

  Result<void> end()
  {
    beast::error_code ec;
    if (message->got_some() && !message->is_done())
      message->put_eof(ec);
    if (ec || !message->is_done())
      return fail(ErrorCode::unavailable, "the server closed the connection in the middle of its answer");
    return {};
  }

  bool started() const
  {
    return message->got_some() || !held_.empty();
  }

  bool keep_alive() const
  {
    return message->keep_alive() && held_.empty();
  }

  std::optional<Message> message;

private:
  Options options_;
  std::string held_;
};

ResponseParser::ResponseParser(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
ResponseParser::~ResponseParser() = default;

Result<void> ResponseParser::feed(std::string_view bytes)
{
  return impl_->feed(bytes);
}

Result<void> ResponseParser::end()
{
  return impl_->end();
}

bool ResponseParser::done() const
{
  return impl_->message->is_done();
}

bool ResponseParser::started() const
{
  return impl_->started();
}

bool ResponseParser::stopped() const
{
  return impl_->message->stopped;
}

bool ResponseParser::keep_alive() const
{
  return impl_->keep_alive();
}

Response ResponseParser::take()
{
  return std::move(impl_->message->response);
}
}
