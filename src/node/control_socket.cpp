#include "node/control_socket.h"

#include "base/log.h"
#include "base/thread.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace concordat::node
{
namespace
{
/// A file descriptor of this object's own.
class Descriptor
{
public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept
  {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor()
  {
    if (number_ >= 0)
      ::close(number_);
  }
  int number() const
  {
    return number_;
  }

private:
  int number_;
};

std::unexpected<Error> failed(const std::string& what, const base::Path& path)
{
  return fail(ErrorCode::io, "cannot " + what + " '" + path + "' (" + std::strerror(errno) + ")");
}

Descriptor new_socket()
{
  return Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

/// What is there already goes if nobody listens at it any more.
Result<void> make_way(const base::Path& path, const sockaddr_un& address)
{
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0)
    return {};
  if (!S_ISSOCK(status.st_mode))
    return fail(ErrorCode::exists, "'" + path + "' is there and is not a socket");
  const auto probe = new_socket();
  if (::connect(probe.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN)
    return fail(ErrorCode::exists, "another process listens at '" + path + "'");
  if (errno != ECONNREFUSED)
    return failed("look at", path);
  return ::unlink(path.c_str()) == 0 ? Result<void>() : failed("remove", path);
}

/// The user that this process runs as, or root.
bool is_allowed(int connection)
{
  ucred who{};
  socklen_t size = sizeof who;
  return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
         (who.uid == ::geteuid() || who.uid == 0);
}
}

class ControlSocket::Impl
{
public:
  Impl(base::Path path, Descriptor listening, Descriptor stop, Answer answer, std::chrono::milliseconds patience)
      : path_(std::move(path)),
        listening_(std::move(listening)),
        stop_(std::move(stop)),
        answer_(std::move(answer)),
        patience_(patience),
        thread_(base::start_thread("control", [this] { run(); }))
  {
  }

  ~Impl()
  {
    const std::uint64_t one = 1;
    (void)!::write(stop_.number(), &one, sizeof one);
    thread_.join();
    (void)::unlink(path_.c_str());
  }

private:
  enum class Wait
  {
    ready,
    late,
    stopped,
  };
  /// @param patience  negative: for ever
  Wait wait(int descriptor, short events, int patience) const
  {
    pollfd both[] = {{descriptor, events, 0}, {stop_.number(), POLLIN, 0}};
    while (true)
    {
      const int ready = ::poll(both, 2, patience);
      if (ready < 0 && errno == EINTR)
        continue;
      return both[1].revents != 0 ? Wait::stopped : ready > 0 ? Wait::ready : Wait::late;
    }
  }

  void run() const
  {
    while (wait(listening_.number(), POLLIN, -1) != Wait::stopped)
    {
      const Descriptor connection(::accept4(listening_.number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (connection.number() < 0)
      {
        // Out of descriptors, say: the one who waits stays in the queue, and would be found again at once.
        (void)wait(-1, 0, 100);
        continue;
      }
      if (is_allowed(connection.number()))
        serve(connection.number());
    }
  }

  void serve(int connection) const
  {
    std::string received;
    char piece[4096];
    while (true)
    {
      const auto end = received.find('\n');
      if (end != std::string::npos)
      {
        const auto line = received.substr(0, end);
        received.erase(0, end + 1);
        if (!send(connection, answer_(line) + "\n"))
          return;
        continue;
      }
      if (received.size() > longest_line ||
          wait(connection, POLLIN, static_cast<int>(patience_.count())) != Wait::ready)
        return;
      const auto size = ::recv(connection, piece, sizeof piece, 0);
      if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        return;
      if (size > 0)
        received.append(piece, static_cast<std::size_t>(size));
    }
  }

  bool send(int connection, std::string_view text) const
  {
    while (!text.empty())
    {
      const auto size = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
      if (size > 0)
        text.remove_prefix(static_cast<std::size_t>(size));
      else if (errno != EAGAIN && errno != EINTR)
        return false;
      else if (wait(connection, POLLOUT, static_cast<int>(patience_.count())) != Wait::ready)
        return false;
    }
    return true;
  }

  const base::Path path_;
  const Descriptor listening_;
  const Descriptor stop_;
  const Answer answer_;
  const std::chrono::milliseconds patience_;
  std::thread thread_;
};

ControlSocket::ControlSocket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ControlSocket::~ControlSocket() = default;

Result<std::unique_ptr<ControlSocket>>
ControlSocket::open(const base::Path& path, Answer answer, std::chrono::milliseconds patience)
{
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return fail(
        ErrorCode::invalid,
        "the path of a socket has 1 to " + std::to_string(sizeof address.sun_path - 1) + " bytes: '" + path + "'");
  std::memcpy(address.sun_path, path.data(), path.size());
  if (auto free = make_way(path, address); !free)
    return std::unexpected(free.error());
  auto listening = new_socket();
  auto stop = Descriptor(::eventfd(0, EFD_CLOEXEC));
  if (listening.number() < 0 || stop.number() < 0)
    return failed("make a socket for", path);
  // Before the name exists, so that nobody else can connect in between.
  constexpr mode_t only_owner = 0600;
  if (::fchmod(listening.number(), only_owner) != 0 ||
      ::bind(listening.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failed("listen at", path);
  constexpr int waiting = 8;
  if (::chmod(path.c_str(), only_owner) != 0 || ::listen(listening.number(), waiting) != 0)
    return failed("listen at", path);
  return std::unique_ptr<ControlSocket>(new ControlSocket(
      std::make_unique<Impl>(path, std::move(listening), std::move(stop), std::move(answer), patience)));
}
}
