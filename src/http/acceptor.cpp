#include "http/acceptor.h"

#include "base/descriptors.h"
#include "base/log.h"
#include "net/listening.h"

#include <atomic>
#include <chrono>
#include <utility>

namespace concordat::http
{
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace
{
/// Connections in a row before others on the thread have their turn.
constexpr unsigned turn_limit = 64;
/// How long to wait when the process has no descriptors or memory left: the queue of the kernel keeps the clients.
constexpr auto pause_length = std::chrono::milliseconds(100);

}

Acceptor::Acceptor(
    asio::io_context& io, std::shared_ptr<InterfaceState> interface,
    const std::vector<std::unique_ptr<Worker>>& workers, std::uint64_t kept_back)
    : io_(io),
      interface_(std::move(interface)),
      workers_(workers),
      kept_back_(kept_back),
      acceptor_(io),
      pause_(io)
{
}

Result<void> Acceptor::listen(const std::string& address)
{
  auto bound = net::listen(acceptor_, io_, address);
  if (!bound)
    return fail(bound.error().code, "interface '" + interface_->name + "': " + bound.error().message);
  interface_->address = std::move(*bound);
  return {};
}

void Acceptor::start()
{
  acceptor_.async_wait(
      tcp::acceptor::wait_read,
      [self = shared_from_this()](const error_code& ec)
      {
        if (!ec && self->acceptor_.is_open())
          self->accept_all();
      });
}

void Acceptor::close()
{
  error_code ec;
  acceptor_.close(ec);
  pause_.cancel();
}

void Acceptor::accept_all()
{
  for (unsigned i = 0; i < turn_limit; ++i)
  {
    if (!accept_one())
      return;
  }
  start();
}

/// Of workers that run no handler just now, the next in turn.
std::size_t Acceptor::choose_worker() const
{
  for (std::size_t i = 0; i < workers_.size(); ++i)
    if (const auto candidate = (next_ + i) % workers_.size(); !workers_[candidate]->is_handling())
      return candidate;
  return next_ % workers_.size();
}

/// @return false when there is nothing to accept now; the next call is arranged for then
bool Acceptor::accept_one()
{
  const auto chosen = choose_worker();
  Worker& worker = *workers_[chosen];
  error_code ec;
  tcp::endpoint client;
  auto socket = acceptor_.accept(worker.io(), client, ec);
  if (ec == asio::error::would_block)
  {
    start();
    return false;
  }
  if (ec == asio::error::connection_aborted)
    return true;
  if (ec)
  {
    tell_once(ec.message());
    pause();
    return false;
  }
  // What the files of this process need is not for connections, also when the limit was lowered meanwhile. The socket
  // is closed by leaving its scope.
  if (static_cast<std::uint64_t>(socket.native_handle()) + kept_back_ >= base::descriptor_limit())
  {
    tell_once("the open files of the process are used up but for those that it needs itself");
    return true;
  }
  if (auto slot = SessionSlot::take(interface_))
  {
    in_trouble_ = false;
    next_ = chosen + 1;
    hand_over(worker, std::move(socket), std::move(*slot), net::group_of(client));
  }
  return true;
}

void Acceptor::hand_over(Worker& worker, net::Socket socket, SessionSlot slot, std::uint64_t address)
{
  static std::atomic<std::uint64_t> last_id{0};
  const auto id = ++last_id;
  auto place = interface_->handshakes->enter(address, 1, [mailbox = worker.mailbox(), id] { mailbox->nudge(id); });
  worker.adopt({std::move(socket), std::move(slot), id, address, std::move(place)});
}

/// Trying again at once would only burn time: the queue of the kernel keeps the clients.
void Acceptor::pause()
{
  pause_.expires_after(pause_length);
  pause_.async_wait(
      [self = shared_from_this()](const error_code& cancelled)
      {
        if (!cancelled && self->acceptor_.is_open())
          self->start();
      });
}

void Acceptor::tell_once(const std::string& trouble)
{
  if (!std::exchange(in_trouble_, true))
    spdlog::warn("cannot take connections on {} for now: {}", interface_->address, trouble);
}
}
