#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace concordat
{
/// Header names are lower case; of a repeated header the first value counts.
using Headers = std::vector<std::pair<std::string, std::string>>;

/// The value of the first header of that (lower-case) name.
std::optional<std::string_view> find_header(const Headers& headers, std::string_view name);

/// One parsed HTTP request.
struct Request
{
  std::string method; ///< upper case
  std::string path;   ///< before the first '?', not decoded
  std::string query;  ///< decoded as a whole (http-api.md §1.5); empty if there is none
  Headers headers;
  std::string body;

  /// The first value of a query parameter; an absent '=' gives an empty value.
  std::optional<std::string> parameter(std::string_view name) const;
};

/// Produces a body piece by piece, so that a large answer never lies in memory as a whole.
/// Called by one thread at a time, only when the connection can take more.
class BodySource
{
public:
  virtual ~BodySource() = default;
  /// Replaces the content of `piece` with the next part (some 64 KiB is a good size); false once there is nothing more.
  /// Takes some milliseconds: few threads do this for all answers, and an answer is broken off where it takes too long.
  virtual bool next(std::string& piece) = 0;
};

struct Response
{
  int status = 200;
  Headers headers; ///< names in lower case; content-length is added by the server
  std::string body;
  /// When set, the body is what this produces, sent with chunked transfer encoding; `body` is not used.
  std::shared_ptr<BodySource> stream;

  static Response json(std::string text, int status = 200);
  static Response text(std::string text, int status = 200);
  static Response empty(int status = 204);
  /// `{"error":{"code":…,"message":…}}`, see http-api.md §1.2.
  static Response error(int status, std::string_view code, std::string_view message);

  bool ok() const
  {
    return status >= 200 && status < 300;
  }
};
}
