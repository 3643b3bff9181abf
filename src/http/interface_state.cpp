#include "http/interface_state.h"

#include "base/log.h"

#include <algorithm>
#include <utility>

namespace concordat::http
{
namespace
{
constexpr std::uint64_t fewest_bodies = 4;

/// Known callers and handshakes keep their parts when there are fewer descriptors than the limits ask for; strangers
/// get what is left.
Limits within(Limits limits, std::uint64_t descriptors, const std::string& interface)
{
  limits.max_unfinished_requests = std::max(limits.max_unfinished_requests, fewest_bodies * limits.max_body_size);
  limits.max_handshakes = std::max<std::uint64_t>(limits.max_handshakes, 1);
  const auto wanted = most_connections(limits);
  if (wanted <= descriptors)
    return limits;
  limits.max_handshakes =
      std::clamp<std::uint64_t>(limits.max_handshakes, 1, std::max<std::uint64_t>(descriptors / 8, 1));
  limits.max_known_sessions = std::min(limits.max_known_sessions, descriptors / 4);
  const auto taken = 2 * limits.max_handshakes + limits.max_known_sessions;
  limits.max_open_sessions_hard = std::min(limits.max_open_sessions_hard, descriptors - std::min(taken, descriptors));
  limits.max_open_sessions_soft = std::min(limits.max_open_sessions_soft, limits.max_open_sessions_hard);
  spdlog::warn(
      "interface '{}' may have up to {} connections, but the process has open files for {} only: {} sessions of "
      "strangers, {} of known callers and {} handshakes are let in at once",
      interface, wanted, descriptors, limits.max_open_sessions_hard, limits.max_known_sessions, limits.max_handshakes);
  return limits;
}

std::array<std::shared_ptr<net::WaitingRoom>, 2> two_rooms(std::uint64_t capacity)
{
  return {std::make_shared<net::WaitingRoom>(capacity), std::make_shared<net::WaitingRoom>(capacity)};
}
}

std::uint64_t most_connections(const Limits& limits)
{
  return 2 * limits.max_handshakes + limits.max_known_sessions + limits.max_open_sessions_hard;
}

InterfaceState::InterfaceState(const Interface& configured, std::uint64_t descriptors, IsKnown known)
    : name(configured.name),
      limits(within(configured.limits, descriptors, configured.name)),
      is_known(std::move(known)),
      handshakes(std::make_shared<net::WaitingRoom>(limits.max_handshakes)),
      unfinished_requests(two_rooms(limits.max_unfinished_requests)),
      waiting_answers(two_rooms(limits.max_waiting_answers)),
      known_(limits.max_known_sessions),
      streams_{FairShare(limits.max_streams), FairShare(limits.max_streams)}
{
}

net::SslContext InterfaceState::identity() const
{
  const base::LockGuard lock(mutex_);
  return identity_;
}

void InterfaceState::set_identity(net::SslContext identity)
{
  // The old one is let go of without the lock.
  const base::LockGuard lock(mutex_);
  identity_.swap(identity);
}

InterfaceState::Counts InterfaceState::counts() const
{
  const base::LockGuard lock(mutex_);
  auto counts = counts_;
  counts.known = known_.taken();
  counts.streams = streams_[0].taken() + streams_[1].taken();
  return counts;
}

std::optional<SessionSlot> SessionSlot::take(const std::shared_ptr<InterfaceState>& interface)
{
  const base::LockGuard lock(interface->mutex_);
  auto& counts = interface->counts_;
  if (counts.active >= most_connections(interface->limits))
    return std::nullopt;
  counts.peak = std::max(counts.peak, ++counts.active);
  return SessionSlot(interface);
}

SessionSlot::Admission SessionSlot::admit(bool known, std::uint64_t caller)
{
  const auto& limits = interface_->limits;
  const base::LockGuard lock(interface_->mutex_);
  auto& counts = interface_->counts_;
  if (known && interface_->known_.take(caller))
  {
    share_ = Share::known;
    caller_ = caller;
    return Admission::served;
  }
  if (counts.strangers >= limits.max_open_sessions_hard)
    return Admission::refused;
  share_ = Share::strangers;
  return counts.strangers++ < limits.max_open_sessions_soft ? Admission::served : Admission::told;
}

SessionSlot::~SessionSlot()
{
  if (!interface_)
    return;
  const base::LockGuard lock(interface_->mutex_);
  auto& counts = interface_->counts_;
  --counts.active;
  if (share_ == Share::strangers)
    --counts.strangers;
  if (share_ == Share::known)
    interface_->known_.give_back(caller_);
}

std::shared_ptr<const StreamSlot>
StreamSlot::take(const std::shared_ptr<InterfaceState>& interface, bool known, std::uint64_t caller)
{
  {
    const base::LockGuard lock(interface->mutex_);
    if (!interface->streams_[known ? 1 : 0].take(caller))
      return nullptr;
  }
  return std::make_shared<const StreamSlot>(interface, known, caller);
}

StreamSlot::~StreamSlot()
{
  const base::LockGuard lock(interface_->mutex_);
  interface_->streams_[known_ ? 1 : 0].give_back(caller_);
}
}
