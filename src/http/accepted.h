#pragma once

#include "http/interface_state.h"
#include "net/socket.h"
#include "net/waiting_room.h"

#include <cstdint>

namespace concordat::http
{
/// A connection on its way from the thread that accepts to the worker that it will live on.
struct Accepted
{
  net::Socket socket; ///< of the worker's `io`
  SessionSlot slot;
  std::uint64_t id = 0;
  std::uint64_t address = 0; ///< the client's, as a group of the waiting rooms
  /// In the order of accepting: a worker that is behind makes nobody look newer.
  net::WaitingRoom::Place handshake;
};
}
