// The main of every unit test: a crash names the test in which it happened, whatever becomes of the output before it.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <unistd.h>

// There with the address and thread sanitizers, which write their report first and then call back.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

// The undefined-behaviour sanitizer calls nobody back, but may end with a signal.
extern "C" const char* __ubsan_default_options()
{
  return "abort_on_error=1:print_stacktrace=1";
}

namespace
{
/// Read by signal handlers, so it is plain memory.
std::array<char, 512> running{"no test"};

void say(std::string_view text)
{
  // Nobody is left to be told that it could not be written.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

void name_the_test()
{
  say("\n*** crashed in the test ");
  say({running.data(), std::strlen(running.data())});
  say("\n");
}

void on_signal(int number)
{
  name_the_test();
  // The handler was for one time: now the system does what it does with such a signal.
  std::raise(number);
}

class Names : public testing::EmptyTestEventListener
{
  void OnTestStart(const testing::TestInfo& test) override
  {
    const auto name = std::string(test.test_suite_name()) + "." + test.name();
    const auto size = std::min(name.size(), running.size() - 1);
    std::memcpy(running.data(), name.data(), size);
    running[size] = '\0';
  }
};

void catch_signal(int number)
{
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESETHAND | SA_NODEFER | SA_ONSTACK;
  sigaction(number, &action, nullptr);
}
}

int main(int argc, char** argv)
{
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new Names);

  // For a stack that overflowed.
  static std::array<char, 65536> stack;
  const stack_t other{stack.data(), 0, stack.size()};
  sigaltstack(&other, nullptr);
  catch_signal(SIGABRT);
  if (__sanitizer_set_death_callback != nullptr)
    __sanitizer_set_death_callback(name_the_test);
  else
    for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL})
      catch_signal(number);
  return RUN_ALL_TESTS();
}
