#include "cli/child_process.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace concordat::cli
{
namespace
{
std::string describe(int status)
{
  if (WIFSIGNALED(status))
    return "was ended by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
  return "exited with code " + std::to_string(WEXITSTATUS(status));
}

/// Runs in the child between fork and exec, where only async-signal-safe functions may be called.
[[noreturn]] void become(char* const* arguments, const char* directory, int log, pid_t parent)
{
  // A Ctrl-C on the terminal is for the parent, which then ends the child in order.
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent)
    _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = open("/dev/null", O_RDONLY);
  if (chdir(directory) == 0 && nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0 &&
      dup2(log, STDERR_FILENO) >= 0)
    execv(arguments[0], arguments);
  constexpr char message[] = "the program could not be run\n";
  (void)!write(log, message, sizeof message - 1);
  _exit(127);
}
}

Result<ChildProcess> ChildProcess::start(
    const std::vector<std::string>& arguments, const std::string& directory, const std::string& log_file)
{
  const int log = open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0)
    return fail(ErrorCode::io, "cannot open " + log_file + ": " + std::strerror(errno));
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (const auto& argument : arguments)
    pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0)
    become(pointers.data(), directory.c_str(), log, parent);
  const int error = errno;
  close(log);
  if (pid < 0)
    return fail(ErrorCode::io, std::string("cannot start a process: ") + std::strerror(error));
  return ChildProcess(pid);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      end_(std::move(other.end_))
{
}

ChildProcess::~ChildProcess()
{
  if (pid_ > 0)
    stop(std::chrono::milliseconds(0));
}

std::optional<std::string> ChildProcess::ended()
{
  int status = 0;
  if (!end_ && waitpid(pid_, &status, WNOHANG) == pid_)
    end_ = describe(status);
  return end_;
}

void ChildProcess::stop(std::chrono::milliseconds patience)
{
  if (ended())
    return;
  const auto end = std::chrono::steady_clock::now() + patience;
  kill(pid_, SIGTERM);
  while (!ended() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  if (ended())
    return;
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR)
  {
  }
  end_ = describe(status);
}

bool runs_in(pid_t pid, const std::string& directory)
{
  // The link cannot be read of a process of another user; that one is not ours then. A zombie has none.
  std::error_code error;
  const auto there = std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/cwd", error);
  if (error)
    return false;
  const bool same = std::filesystem::equivalent(there, directory, error);
  return same && !error;
}
}
