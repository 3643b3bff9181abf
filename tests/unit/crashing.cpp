// Tests that crash, to see that their names are said (tests/unit/CMakeLists.txt).
#include "base/check.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <thread>

TEST(Crash, OfACheck)
{
  CHECK(testing::UnitTest::GetInstance() == nullptr, "a test that crashes");
}

TEST(Crash, OfAnExceptionInAThread)
{
  std::thread([] { throw std::runtime_error("nobody catches this"); }).join();
}

TEST(Crash, OfANullPointer)
{
  int* volatile nowhere = nullptr;
  *nowhere = 1;
}

TEST(Crash, OfAWrongAddress)
{
  volatile std::uintptr_t nowhere = 64;
  *reinterpret_cast<int*>(nowhere) = 1;
}

TEST(Crash, OfMemoryThatWasGivenBack)
{
  auto* const memory = new int(1);
  int* volatile gone = memory;
  delete memory;
  *gone = 2;
  std::abort(); // where no sanitizer is looking
}
