#include "http/response_parser.h"

#include "http/chunked_body.h"
#include "http/head_parser.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace concordat::http
{
namespace
{
namespace beast = boost::beast;
using beast::http::error;

using Options = ResponseParser::Options;

class Head final : public HeadParser<false>
{
public:
  explicit Head(const Options& options)
  {
    skip(options.is_head);
    body_limit(boost::none);
  }

  Response response;

private:
  void on_response_impl(int status, beast::string_view, int, beast::error_code&) override
  {
    response.status = status;
  }

  void on_field_impl(
      beast::http::field name, beast::string_view text, beast::string_view value, beast::error_code& ec) override
  {
    // A coding that is not undone here would be taken for the body.
    if (name == beast::http::field::transfer_encoding && !beast::iequals(value, "chunked"))
      ec = beast::http::error::bad_transfer_encoding;
    response.headers.push_back(kept_header(text, value));
  }
};
}

class ResponseParser::Impl
{
public:
  explicit Impl(Options options) : options_(std::move(options)), max_body_size_(options_.max_body_size)
  {
    if (options_.on_body)
      max_body_size_ = std::numeric_limits<std::uint64_t>::max();
    head.emplace(options_);
  }

  Result<void> feed(std::string_view bytes)
  {
    if (head_done_)
      return feed_body(bytes);
    held_.append(bytes);
    if (auto fed = feed_head(); !fed || !head_done_)
      return fed;
    const auto rest = std::exchange(held_, {});
    return feed_body(rest);
  }

  Result<void> end()
  {
    done = done || (head_done_ && head->need_eof());
    if (!done)
      return fail(ErrorCode::unavailable, "the server closed the connection in the middle of its answer");
    return {};
  }

  bool started() const
  {
    return head_size_ > 0 || !held_.empty();
  }

  bool keep_alive() const
  {
    return done && head->keep_alive() && !surplus_;
  }

  std::optional<Head> head;
  bool done = false;
  bool stopped = false;

private:
  static std::unexpected<Error> too_large()
  {
    return fail(ErrorCode::limit, "the server's answer is larger than allowed");
  }

  static std::unexpected<Error> malformed(const std::string& why)
  {
    return fail(ErrorCode::corrupt, "the server's answer is not well-formed HTTP/1.1: " + why);
  }

  Result<void> feed_head()
  {
    while (!held_.empty() && !head_done_)
    {
      beast::error_code ec;
      const auto parsed = head->put({held_.data(), held_.size()}, ec);
      held_.erase(0, parsed);
      head_size_ += parsed;
      if (head_size_ + (ec == error::need_more ? held_.size() : 0) > options_.max_head_size)
        return too_large();
      if (ec == error::need_more)
        return {};
      if (ec)
        return malformed(ec.message());
      if (head->response.status / 100 == 1)
        head.emplace(options_);
      else if (auto begun = begin_body(); !begun)
        return begun;
    }
    return {};
  }

  Result<void> begin_body()
  {
    head_done_ = true;
    done = head->is_done();
    if (head->chunked())
      chunks_.emplace(max_body_size_);
    body_left_ = head->need_eof() ? max_body_size_ : head->content_length().value_or(0);
    if (!done && body_left_ > max_body_size_)
      return too_large();
    return {};
  }

  Result<void> feed_body(std::string_view bytes)
  {
    while (!bytes.empty() && !done && !stopped)
    {
      std::size_t used = 0;
      if (chunks_)
      {
        const auto step = chunks_->feed(bytes);
        if (step.outcome == ChunkedBody::Outcome::too_large)
          return too_large();
        if (step.outcome == ChunkedBody::Outcome::malformed)
          return malformed("bad chunk");
        used = step.consumed;
        take_body(step.data);
        done = step.outcome == ChunkedBody::Outcome::complete;
      }
      else
      {
        used = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes.size()));
        if (used == 0)
          return too_large();
        take_body(bytes.substr(0, used));
        body_left_ -= used;
        done = body_left_ == 0 && !head->need_eof();
      }
      bytes.remove_prefix(used);
    }
    surplus_ = surplus_ || !bytes.empty();
    return {};
  }

  void take_body(std::string_view data)
  {
    if (!options_.on_body)
      head->response.body.append(data);
    else if (!data.empty())
      stopped = !options_.on_body(data);
  }

  Options options_;
  std::uint64_t max_body_size_;
  std::string held_; ///< a head that is not whole yet
  std::size_t head_size_ = 0;
  bool head_done_ = false;
  bool surplus_ = false;
  std::optional<ChunkedBody> chunks_;
  std::uint64_t body_left_ = 0;
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
  return impl_->done;
}

bool ResponseParser::started() const
{
  return impl_->started();
}

bool ResponseParser::stopped() const
{
  return impl_->stopped;
}

bool ResponseParser::keep_alive() const
{
  return impl_->keep_alive();
}

Response ResponseParser::take()
{
  return std::move(impl_->head->response);
}
}
