#pragma once

#include "http/client.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::cli
{
/// A client of a service of several nodes: asks one of them, and goes on with another when that one gives no answer,
/// cannot answer at present, or names another. It learns of the other nodes by itself, with the second request.
///
/// What only reads is asked again elsewhere, and so is what carries an `x-concordat-request-id`: the service does that
/// once. Where there is another node to ask, one that says nothing is waited for only a little at first. Anything else
/// is sent again only to a node that is named by one that has done nothing: whether a request took effect that got no
/// answer is for whoever sent it to find out. The next request goes to another node then. Used by one thread.
class FailoverClient : public http::Client
{
public:
  using Connect = std::function<Result<std::unique_ptr<http::Client>>(const std::string& url)>;

  /// @param urls     where to begin, at least one; all may be asked
  /// @param connect  makes a client; what it says of the first url was looked at already
  FailoverClient(std::vector<std::string> urls, std::unique_ptr<http::Client> first, Connect connect);

  Result<Response>
  send(const std::string& method, const std::string& target, const Headers& headers, std::string_view body) override;
  Result<Response> send_streaming(
      const std::string& method, const std::string& target, const Headers& headers, std::string_view body,
      const std::function<bool(std::string_view)>& on_body) override;

  /// Milliseconds for each wait: of a node while there are others to ask, and of one that has to be waited for.
  static constexpr std::uint64_t short_patience = 5'000;
  static constexpr std::uint64_t patience = 60'000;

  /// The node that is asked next.
  const std::string& url() const
  {
    return urls_[current_];
  }

private:
  using Ask = std::function<Result<Response>(http::Client&)>;
  /// @param repeatable  whether it may be asked again elsewhere
  /// @param has_begun   whether part of an answer was handed on: then it counts
  Result<Response> ask(bool repeatable, const Ask& ask, const bool& has_begun);
  Result<Response> ask_current(const Ask& ask);
  void learn();
  void add(const std::string& url);
  bool follow(const Response& response);
  void next();

  std::vector<std::string> urls_;
  const Connect connect_;
  std::size_t current_ = 0;
  std::unique_ptr<http::Client> client_; ///< of the current node; null: to be made
  std::size_t answered_ = 0;             ///< requests
  bool learned_ = false;
};
}
