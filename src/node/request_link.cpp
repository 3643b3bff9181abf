#include "node/request_link.h"

#include "node/answers.h"

namespace concordat::node
{
namespace
{
auto sender(PeerLink& link)
{
  return [&link](const peer::NodeId& to, PeerMessage kind, peer::Payload payload)
  { return link.send(to, kind, std::move(payload)); };
}

std::optional<Forwarder::Primary> primary_of(const PeerLink& link, const consensus::Ordering& ordering)
{
  const auto agreement = ordering.agreement();
  // A node that takes no part yet knows of a primary only what it was told.
  if (agreement.leader == 0 || agreement.leader == agreement.self ||
      agreement.configuration.role(agreement.self) == consensus::Role::none)
    return std::nullopt;
  auto node = link.node_of(agreement.leader);
  return node ? std::optional(Forwarder::Primary{std::move(*node), agreement.view}) : std::nullopt;
}
}

RequestLink::RequestLink(PeerLink& link, Services& services, const Dispatcher& dispatcher)
    : link_(link),
      received_(
          {.send = sender(link),
           .run = [&dispatcher](const std::shared_ptr<http::Exchange>& exchange, View view)
           { dispatcher.handle_forwarded(exchange, view); }},
          services.pool),
      forwarder_(
          {.send = sender(link), .primary = [&link, &services] { return primary_of(link, services.ordering); }},
          services.clock)
{
  services.forwarder = &forwarder_;
  services.last_heard = [&link](const std::string& node) { return link.last_heard(node); };
  forwarder_.start();
  link_.handle(PeerMessage::forwarded_request, [this](peer::Received message) { received_.take(std::move(message)); });
  link_.handle(PeerMessage::forwarded_answer, [this](const peer::Received& message) { forwarder_.take(message); });
}

RequestLink::~RequestLink()
{
  stop();
  link_.stop(); // what it calls is about to go
}

void RequestLink::stop()
{
  forwarder_.stop();
}
}
