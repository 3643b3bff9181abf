#pragma once

#include "concordat/error.h"
#include "http/interface_state.h"
#include "http/worker.h"
#include "net/socket.h"

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace concordat::http
{
/// Listens on one interface and hands connections to the workers in turn. Runs on the thread that accepts, which does
/// nothing else, so that no handler can keep it from accepting.
class Acceptor : public std::enable_shared_from_this<Acceptor>
{
public:
  /// @param kept_back  of the process's open files, what connections leave to others
  Acceptor(
      boost::asio::io_context& io, std::shared_ptr<InterfaceState> interface,
      const std::vector<std::unique_ptr<Worker>>& workers, std::uint64_t kept_back);

  /// @param address  host:port, or [host]:port
  /// @return Error::io naming the address that cannot be bound; Error::invalid if it is none
  Result<void> listen(const std::string& address);
  void start();
  void close();

private:
  void accept_all();
  bool accept_one();
  void hand_over(Worker& worker, net::Socket socket, SessionSlot slot, std::uint64_t address);
  void pause();
  void tell_once(const std::string& trouble);
  std::size_t choose_worker() const;

  boost::asio::io_context& io_;
  std::shared_ptr<InterfaceState> interface_;
  const std::vector<std::unique_ptr<Worker>>& workers_;
  const std::uint64_t kept_back_;
  std::size_t next_ = 0;
  bool in_trouble_ = false; ///< and the log says so
  net::ListeningSocket acceptor_;
  net::Timer pause_;
};
}
