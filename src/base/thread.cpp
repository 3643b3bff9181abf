#include "base/thread.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

namespace concordat::base
{
std::thread start_thread(std::string name, std::function<void()> body)
{
  return std::thread(
      [name = std::move(name), body = std::move(body)]
      {
        pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
        try
        {
          body();
        }
        catch (...)
        {
          thread_died(name);
        }
      });
}

void give_way(int niceness)
{
  // On Linux a priority is a thread's own.
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness);
}

void thread_died(const std::string& name)
{
  // Not the log: it allocates and locks, and the process may be out of either.
  try
  {
    throw;
  }
  catch (const std::exception& thrown)
  {
    std::fprintf(stderr, "the thread '%s' died, and the process ends: %s\n", name.c_str(), thrown.what());
  }
  catch (...)
  {
    std::fprintf(stderr, "the thread '%s' died, and the process ends\n", name.c_str());
  }
  std::abort();
}
}
