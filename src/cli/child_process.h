#pragma once

#include "concordat/error.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace concordat::cli
{
/// A program that this process has started and that ends with it: the kernel kills it when the thread that started it
/// ends, however that happens. Used by that thread only.
class ChildProcess
{
public:
  /// @param arguments the program's path first
  /// @param directory where it runs
  /// @param log_file  gets what it prints, behind what is there
  static Result<ChildProcess>
  start(const std::vector<std::string>& arguments, const std::string& directory, const std::string& log_file);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  /// Kills what still runs.
  ~ChildProcess();

  pid_t pid() const
  {
    return pid_;
  }
  /// How it ended, such as "exited with code 1"; nothing while it runs. Does not wait.
  std::optional<std::string> ended();
  /// Asks it to end (SIGTERM), and kills it if it has not after that time. Waits.
  void stop(std::chrono::milliseconds patience);

private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_ = -1;
  std::optional<std::string> end_;
};

/// The process of that id is alive and runs in that directory.
bool runs_in(pid_t pid, const std::string& directory);
}
