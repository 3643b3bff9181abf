#pragma once

#include "node/forwarded_requests.h"
#include "node/forwarder.h"
#include "node/test_support.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace concordat::node::test
{
inline std::string joined(const peer::Payload& payload)
{
  std::string out;
  for (const auto piece : payload.pieces())
    out += piece;
  return out;
}

/// A backup, a primary, and a channel between them that the test may cut.
struct ForwardingTest : testing::Test
{
  ForwardingTest()
  {
    backup.ordering.writes = false;
    backup.ordering.agreed = {
        .view = 2, .self = 1, .leader = 2, .primary = false, .configuration = {.voters = {1, 2, 3}}, .progress = {}};
    backup.services.forwarder = &forwarder;
    primary.ordering.agreed = {
        .view = 2, .self = 2, .leader = 2, .primary = true, .configuration = {.voters = {1, 2, 3}}, .progress = {}};
    for (auto* const node : {&backup, &primary})
    {
      auto& interface = node->configuration.interfaces.emplace_back();
      interface.listen.name = "main";
      node->serve({writer(&runs), reader(), guarded()});
    }
  }

  static Endpoint reader()
  {
    return endpoint(
        "GET", "/read", Mode::read_only,
        [](Context& context) { return Response::text(std::string(*context.state()->get("records", "known"))); });
  }
  static Endpoint guarded()
  {
    auto made = endpoint(
        "POST", "/guarded", Mode::read_write,
        [](Context& context)
        {
          context.transaction().put("records", "by", context.caller().id);
          return Response::text("written");
        });
    made.policies = {AuthPolicy::member_cert};
    return made;
  }

  /// What waits on the primary's pool, and for its agreement.
  void work()
  {
    while (!primary.pool.jobs.empty())
      primary.pool.take().run();
    primary.ordering.settle();
  }

  FakeNode backup;
  FakeNode primary;
  int runs = 0;
  int requests = 0;
  bool cut = false;        ///< what leaves arrives nowhere
  std::size_t largest = 0; ///< of the messages of the primary
  ForwardedRequests received{
      {.send =
           [this](const peer::NodeId& to, PeerMessage kind, const peer::Payload& payload)
       {
         EXPECT_EQ(to, "backup");
         const peer::Received message{
             "primary", peer::Lane::bulk, static_cast<std::uint16_t>(kind), joined(payload), nullptr};
         if (cut)
           return true;
         largest = std::max(largest, message.bytes.size());
         if (kind == PeerMessage::forwarded_place)
           forwarder.take_place(message);
         else if (kind == PeerMessage::forwarded_answer)
           forwarder.take(message);
         else if (kind == PeerMessage::forwarded_stream)
           forwarder.take_stream(message);
         else if (kind == PeerMessage::forwarded_piece)
           forwarder.take_piece(message);
         return true;
       },
       .run = [this](const std::shared_ptr<http::Exchange>& exchange, View view)
       { primary.dispatcher->handle_forwarded(exchange, view); }},
      primary.pool,
      primary.clock};
  Forwarder forwarder{
      {.send =
           [this](const peer::NodeId& to, PeerMessage kind, const peer::Payload& payload)
       {
         EXPECT_EQ(to, "primary");
         peer::Received message{"backup", peer::Lane::bulk, static_cast<std::uint16_t>(kind), joined(payload), nullptr};
         if (kind == PeerMessage::forwarded_more)
         {
           if (!cut)
             received.take_more(message);
           return true;
         }
         ++requests;
         if (!cut)
           received.take(std::move(message));
         return true;
       },
       .primary = [] { return Forwarder::Primary{"primary", 2}; }},
      backup.clock};
};
}
