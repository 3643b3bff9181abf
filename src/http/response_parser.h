#pragma once

#include "concordat/error.h"
#include "concordat/http.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace concordat::http
{
/// Reads one answer of a server (RFC 9112); interim answers (1xx) are passed over. Used by one thread.
class ResponseParser
{
public:
  struct Options
  {
    bool is_head = false; ///< the answer to HEAD has no body, whatever it says
    std::size_t max_head_size = 1 << 20;
    std::uint64_t max_body_size = 1 << 30;              ///< not for a body that is handed on
    std::function<bool(std::string_view)> on_body = {}; ///< takes the body in pieces; false stops
  };

  explicit ResponseParser(Options options);
  ~ResponseParser();
  ResponseParser(const ResponseParser&) = delete;
  ResponseParser& operator=(const ResponseParser&) = delete;

  /// @return Error::corrupt if the bytes are no HTTP, Error::limit beyond a limit
  Result<void> feed(std::string_view bytes);
  /// The server has closed: the end of a body that says no length, otherwise Error::unavailable.
  Result<void> end();

  bool done() const;
  bool started() const;
  /// `on_body` wanted no more; the rest of the answer is not read.
  bool stopped() const;
  /// Once done: the connection can carry another request.
  bool keep_alive() const;
  Response take();

private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};
}
