#pragma once

#include "base/mutex.h"
#include "http/fair_share.h"
#include "http/server.h"
#include "http/tls.h"
#include "net/waiting_room.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace concordat::http
{
/// One interface while the server runs. Used by any thread.
class InterfaceState
{
public:
  using IsKnown = std::function<bool(std::string_view)>;

  /// @param descriptors  how many connections this interface may have at once; limits that need more are lowered
  InterfaceState(const Interface& configured, std::uint64_t descriptors, IsKnown known);

  const std::string name;
  const Limits limits;
  const IsKnown is_known; ///< may be null
  std::string address;    ///< set before the threads start

  std::atomic<std::uint64_t> parsing_errors{0};
  std::atomic<std::uint64_t> payload_too_large{0};
  std::atomic<std::uint64_t> header_too_large{0};
  std::atomic<std::uint64_t> streams_refused{0};
  std::atomic<std::uint64_t> streams_broken_off{0}; ///< because their source was too slow

  const std::shared_ptr<net::WaitingRoom> handshakes;
  /// Of strangers, and of known callers.
  const std::array<std::shared_ptr<net::WaitingRoom>, 2> unfinished_requests;
  const std::array<std::shared_ptr<net::WaitingRoom>, 2> waiting_answers;

  /// Null until the first `set_identity`.
  net::SslContext identity() const EXCLUDES(mutex_);
  void set_identity(net::SslContext identity) EXCLUDES(mutex_);

  struct Counts
  {
    std::uint64_t active = 0; ///< handshakes included
    std::uint64_t peak = 0;
    std::uint64_t strangers = 0; ///< sessions
    std::uint64_t known = 0;
    std::uint64_t streams = 0;
  };
  Counts counts() const EXCLUDES(mutex_);

private:
  friend class SessionSlot;
  friend class StreamSlot;

  mutable base::Mutex mutex_;
  net::SslContext identity_ GUARDED_BY(mutex_);
  Counts counts_ GUARDED_BY(mutex_); ///< but for known and streams
  FairShare known_ GUARDED_BY(mutex_);
  std::array<FairShare, 2> streams_ GUARDED_BY(mutex_); ///< of strangers, and of known callers
};

/// One of the connections of an interface; given back when destroyed. Used by one thread.
class SessionSlot
{
public:
  /// @return nothing when the interface has all connections that it can have
  static std::optional<SessionSlot> take(const std::shared_ptr<InterfaceState>& interface);

  enum class Admission
  {
    served,
    told,    ///< above the soft cap (http-api.md §4.2)
    refused, ///< above the hard cap
  };
  /// After the handshake: makes a session of the connection.
  /// @param known   a caller with a share of their own
  /// @param caller  tells known callers apart
  Admission admit(bool known, std::uint64_t caller);

  SessionSlot(SessionSlot&& other) noexcept = default;
  SessionSlot& operator=(SessionSlot&&) = delete;
  ~SessionSlot();

  const std::shared_ptr<InterfaceState>& shared_interface() const
  {
    return interface_;
  }

private:
  enum class Share
  {
    none,
    strangers,
    known,
  };

  explicit SessionSlot(std::shared_ptr<InterfaceState> interface) : interface_(std::move(interface)) {}

  std::shared_ptr<InterfaceState> interface_;
  Share share_ = Share::none;
  std::uint64_t caller_ = 0;
};

/// One of the streamed answers of an interface; given back when destroyed, on any thread.
class StreamSlot
{
public:
  /// @return null when the caller has too many, or there are too many
  static std::shared_ptr<const StreamSlot>
  take(const std::shared_ptr<InterfaceState>& interface, bool known, std::uint64_t caller);

  StreamSlot(std::shared_ptr<InterfaceState> interface, bool known, std::uint64_t caller)
      : interface_(std::move(interface)),
        known_(known),
        caller_(caller)
  {
  }
  StreamSlot(const StreamSlot&) = delete;
  StreamSlot& operator=(const StreamSlot&) = delete;
  ~StreamSlot();

private:
  const std::shared_ptr<InterfaceState> interface_;
  const bool known_;
  const std::uint64_t caller_;
};

/// How many connections an interface with these limits can have at once. Twice the handshakes: those that are given up
/// are closed by their own threads, a little later.
std::uint64_t most_connections(const Limits& limits);
}
