#pragma once

#include "http/server.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace concordat::http
{
/// Cuts a stream of bytes into requests (RFC 9112, http-api.md §4.3, §4.5), holding no more of an unfinished one than
/// the limits allow. Used by one thread. After a refusal it takes no more.
class RequestParser
{
public:
  enum class Outcome
  {
    need_more,
    complete,  ///< `take` gives the request; the bytes after `consumed` belong to the next
    malformed, ///< `excerpt` gives the start of it
    body_too_large,
    header_too_large, ///< a name, a value, their number, or the whole head
  };
  struct Step
  {
    Outcome outcome = Outcome::need_more;
    std::size_t consumed = 0; ///< all of them unless complete
  };

  explicit RequestParser(const Limits& limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  Step feed(std::string_view bytes);

  /// The request that is complete; the next one may be fed then.
  Request take();

  /// True between the first byte of a request and its end.
  bool started() const;
  /// True once for a request whose body waits for a `100 (Continue)` (RFC 9110 §10.1.1).
  bool take_continue();

  /// Of the request that was taken last:
  bool keep_alive() const;
  bool is_http_1_0() const;

  /// The start of what could not be understood, with unprintable bytes replaced.
  const std::string& excerpt() const;

private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};
}
