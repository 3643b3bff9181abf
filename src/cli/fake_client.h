#pragma once

#include "cli/connection.h"

#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace concordat::cli::test
{
/// Answers requests from a function instead of a service, and remembers them.
class FakeClient : public http::Client
{
public:
  struct Sent
  {
    std::string method;
    std::string target;
    Headers headers;
    std::string body;
  };
  using Answer = std::function<Result<Response>(const Sent&)>;

  FakeClient(Answer answer, std::vector<Sent>& sent) : answer_(std::move(answer)), sent_(sent) {}

  Result<Response>
  send(const std::string& method, const std::string& target, const Headers& headers, std::string_view body) override
  {
    sent_.push_back({method, target, headers, std::string(body)});
    return answer_(sent_.back());
  }
  Result<Response> send_streaming(
      const std::string& method, const std::string& target, const Headers& headers, std::string_view body,
      const std::function<bool(std::string_view)>& on_body) override
  {
    auto response = send(method, target, headers, body);
    if (response)
      on_body(std::exchange(response->body, {}));
    return response;
  }

  void set_timeout(std::uint64_t milliseconds) override
  {
    timeout = milliseconds;
  }
  std::uint64_t timeout = 0;

private:
  Answer answer_;
  std::vector<Sent>& sent_;
};

inline Connection connection_to(FakeClient::Answer answer, std::vector<FakeClient::Sent>& sent)
{
  Connection connection;
  connection.client = std::make_unique<FakeClient>(std::move(answer), sent);
  connection.url = "https://test";
  connection.caller = "caller";
  return connection;
}
}
