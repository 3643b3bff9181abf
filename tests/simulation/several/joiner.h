#pragma once

#include "host.h"
#include "http/client.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace concordat::simulation
{
/// How a node that joins asks another one: everything else goes on until the answer is there.
class JoiningClient : public http::Client
{
public:
  /// @param host_at  the machine that serves clients at a URL; null if there is none
  JoiningClient(Around& around, http::ClientOptions options, std::function<Host*(const std::string& url)> host_at);

  Result<Response>
  send(const std::string& method, const std::string& target, const Headers& headers, std::string_view body) override;
  Result<Response> send_streaming(
      const std::string& method, const std::string& target, const Headers& headers, std::string_view body,
      const std::function<bool(std::string_view)>& on_body) override;

private:
  class Exchange;

  Around& around_;
  const http::ClientOptions options_;
  const std::function<Host*(const std::string& url)> host_at_;
};
}
