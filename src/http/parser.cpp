#include "http/parser.h"

#include "base/check.h"
#include "http/chunked_body.h"
#include "http/compressed_body.h"
#include "http/head_guard.h"
#include "http/request_message.h"

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
    forget_message();
    stage_ = Stage::before;
    return request;
  }

  bool take_continue()
  {
    return stage_ == Stage::body && std::exchange(message_->expects_continue, false);
  }

  std::size_t held() const
  {
    return held_.capacity() + (message_ ? message_->request.body.capacity() : 0);
  }

  void abandon()
  {
    stage_ = Stage::ended;
    std::string().swap(held_);
    forget_message();
  }

  bool keep_alive_ = true;
  bool http_1_0_ = false;
  std::string excerpt_;
  std::string reason_;

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
    excerpt_ = printable(what);
    abandon();
    return {outcome, consumed};
  }

  void forget_message()
  {
    message_.reset();
    chunks_.reset();
    coding_.reset();
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

    const auto taken = guard_.size() - before;
    const auto head = text.substr(0, guard_.size());
    beast::error_code ec;
    const auto parsed = message_->put({head.data(), head.size()}, ec);
    if (ec == error::body_limit)
      return refuse(Outcome::body_too_large, bytes.size(), head);
    if ((ec && ec != error::need_more) || parsed != head.size() || !message_->is_header_done())
      return refuse(Outcome::malformed, bytes.size(), head);
    if (const char* const fault = message_->fault())
    {
      reason_ = std::string(": ") + fault;
      return refuse(Outcome::malformed, bytes.size(), head);
    }
    release_held();
    if (message_->is_done())
      return complete(taken);
    if (const auto step = begin_body(bytes.size()); step.outcome != Outcome::need_more)
      return step;
    return {Outcome::need_more, taken};
  }

  Step begin_body(std::size_t consumed_if_refused)
  {
    stage_ = Stage::body;
    if (message_->chunked())
      chunks_.emplace(limits_.max_body_size);
    else
      body_left_ = message_->content_length().value_or(0);
    const auto& headers = message_->request.headers;
    const auto coded = [](const auto& header) { return header.first == "content-encoding"; };
    const auto name = find_header(headers, "content-encoding").value_or("");
    const bool twice = std::count_if(headers.begin(), headers.end(), coded) > 1;
    const auto coding = twice ? ContentCoding::unknown : content_coding(name);
    if (coding == ContentCoding::unknown)
      return refuse(Outcome::unknown_coding, consumed_if_refused, std::string(name));
    if (coding != ContentCoding::none)
      coding_.emplace(coding, limits_.max_body_size);
    return {};
  }

  Step feed_body(std::string_view bytes)
  {
    if (chunks_)
      return feed_chunks(bytes);
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes.size()));
    body_left_ -= part;
    if (const auto outcome = append(bytes.substr(0, part)); outcome != Outcome::need_more)
      return refuse_coding(outcome, bytes.size());
    return body_left_ == 0 ? complete(part) : Step{Outcome::need_more, part};
  }

  Step feed_chunks(std::string_view bytes)
  {
    std::size_t used = 0;
    while (used < bytes.size())
    {
      const auto step = chunks_->feed(bytes.substr(used));
      used += step.consumed;
      if (const auto outcome = append(step.data); outcome != Outcome::need_more)
        return refuse_coding(outcome, bytes.size());
      switch (step.outcome)
      {
      case ChunkedBody::Outcome::need_more:
        break;
      case ChunkedBody::Outcome::complete:
        return complete(used);
      case ChunkedBody::Outcome::malformed:
      {
        reason_ = ": its chunks cannot be told apart";
        const auto what = message_->request.method + " " + message_->request.path;
        return refuse(Outcome::malformed, bytes.size(), what);
      }
      case ChunkedBody::Outcome::too_large:
        return refuse(Outcome::body_too_large, bytes.size(), {});
      }
    }
    return {Outcome::need_more, used};
  }

  Outcome append(std::string_view part)
  {
    auto& body = message_->request.body;
    if (!coding_)
    {
      body.append(part);
      return Outcome::need_more;
    }
    switch (coding_->feed(part, body))
    {
    case CompressedBody::Outcome::too_large:
      return Outcome::body_too_large;
    case CompressedBody::Outcome::malformed:
      return Outcome::broken_coding;
    case CompressedBody::Outcome::need_more:
      break;
    }
    return Outcome::need_more;
  }

  Step refuse_coding(Outcome outcome, std::size_t consumed)
  {
    return refuse(outcome, consumed, outcome == Outcome::broken_coding ? coding_->problem() : "");
  }

  /// @param consumed  what of the bytes belongs to the request
  Step complete(std::size_t consumed)
  {
    if (coding_ && !coding_->complete())
      return refuse(Outcome::broken_coding, consumed, "it ends in the middle of the compressed data");
    if (coding_)
      std::erase_if(
          message_->request.headers,
          [](const auto& header) { return header.first == "content-encoding" || header.first == "content-length"; });
    stage_ = Stage::ended;
    complete_ = true;
    return {Outcome::complete, consumed};
  }

  /// A large head once is no reason to keep the memory for good.
  void release_held()
  {
    if (held_.capacity() > 4096)
      std::string().swap(held_); // `= {}` would keep the memory
    held_.clear();
  }

  Limits limits_;
  HeadGuard guard_;
  Stage stage_ = Stage::before;
  bool after_cr_ = false;
  bool complete_ = false;
  std::string held_; ///< a head that is not whole yet
  std::optional<RequestMessage> message_;
  std::optional<ChunkedBody> chunks_;
  std::optional<CompressedBody> coding_;
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

std::size_t RequestParser::held() const
{
  return impl_->held();
}

void RequestParser::abandon()
{
  impl_->abandon();
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

const std::string& RequestParser::reason() const
{
  return impl_->reason_;
}
}
