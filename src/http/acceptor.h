#pragma once

#include "concordat/error.h"
#include "http/interface_state.h"
#include "http/socket.h"
#include "http/worker.h"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace concordat::http
{
/// Listens on one interface and hands connections to the workers in turn. Runs on the first worker's thread.
class Acceptor : public std::enable_shared_from_this<Acceptor>
{
public:
  Acceptor(std::shared_ptr<InterfaceState> interface, const std::vector<std::unique_ptr<Worker>>& workers);

  /// @param address  host:port, or [host]:port
  /// @return Error::io naming the address that cannot be bound; Error::invalid if it is none
  Result<void> listen(const std::string& address);
  void start();
  void close();

private:
  void accept_all();
  bool accept_one();

  std::shared_ptr<InterfaceState> interface_;
  const std::vector<std::unique_ptr<Worker>>& workers_;
  std::size_t next_ = 0;
  ListeningSocket acceptor_;
  Timer pause_;
};
}
