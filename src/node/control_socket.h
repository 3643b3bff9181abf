#pragma once

#include "base/files.h"
#include "concordat/error.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace concordat::node
{
/// A socket in the file system at which the operator of the machine gives commands: one line each, answered by one.
/// Only the user that the node runs as, and root, may connect; one connection is served at a time, on a thread of its
/// own.
class ControlSocket
{
public:
  using Answer = std::function<std::string(std::string_view line)>;

  static constexpr std::size_t longest_line = std::size_t{64} << 10;

  /// Takes the place of a socket that a process left which is gone.
  /// @param answer    called on the socket's thread; gives one line without its end
  /// @param patience  for each line, and for the other side to take each answer
  /// @return Error::exists when another process listens there, or it is no socket; Error::io
  static Result<std::unique_ptr<ControlSocket>>
  open(const base::Path& path, Answer answer, std::chrono::milliseconds patience);

  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;
  /// Waits for the command that runs, and removes the socket.
  ~ControlSocket();

private:
  class Impl;
  explicit ControlSocket(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};
}
