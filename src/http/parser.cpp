#include "http/parser.h"

#include "base/check.h"
#include "http/chunked_body.h"
#include "http/head_guard.h"
#include "http/head_parser.h"
#include "http/target.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace concordat::http
{
namespace
{
namespace beast = boost::beast;
using beast::http::error;

constexpr std::size_t excerpt_size = 64;

std::string_view view_of(beast::string_view text)
{
  return {text.data(), text.size()};
}

bool equals_ignoring_case(std::string_view left, std::string_view right)
{
  return beast::iequals({left.data(), left.size()}, {right.data(), right.size()});
}

/// Origin, absolute and asterisk form (RFC 9112 §3.2), or the authority of a CONNECT.
bool is_target(std::string_view method, std::string_view target)
{
  if (std::any_of(target.begin(), target.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
    return false;
  return target.starts_with('/') || target == "*" || target.starts_with("http://") || target.starts_with("https://") ||
         method == "CONNECT";
}

/// One message; Beast's parsers cannot be used twice.
class Message final : public HeadParser<true>
{
public:
  explicit Message(std::uint64_t max_body_size)
  {
    body_limit(max_body_size);
  }

  Request request;
  bool expects_continue = false;
  bool http_1_0 = false;

private:
  void on_request_impl(
      beast::http::verb verb, beast::string_view method, beast::string_view target, int version,
      beast::error_code& ec) override
  {
    if (verb == beast::http::verb::unknown)
      ec = error::bad_method;
    else if (!is_target(view_of(method), view_of(target)))
      ec = error::bad_target;
    else
    {
      http_1_0 = version == 10;
      request.method = view_of(method);
      auto parts = split_target(view_of(target));
      request.path = std::move(parts.path);
      request.query = std::move(parts.query);
      request.headers.reserve(8);
    }
  }

  void on_field_impl(
      beast::http::field name, beast::string_view text, beast::string_view value, beast::error_code& ec) override
  {
    // A coding other than chunked would reach the handler undecoded, and HTTP/1.0 knows none (RFC 9112 §6.1).
    if (name == beast::http::field::transfer_encoding && (http_1_0 || !beast::iequals(value, "chunked")))
    {
      ec = error::bad_transfer_encoding;
      return;
    }
    if (name == beast::http::field::expect && !http_1_0)
      expects_continue = equals_ignoring_case(view_of(value), "100-continue");
    request.headers.push_back(kept_header(text, value));
  }
};

std::string printable(std::string_view bytes)
{
  std::string out(bytes.substr(0, excerpt_size));
  for (char& c : out)
    c = c >= ' ' && c <= '~' ? c : '.';
  return out;
}
}

class RequestParser::Impl
{
public:
  explicit Impl(const Limits& limits) : limits_(limits), guard_(limits) {}

  Step feed(std::string_view bytes)
  {
    CHECK(stage_ != Stage::ended, "the caller stops after a refusal and takes what is complete");
    std::size_t used = 0;
    if (stage_ == Stage::before)
    {
      const auto step = skip_empty_lines(bytes);
      if (step.outcome != Outcome::need_more || step.consumed == bytes.size())
        return step;
      used = step.consumed;
    }
    if (stage_ == Stage::head)
    {
      auto step = feed_head(bytes.substr(used));
      used = step.consumed += used;
      if (stage_ != Stage::body || used == bytes.size())
        return step;
    }
    auto step = feed_body(bytes.substr(used));
    step.consumed += used;
    return step;
  }

  Request take()
  {
    CHECK(std::exchange(complete_, false), "a request is taken once it is complete");
    Request request = std::move(message_->request);
    keep_alive_ = message_->keep_alive();
    http_1_0_ = message_->http_1_0;
    message_.reset();
    chunks_.reset();
    stage_ = Stage::before;
    return request;
  }

  bool take_continue()
  {
    return stage_ == Stage::body && std::exchange(message_->expects_continue, false);
  }

  bool started() const
  {
    return stage_ == Stage::head || stage_ == Stage::body;
  }

  bool keep_alive_ = true;
  bool http_1_0_ = false;
  std::string excerpt_;

private:
  enum class Stage
  {
    before,
    head,
    body,
    ended,
  };

  Step refuse(Outcome outcome, std::size_t consumed, std::string_view what)
  {
    stage_ = Stage::ended;
    excerpt_ = printable(what);
    held_ = {};
    return {outcome, consumed};
  }

  Step skip_empty_lines(std::string_view bytes)
  {
    std::size_t used = 0;
    while (used < bytes.size() && (bytes[used] == '\r' || bytes[used] == '\n'))
    {
      if ((bytes[used] == '\n') != after_cr_)
        return refuse(Outcome::malformed, bytes.size(), bytes.substr(used));
      after_cr_ = !after_cr_;
      ++used;
    }
    if (used == bytes.size())
      return {Outcome::need_more, used};
    // No verb starts otherwise; waiting for the end of the line would keep a stranger of another protocol waiting too.
    if (after_cr_ || bytes[used] < 'A' || bytes[used] > 'Z')
      return refuse(Outcome::malformed, bytes.size(), bytes.substr(used));
    message_.emplace(limits_.max_body_size);
    guard_ = HeadGuard(limits_);
    stage_ = Stage::head;
    return {Outcome::need_more, used};
  }

  /// The message is parsed in place when its head comes in one piece; only an unfinished one is copied.
  Step feed_head(std::string_view bytes)
  {
    const std::size_t before = held_.size();
    if (before > 0)
      held_.append(bytes);
    const std::string_view text = before > 0 ? std::string_view(held_) : bytes;
    switch (guard_.look(text))
    {
    case HeadGuard::Verdict::incomplete:
      if (before == 0)
        held_.assign(bytes);
      return {Outcome::need_more, bytes.size()};
    case HeadGuard::Verdict::malformed:
      return refuse(Outcome::malformed, bytes.size(), text);
    case HeadGuard::Verdict::too_large:
      return refuse(Outcome::header_too_large, bytes.size(), text);
    case HeadGuard::Verdict::complete:
      break;
    }

    const auto head = text.substr(0, guard_.size());
    beast::error_code ec;
    const auto parsed = message_->put({head.data(), head.size()}, ec);
    if (ec == error::body_limit)
      return refuse(Outcome::body_too_large, bytes.size(), head);
    if ((ec && ec != error::need_more) || parsed != head.size() || !message_->is_header_done())
      return refuse(Outcome::malformed, bytes.size(), head);
    release_held();
    if (message_->is_done())
      return complete(head.size() - before);
    stage_ = Stage::body;
    if (message_->chunked())
      chunks_.emplace(limits_.max_body_size);
    else
      body_left_ = message_->content_length().value_or(0);
    return {Outcome::need_more, head.size() - before};
  }

  Step feed_body(std::string_view bytes)
  {
    if (chunks_)
      return feed_chunks(bytes);
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes.size()));
    message_->request.body.append(bytes.substr(0, part));
    body_left_ -= part;
    return body_left_ == 0 ? complete(part) : Step{Outcome::need_more, part};
  }

  Step feed_chunks(std::string_view bytes)
  {
    std::size_t used = 0;
    while (used < bytes.size())
    {
      const auto step = chunks_->feed(bytes.substr(used));
      used += step.consumed;
      message_->request.body.append(step.data);
      switch (step.outcome)
      {
      case ChunkedBody::Outcome::need_more:
        break;
      case ChunkedBody::Outcome::complete:
        return complete(used);
      case ChunkedBody::Outcome::malformed:
        return refuse(Outcome::malformed, bytes.size(), message_->request.method + " " + message_->request.path);
      case ChunkedBody::Outcome::too_large:
        return refuse(Outcome::body_too_large, bytes.size(), {});
      }
    }
    return {Outcome::need_more, used};
  }

  Step complete(std::size_t consumed)
  {
    stage_ = Stage::ended;
    complete_ = true;
    return {Outcome::complete, consumed};
  }

  /// A large head once is no reason to keep the memory for good.
  void release_held()
  {
    if (held_.capacity() > 4096)
      held_ = {};
    held_.clear();
  }

  Limits limits_;
  HeadGuard guard_;
  Stage stage_ = Stage::before;
  bool after_cr_ = false;
  bool complete_ = false;
  std::string held_; ///< a head that is not whole yet
  std::optional<Message> message_;
  std::optional<ChunkedBody> chunks_;
  std::uint64_t body_left_ = 0;
};

RequestParser::RequestParser(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;

RequestParser::Step RequestParser::feed(std::string_view bytes)
{
  return impl_->feed(bytes);
}

Request RequestParser::take()
{
  return impl_->take();
}

bool RequestParser::started() const
{
  return impl_->started();
}

bool RequestParser::take_continue()
{
  return impl_->take_continue();
}

bool RequestParser::keep_alive() const
{
  return impl_->keep_alive_;
}

bool RequestParser::is_http_1_0() const
{
  return impl_->http_1_0_;
}

const std::string& RequestParser::excerpt() const
{
  return impl_->excerpt_;
}
}
