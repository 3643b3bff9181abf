#pragma once

#include "peer/channel.h"
#include "peer/credentials.h"
#include "peer/hello.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

namespace concordat::peer
{
/// Bounds of one lane, in bytes, for each other node.
struct LaneOptions
{
  std::uint64_t message_limit = 0;
  std::uint64_t queue_limit = 0; ///< of what waits to be sent
  /// Of what was received and not let go of (`Received::account`): above it no more is read. The message that is just
  /// coming lies beside it.
  std::uint64_t received_limit = 0;
  /// A connection is given up on which what was sent is not acknowledged for so long.
  std::chrono::milliseconds unacknowledged_limit{10'000};
};

struct Options
{
  std::string bind_address; ///< host:port; port 0 takes any
  Identity identity;
  VersionRange versions; ///< of the protocol, that this program speaks

  /// By `Lane`. A batch is 16 MiB, or one transaction of 64 MiB with its signature.
  std::array<LaneOptions, lane_count> lanes{
      LaneOptions{
          std::uint64_t{1} << 20, std::uint64_t{4} << 20, std::uint64_t{4} << 20, std::chrono::milliseconds(2'000)},
      LaneOptions{
          std::uint64_t{80} << 20, std::uint64_t{128} << 20, std::uint64_t{128} << 20,
          std::chrono::milliseconds(10'000)}};
  /// What waits in the urgent lane of a node that is not connected.
  std::uint64_t offline_limit = std::uint64_t{64} << 10;

  /// Connections that nobody knows yet: of addresses where nodes are, and of others. When there are more, the oldest of
  /// the address that has most is closed.
  std::uint64_t max_known_handshakes = 32;
  std::uint64_t max_strange_handshakes = 64;
  /// From the connection, or the try to connect, to the end of the greeting.
  std::chrono::milliseconds handshake_timeout{5'000};
  /// Who is connected and has nothing to say says so this often.
  std::chrono::milliseconds alive_interval{1'000};
  /// A connection is ended on which nothing came, or nothing that waits could be sent, for so long.
  std::chrono::milliseconds silence_limit{10'000};
  /// Between two tries to connect: from the first to the second, doubled each time.
  std::chrono::milliseconds first_backoff{20};
  std::chrono::milliseconds most_backoff{1'000};
  /// How often all these times are looked at.
  std::chrono::milliseconds tick{20};

  std::uint64_t records_per_key = std::uint64_t{1} << 22; ///< of TLS, then comes a fresh key
  /// Of the process's open files, what connections leave to others.
  std::uint64_t descriptors_kept_back = 64;
  std::uint64_t seed = 0; ///< of what is random in the time between tries; 0 takes it from the operating system
};

struct Callbacks
{
  MessageSink on_message;
  /// Asked at each greeting and when the membership changed, on threads of the channel: quick, and waits for nothing.
  MaySpeak may_speak;
  /// Asked at each greeting, on a thread of the channel.
  ServiceKeys service_keys;
};
}
