#pragma once

#include "http/server.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace concordat::http
{
/// Cuts a stream of bytes into requests (RFC 9112, http-api.md §4.3, §4.5), holding of an unfinished one what has come,
/// and no more than the limits allow. Compressed bodies are handed out decoded; the limit holds for both forms. Used by
/// one thread. After a refusal it takes no more.
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
    unknown_coding,   ///< of the body; `excerpt` gives its name
    broken_coding,    ///< `excerpt` says what is wrong with the compressed body
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

  /// Bytes of memory that an unfinished request takes.
  std::size_t held() const;
  /// Lets go of an unfinished request; no more is taken.
  void abandon();
  /// True once for a request whose body waits for a `100 (Continue)` (RFC 9110 §10.1.1).
  bool take_continue();

  /// Of the request that was taken last:
  bool keep_alive() const;
  bool is_http_1_0() const;

  /// The start of what could not be understood, with unprintable bytes replaced.
  const std::string& excerpt() const;
  /// Of what is malformed: ": " and what is wrong with it, where that can be said; otherwise empty.
  const std::string& reason() const;

private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};
}
