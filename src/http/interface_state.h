#pragma once

#include "http/server.h"
#include "http/tls.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace concordat::http
{
/// One interface while the server runs. Used by any thread.
class InterfaceState
{
public:
  explicit InterfaceState(const Interface& configured) : name(configured.name), limits(configured.limits) {}

  const std::string name;
  const Limits limits;
  std::string address; ///< set before the threads start

  std::atomic<std::uint64_t> active{0};
  std::atomic<std::uint64_t> peak{0};
  std::atomic<std::uint64_t> parsing_errors{0};
  std::atomic<std::uint64_t> payload_too_large{0};
  std::atomic<std::uint64_t> header_too_large{0};

  /// Null until the first `set_identity`.
  SslContext identity() const
  {
    const std::lock_guard lock(mutex_);
    return identity_;
  }

  void set_identity(SslContext identity)
  {
    const std::lock_guard lock(mutex_);
    identity_.swap(identity);
  }

private:
  mutable std::mutex mutex_;
  SslContext identity_;
};

/// One of the open sessions of an interface; given back when destroyed.
class SessionSlot
{
public:
  /// @return nothing when the hard cap is reached (http-api.md §4.2)
  static std::optional<SessionSlot> take(const std::shared_ptr<InterfaceState>& interface)
  {
    const auto before = interface->active.fetch_add(1);
    SessionSlot slot(interface, before >= interface->limits.max_open_sessions_soft);
    if (before >= interface->limits.max_open_sessions_hard)
      return std::nullopt;
    auto peak = interface->peak.load();
    while (peak < before + 1 && !interface->peak.compare_exchange_weak(peak, before + 1))
      ;
    return slot;
  }

  SessionSlot(SessionSlot&& other) noexcept = default;
  SessionSlot& operator=(SessionSlot&&) = delete;
  ~SessionSlot()
  {
    if (interface_)
      interface_->active.fetch_sub(1);
  }

  const std::shared_ptr<InterfaceState>& shared_interface() const
  {
    return interface_;
  }
  bool above_soft_cap() const
  {
    return above_soft_cap_;
  }

private:
  SessionSlot(std::shared_ptr<InterfaceState> interface, bool above_soft_cap)
      : interface_(std::move(interface)),
        above_soft_cap_(above_soft_cap)
  {
  }

  std::shared_ptr<InterfaceState> interface_;
  bool above_soft_cap_ = false;
};
}
