#pragma once

#include "concordat/application.h"
#include "http/router.h"
#include "http/server.h"
#include "node/services.h"

#include <array>
#include <functional>
#include <memory>
#include <regex>
#include <string>
#include <vector>

namespace concordat::node
{
/// A set of endpoints under one prefix.
struct Frontend
{
  std::string prefix; ///< "/app", "/gov" or "/node"
  ApiInfo info;
  std::vector<Endpoint> endpoints;
  std::function<bool()> open;
};

/// Takes each request through the checks of http-api.md §2.1, runs its handler in a transaction, and answers: a read
/// from committed state, a write once it is durable and agreed on.
///
/// `handle` is called from several threads at once.
class Dispatcher
{
public:
  /// @param frontends app, gov and node in any order; adds the endpoints common to all (http-api.md §5) to each
  Dispatcher(Services& services, std::vector<Frontend> frontends);

  void handle(const std::shared_ptr<http::Exchange>& exchange) const;

private:
  struct Installed
  {
    Frontend frontend;
    http::Router router;
  };
  struct Run;

  const Installed& frontend_of(std::string_view path, std::string_view& rest) const;
  bool accepted(const http::Session& session, const std::string& endpoint) const;
  void run_command(Run& run) const;
  void run_read(Run& run) const;
  void run_write(Run& run) const;

  Services& services_;
  std::vector<Installed> frontends_;
  const Installed* app_ = nullptr;
  struct Accepted
  {
    std::string interface;
    std::vector<std::regex> expressions;
  };
  std::vector<Accepted> accepted_;
};
}
