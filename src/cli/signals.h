#pragma once

#include <chrono>
#include <csignal>

namespace concordat::cli
{
/// While it lives, signals that ask this process to end are kept for `wait`.
class Signals
{
public:
  Signals()
  {
    sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD})
      sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  ~Signals()
  {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// Returns early for any of the signals; true if the process was asked to end.
  bool wait(std::chrono::milliseconds time)
  {
    const timespec limit{.tv_sec = time.count() / 1000, .tv_nsec = time.count() % 1000 * 1'000'000};
    const int signal = sigtimedwait(&signals_, nullptr, &limit);
    return signal > 0 && signal != SIGCHLD;
  }

private:
  sigset_t signals_{};
  sigset_t before_{};
};
}
