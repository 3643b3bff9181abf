#pragma once

#include "host.h"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace concordat::simulation
{
/// Several clients, each with one connection to a node and at most one request on it. Holds every answer against the
/// history of all nodes.
class Users
{
public:
  /// @param member  DER of the certificate that some of them show
  /// @param any_host  that a client may turn to now; null if there is none
  Users(Around& around, std::deque<Plan>& plans, std::string member, std::function<Host*()> any_host);
  ~Users();

  /// One of them does something: sends a request if it waits for nothing.
  void act();
  /// Requests that were sent.
  std::uint64_t sent() const
  {
    return sent_;
  }
  /// Writes that were acknowledged.
  std::uint64_t written() const
  {
    return written_;
  }

private:
  struct User;
  struct Sent;
  class Exchange;

  void connect(User& user);
  void send(User& user, Request request, std::optional<std::size_t> plan);
  void answered(Sent& sent, const Response& response, bool close);
  void check_success(Sent& sent, const Response& response);
  void check_refusal(const Sent& sent, const Response& response);
  void check_status(const Response& response);
  void wrong(const Sent& sent, const std::string& what);

  Around& around_;
  std::deque<Plan>& plans_;
  const std::string member_;
  const std::function<Host*()> any_host_;
  std::vector<std::unique_ptr<User>> users_;
  std::uint64_t sent_ = 0;
  std::uint64_t written_ = 0;
};
}
