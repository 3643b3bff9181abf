#include "cli/node.h"

#include "cli/table.h"

#include <boost/json.hpp>

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace concordat::cli
{
namespace
{
namespace json = boost::json;

constexpr std::size_t longest_answer = std::size_t{16} << 20;
/// A change waits for agreement, for half of this at most.
constexpr int patience_ms = 90'000;

class Socket
{
public:
  Socket() : number_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket()
  {
    if (number_ >= 0)
      ::close(number_);
  }
  int number() const
  {
    return number_;
  }

private:
  const int number_;
};

std::unexpected<Failure> no_answer(const std::string& path, const std::string& why)
{
  return refuse(
      Exit::unreachable, "no node answers at the control socket " + path + ": " + why,
      "name the socket of a node that runs on this machine ('concordat.control_socket' in its configuration), as the "
      "user that it runs as");
}

std::string text_of(const json::object& object, std::string_view name)
{
  const auto* const found = object.if_contains(name);
  return found && found->is_string() ? printable(std::string_view(found->get_string())) : std::string();
}

bool is_true(const json::object& object, std::string_view name)
{
  const auto* const found = object.if_contains(name);
  return found && found->is_bool() && found->get_bool();
}

/// The answer, or the refusal that it holds.
Attempt<json::object> done(json::object answer)
{
  const auto* const error = answer.if_contains("error");
  if (!error)
    return answer;
  const auto message = error->is_object() ? text_of(error->get_object(), "message") : std::string();
  return refuse(Exit::failed, message.empty() ? "the node refuses, and does not say why" : message);
}

std::string addresses_of(const json::object& node, std::string_view member)
{
  std::string text;
  const auto* const interfaces = node.if_contains(member);
  if (!interfaces || !interfaces->is_object())
    return text;
  for (const auto& [name, value] : interfaces->get_object())
  {
    // At the control socket an address, over HTTPS the whole interface.
    const auto address = value.is_object() ? text_of(value.get_object(), "published_address")
                       : value.is_string() ? printable(std::string_view(value.get_string()))
                                           : std::string();
    text += (text.empty() ? "" : ", ") + address;
  }
  return text;
}

void print(const json::array& nodes, std::string_view addresses, Console& console)
{
  Table table(console, {"NODE", "STATUS", "PRIMARY", "ADDRESS"});
  for (const auto& one : nodes)
  {
    const auto* const node = one.if_object();
    if (!node)
      continue;
    const auto status = text_of(*node, "status");
    const auto gone = is_true(*node, "retired_committed") ? status + ", may be removed" : status;
    const auto colour = status == "Trusted" ? Colour::green : status == "Pending" ? Colour::yellow : Colour::dim;
    table.add(
        {{text_of(*node, "node_id")},
         {gone, colour},
         {is_true(*node, "primary") ? "yes" : ""},
         {addresses_of(*node, addresses)}});
  }
  table.finish();
}

Outcome change(const NodeOptions& options, Console& console, const std::string& command, const std::string& outcome)
{
  json::object asked{{"command", command}, {"node_id", options.node_id}};
  if (options.days)
    asked["days"] = *options.days;
  auto answer = ask_control(options.control, asked);
  if (!answer)
    return std::unexpected(answer.error());
  const auto result = done(std::move(*answer));
  if (!result)
    return std::unexpected(result.error());
  console.out << "node " << text_of(*result, "node_id") << ' ' << (is_true(*result, "changed") ? "" : "already ")
              << outcome;
  if (const auto txid = text_of(*result, "transaction"); !txid.empty())
    console.out << ", in transaction " << txid;
  console.out << '\n';
  return {};
}
}

Attempt<json::object> ask_control(const std::string& path, const json::object& command)
{
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return refuse(
        Exit::usage, "the path of a control socket has 1 to " + std::to_string(sizeof address.sun_path - 1) + " bytes");
  std::memcpy(address.sun_path, path.data(), path.size());
  const Socket socket;
  if (socket.number() < 0 ||
      ::connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return no_answer(path, std::strerror(errno));
  const auto line = json::serialize(command) + "\n";
  for (std::size_t at = 0; at < line.size();)
  {
    const auto sent = ::send(socket.number(), line.data() + at, line.size() - at, MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR)
      return no_answer(path, std::strerror(errno));
    at += sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }
  std::string received;
  char piece[4096];
  while (received.find('\n') == std::string::npos)
  {
    pollfd waiting{socket.number(), POLLIN, 0};
    const int ready = ::poll(&waiting, 1, patience_ms);
    if (ready == 0)
      return no_answer(path, "it takes too long");
    const auto size = ready < 0 ? -1 : ::recv(socket.number(), piece, sizeof piece, 0);
    if (size < 0 && errno == EINTR)
      continue;
    if (size <= 0)
      return no_answer(path, size < 0 ? std::strerror(errno) : "it closed the connection");
    received.append(piece, static_cast<std::size_t>(size));
    if (received.size() > longest_answer)
      return no_answer(path, "its answer does not end");
  }
  boost::system::error_code code;
  auto answer = json::parse(received.substr(0, received.find('\n')), code);
  if (code || !answer.is_object())
    return no_answer(path, "what answers there is no node");
  return std::move(answer.get_object());
}

Outcome run_node_list(const NodeOptions& options, Console& console)
{
  json::value answer;
  if (!options.control.empty())
  {
    auto asked = ask_control(options.control, {{"command", "list"}});
    if (!asked)
      return std::unexpected(asked.error());
    auto result = done(std::move(*asked));
    if (!result)
      return std::unexpected(result.error());
    answer = std::move(*result);
  }
  else
  {
    auto connection = connect(options.connection, Identity::none);
    if (!connection)
      return std::unexpected(connection.error());
    const auto response = request(*connection, "GET", "/node/network/nodes");
    if (!response)
      return std::unexpected(response.error());
    if (!response->ok())
      return std::unexpected(refused(*response));
    boost::system::error_code code;
    answer = json::parse(response->body, code);
  }
  const auto* const object = answer.if_object();
  const auto* const nodes = object ? object->if_contains("nodes") : nullptr;
  if (!nodes || !nodes->is_array())
    return refuse(Exit::failed, "the answer holds no nodes", "check that --url is the address of a node");
  print(nodes->get_array(), options.control.empty() ? "rpc_interfaces" : "rpc_addresses", console);
  return {};
}

Outcome run_node_trust(const NodeOptions& options, Console& console)
{
  return change(options, console, "trust", "is trusted");
}

Outcome run_node_retire(const NodeOptions& options, Console& console)
{
  return change(options, console, "retire", "takes part no longer");
}

Outcome run_node_remove(const NodeOptions& options, Console& console)
{
  return change(options, console, "remove", "is forgotten");
}
}
