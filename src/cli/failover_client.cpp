#include "cli/failover_client.h"

#include <boost/json.hpp>

#include <algorithm>
#include <utility>

namespace concordat::cli
{
namespace
{
namespace json = boost::json;

constexpr std::size_t most_nodes = 64;
constexpr int most_redirections = 3;
constexpr std::string_view scheme = "https://";

/// Another node may be able to answer, or this one later.
bool is_passing(const Response& response)
{
  return response.status == 503 || response.status == 504;
}

bool is_repeatable(const std::string& method, const Headers& headers)
{
  return method == "GET" || find_header(headers, "x-concordat-request-id").has_value();
}

/// The view has changed since the connection began; on a new one the same request can be answered.
bool is_lost_session(const Response& response)
{
  return response.status == 500 && response.body.find("\"SessionConsistencyLost\"") != std::string::npos;
}

/// Where each of several nodes can be reached on the interface on which `own` is the address of one of them.
std::vector<std::string> addresses_beside(const std::string& own, std::string_view listed)
{
  std::vector<std::string> out;
  boost::system::error_code code;
  const auto body = json::parse(json::string_view(listed.data(), listed.size()), code);
  const auto* const object = code ? nullptr : body.if_object();
  const auto* const nodes = object ? object->if_contains("nodes") : nullptr;
  if (nodes == nullptr || !nodes->is_array())
    return out;
  const auto each = [&](const auto& visit)
  {
    for (const auto& node : nodes->get_array())
    {
      const auto* const interfaces = node.is_object() ? node.get_object().if_contains("rpc_interfaces") : nullptr;
      if (interfaces == nullptr || !interfaces->is_object())
        continue;
      for (const auto& [name, interface] : interfaces->get_object())
      {
        const auto* const address =
            interface.is_object() ? interface.get_object().if_contains("published_address") : nullptr;
        if (address != nullptr && address->is_string())
          visit(std::string_view(name.data(), name.size()), std::string(address->get_string()));
      }
    }
  };
  std::string interface;
  each([&](std::string_view name, const std::string& address) { interface = address == own ? name : interface; });
  if (!interface.empty())
    each(
        [&](std::string_view name, const std::string& address)
        {
          if (name == interface)
            out.push_back(address);
        });
  return out;
}
}

FailoverClient::FailoverClient(std::vector<std::string> urls, std::unique_ptr<http::Client> first, Connect connect)
    : urls_(std::move(urls)),
      connect_(std::move(connect)),
      client_(std::move(first))
{
}

Result<Response> FailoverClient::send(
    const std::string& method, const std::string& target, const Headers& headers, std::string_view body)
{
  static constexpr bool nothing = false;
  return ask(
      is_repeatable(method, headers), [&](http::Client& client) { return client.send(method, target, headers, body); },
      nothing);
}

Result<Response> FailoverClient::send_streaming(
    const std::string& method, const std::string& target, const Headers& headers, std::string_view body,
    const std::function<bool(std::string_view)>& on_body)
{
  bool has_begun = false;
  return ask(
      is_repeatable(method, headers),
      [&](http::Client& client)
      {
        return client.send_streaming(
            method, target, headers, body,
            [&](std::string_view piece)
            {
              // It is being answered: nobody else would be faster.
              if (!std::exchange(has_begun, true))
                client.set_timeout(patience);
              return on_body(piece);
            });
      },
      has_begun);
}

Result<Response> FailoverClient::ask(bool repeatable, const Ask& ask, const bool& has_begun)
{
  // Who asks once need not know the others; who asks again may be at it for long.
  if (answered_ == 1)
    learn();
  int redirections = 0;
  bool begun_anew = false;
  bool unheard = false; // a node has said nothing for a short time
  for (std::size_t tried = 1;; ++tried)
  {
    const bool hurries = repeatable && urls_.size() > 1 && tried <= urls_.size();
    auto response = ask_current(
        [&](http::Client& client)
        {
          client.set_timeout(hurries ? short_patience : patience);
          return ask(client);
        });
    if (response && !is_passing(*response))
    {
      if (!has_begun && redirections < most_redirections && follow(*response))
      {
        ++redirections;
        --tried;
        continue;
      }
      if (repeatable && !has_begun && is_lost_session(*response) && !std::exchange(begun_anew, true))
      {
        client_.reset();
        --tried;
        continue;
      }
      ++answered_;
      return response;
    }
    if (urls_.size() == 1 || has_begun)
      return response;
    unheard = unheard || !response;
    // A node that could not answer may be the one that is cut off from the others.
    next();
    // A second time round only if it may have been too short for somebody.
    if (!repeatable || tried >= (unheard ? 2 : 1) * urls_.size())
      return response;
  }
}

Result<Response> FailoverClient::ask_current(const Ask& ask)
{
  if (!client_)
  {
    auto made = connect_(url());
    if (!made)
      return std::unexpected(made.error());
    client_ = std::move(*made);
  }
  return ask(*client_);
}

void FailoverClient::learn()
{
  if (std::exchange(learned_, true))
    return;
  const auto listed = ask_current(
      [](http::Client& client)
      {
        client.set_timeout(short_patience);
        return client.send("GET", "/node/network/nodes?status=Trusted", {}, "");
      });
  if (!listed || !listed->ok())
    return;
  for (const auto& address : addresses_beside(url().substr(scheme.size()), listed->body))
    add(std::string(scheme) + address);
}

void FailoverClient::add(const std::string& url)
{
  if (urls_.size() < most_nodes && std::ranges::find(urls_, url) == urls_.end())
    urls_.push_back(url);
}

/// To the node that another one names. Whoever that is, it must have the service's certificate.
bool FailoverClient::follow(const Response& response)
{
  if (response.status != 307 && response.status != 308)
    return false;
  const auto location = find_header(response.headers, "location");
  if (!location || !location->starts_with(scheme))
    return false;
  const std::string url(location->substr(0, location->find('/', scheme.size())));
  add(url);
  const auto found = std::ranges::find(urls_, url);
  if (found == urls_.end() || url == this->url())
    return false;
  current_ = static_cast<std::size_t>(found - urls_.begin());
  client_.reset();
  return true;
}

void FailoverClient::next()
{
  current_ = (current_ + 1) % urls_.size();
  client_.reset();
}
}
