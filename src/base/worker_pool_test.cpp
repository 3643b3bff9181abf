#include "base/worker_pool.h"

#include "base/thread.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <latch>
#include <stdexcept>
#include <sys/resource.h>
#include <unistd.h>

namespace concordat::base
{
namespace
{
constexpr auto soon = std::chrono::milliseconds(1);

std::chrono::steady_clock::time_point in(std::chrono::steady_clock::duration time)
{
  return std::chrono::steady_clock::now() + time;
}

/// What became of jobs, by their names.
class Diary
{
public:
  Job job(std::string owner, std::string name, std::uint64_t bytes = 0)
  {
    Job made;
    made.run = [this, name] { note(name); };
    made.refuse = [this, name](Refusal why)
    {
      note(name + (why == Refusal::late ? " late" : why == Refusal::crowded ? " crowded" : " stopping"));
    };
    made.owner = std::move(owner);
    made.bytes = bytes;
    return made;
  }
  void note(const std::string& line)
  {
    const LockGuard lock(mutex_);
    lines_.push_back(line);
    changed_.notify_all();
  }
  std::vector<std::string> after(std::size_t count)
  {
    const LockGuard lock(mutex_);
    while (lines_.size() < count)
      changed_.wait(mutex_);
    return lines_;
  }
  std::vector<std::string> now()
  {
    return after(0);
  }

private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> lines_ GUARDED_BY(mutex_);
};

/// Keeps the only thread of a pool busy until it is let go.
class Obstacle
{
public:
  explicit Obstacle(WorkerPool& pool)
  {
    Job job;
    job.run = [this]
    {
      begun_.count_down();
      gone_.get_future().wait();
    };
    job.owner = "obstacle";
    EXPECT_TRUE(pool.submit(std::move(job)));
    begun_.wait();
  }
  void go()
  {
    gone_.set_value();
  }

private:
  std::latch begun_{1};
  std::promise<void> gone_;
};

/// For want of room.
bool is_refused(WorkerPool& pool, Job job)
{
  const auto submitted = pool.submit(std::move(job));
  return !submitted && submitted.error().code == ErrorCode::limit;
}

WorkerPool::Options one_thread(std::uint64_t jobs = 100, std::uint64_t bytes = 1000)
{
  return {"test", 1, jobs, bytes};
}
}

TEST(WorkerPool, RunsWhatIsSubmittedInTheOrderOfOneOwner)
{
  Diary diary;
  WorkerPool pool(one_thread());
  Obstacle obstacle(pool);
  for (const auto* const name : {"1", "2", "3"})
    ASSERT_TRUE(pool.submit(diary.job("a", name)));
  obstacle.go();
  EXPECT_EQ(diary.after(3), (std::vector<std::string>{"1", "2", "3"}));
}

TEST(WorkerPool, OwnersTakeTurns)
{
  Diary diary;
  WorkerPool pool(one_thread());
  Obstacle obstacle(pool);
  for (const auto* const name : {"a1", "a2", "a3"})
    ASSERT_TRUE(pool.submit(diary.job("a", name)));
  for (const auto* const name : {"b1", "b2"})
    ASSERT_TRUE(pool.submit(diary.job("b", name)));
  ASSERT_TRUE(pool.submit(diary.job("c", "c1")));
  obstacle.go();
  EXPECT_EQ(diary.after(6), (std::vector<std::string>{"a1", "b1", "c1", "a2", "b2", "a3"}));
}

TEST(WorkerPool, SeveralThreadsRunSeveralJobsAtOnce)
{
  WorkerPool pool({"test", 3, 10, 10});
  std::latch together(3); // passed only when all three are there
  std::latch done(3);
  for (int i = 0; i < 3; ++i)
  {
    Job job;
    job.run = [&]
    {
      together.arrive_and_wait();
      done.count_down();
    };
    ASSERT_TRUE(pool.submit(std::move(job)));
  }
  done.wait();
}

TEST(WorkerPool, WhoFillsTheQueueAloneIsRefusedAtBothBounds)
{
  Diary diary;
  WorkerPool pool(one_thread(2, 1000));
  Obstacle obstacle(pool);
  ASSERT_TRUE(pool.submit(diary.job("a", "1")));
  ASSERT_TRUE(pool.submit(diary.job("a", "2")));
  EXPECT_TRUE(is_refused(pool, diary.job("a", "3")));

  WorkerPool by_bytes(one_thread(100, 10));
  Obstacle second_obstacle(by_bytes);
  ASSERT_TRUE(by_bytes.submit(diary.job("a", "4", 6)));
  ASSERT_TRUE(by_bytes.submit(diary.job("a", "5", 4)));
  EXPECT_TRUE(is_refused(by_bytes, diary.job("a", "6", 1)));
  EXPECT_EQ(by_bytes.waiting(), 2U);
  obstacle.go();
  second_obstacle.go();
  auto lines = diary.after(4);
  std::sort(lines.begin(), lines.end());
  EXPECT_EQ(lines, (std::vector<std::string>{"1", "2", "4", "5"})) << "what was refused is forgotten";
}

TEST(WorkerPool, WhatIsDoneLeavesItsPlace)
{
  Diary diary;
  WorkerPool pool(one_thread(2, 10));
  for (int round = 1; round <= 3; ++round)
  {
    Obstacle obstacle(pool);
    ASSERT_TRUE(pool.submit(diary.job("a", "small", 1)));
    ASSERT_TRUE(pool.submit(diary.job("a", "large", 9))) << round;
    obstacle.go();
    diary.after(static_cast<std::size_t>(2 * round));
  }
}

TEST(WorkerPool, WhatIsLargerThanTheBoundWaitsInAnEmptyQueueOnly)
{
  Diary diary;
  WorkerPool pool(one_thread(100, 10));
  Obstacle obstacle(pool);
  ASSERT_TRUE(pool.submit(diary.job("a", "giant", 11)));
  EXPECT_TRUE(is_refused(pool, diary.job("b", "giant too", 11)));
  obstacle.go();
  EXPECT_EQ(diary.after(1), (std::vector<std::string>{"giant"}));
}

TEST(WorkerPool, WhoHasMostMakesRoomForOthers)
{
  Diary diary;
  WorkerPool pool(one_thread(4, 1000));
  Obstacle obstacle(pool);
  for (const auto* const name : {"a1", "a2", "a3", "a4"})
    ASSERT_TRUE(pool.submit(diary.job("a", name)));
  ASSERT_TRUE(pool.submit(diary.job("b", "b1")));
  EXPECT_EQ(diary.now(), (std::vector<std::string>{"a4 crowded"})) << "the last of who has most";
  ASSERT_TRUE(pool.submit(diary.job("b", "b2")));
  EXPECT_EQ(diary.now(), (std::vector<std::string>{"a4 crowded", "a3 crowded"}));
  EXPECT_TRUE(is_refused(pool, diary.job("b", "b3"))) << "they would have most then";
  EXPECT_TRUE(is_refused(pool, diary.job("a", "a5")));
  EXPECT_EQ(pool.waiting(), 4U);
  obstacle.go();
  const auto lines = diary.after(6);
  EXPECT_EQ(
      std::vector<std::string>(lines.begin() + 2, lines.end()), (std::vector<std::string>{"a1", "b1", "a2", "b2"}));
}

TEST(WorkerPool, ALargeJobPushesOutAsManyAsItNeedsOrNone)
{
  Diary diary;
  WorkerPool pool(one_thread(100, 100));
  Obstacle obstacle(pool);
  for (const auto* const name : {"a1", "a2", "a3", "a4"})
    ASSERT_TRUE(pool.submit(diary.job("a", name, 25)));
  EXPECT_TRUE(is_refused(pool, diary.job("b", "too much", 60))) << "more than the rest of the other would be";
  EXPECT_EQ(pool.waiting(), 4U) << "a job that is refused pushes nobody out";
  ASSERT_TRUE(pool.submit(diary.job("b", "b1", 40)));
  EXPECT_EQ(diary.now(), (std::vector<std::string>{"a4 crowded", "a3 crowded"}));
  obstacle.go();
  EXPECT_EQ(diary.after(5), (std::vector<std::string>{"a4 crowded", "a3 crowded", "a1", "b1", "a2"}));
}

TEST(WorkerPool, AJobWhoseDeadlineHasPassedIsAnsweredWithoutRunning)
{
  Diary diary;
  WorkerPool pool(one_thread());
  auto late = diary.job("a", "1");
  late.deadline = in(-soon);
  ASSERT_TRUE(pool.submit(std::move(late)));
  EXPECT_EQ(diary.after(1), (std::vector<std::string>{"1 late"}));
  pool.stop();
  EXPECT_EQ(diary.now(), (std::vector<std::string>{"1 late"})) << "and hears of it once";
}

TEST(WorkerPool, ADeadlineIsKeptWhileAllThreadsAreBusy)
{
  Diary diary;
  WorkerPool pool(one_thread());
  Obstacle obstacle(pool);
  auto patient = diary.job("a", "patient");
  patient.deadline = in(std::chrono::hours(1));
  auto hasty = diary.job("a", "hasty");
  hasty.deadline = in(soon);
  ASSERT_TRUE(pool.submit(std::move(patient)));
  ASSERT_TRUE(pool.submit(std::move(hasty)));
  EXPECT_EQ(diary.after(1), (std::vector<std::string>{"hasty late"})) << "the thread has not been let go yet";
  EXPECT_EQ(pool.waiting(), 1U);
  obstacle.go();
  EXPECT_EQ(diary.after(2), (std::vector<std::string>{"hasty late", "patient"}));
}

/// @return false if the thread came to the job only after its deadline, so that it did not run
bool outlives_its_deadline(std::chrono::steady_clock::duration patience)
{
  std::latch told(1);
  bool ran = false;
  {
    WorkerPool pool(one_thread());
    Job job;
    job.run = [&]
    {
      told.wait(); // for ever if nobody were told before the job ends
      ran = true;
    };
    job.refuse = [&](Refusal why)
    {
      EXPECT_EQ(why, Refusal::late);
      told.count_down();
    };
    job.deadline = in(patience);
    EXPECT_TRUE(pool.submit(std::move(job)));
    told.wait();
  }
  return ran;
}

TEST(WorkerPool, AJobThatOutlivesItsDeadlineIsToldWhileItRuns)
{
  // A busy machine can let a deadline pass before the thread wakes.
  auto patience = std::chrono::steady_clock::duration(soon);
  while (!outlives_its_deadline(patience))
    patience *= 2;
}

TEST(WorkerPool, StopRefusesWhatWaitsAndLetsWhatRunsEnd)
{
  Diary diary;
  WorkerPool pool(one_thread());
  std::latch begun(1);
  std::latch refused(2);
  Job running;
  running.run = [&]
  {
    begun.count_down();
    refused.wait(); // ends only after the others have been answered
    diary.note("ran to its end");
  };
  ASSERT_TRUE(pool.submit(std::move(running)));
  begun.wait();
  for (const auto* const name : {"1", "2"})
  {
    auto job = diary.job(name, name);
    job.refuse = [&refused, before = job.refuse](Refusal why)
    {
      before(why);
      refused.count_down();
    };
    ASSERT_TRUE(pool.submit(std::move(job)));
  }
  pool.stop();
  EXPECT_EQ(diary.now(), (std::vector<std::string>{"1 stopping", "2 stopping", "ran to its end"}));
  const auto after = pool.submit(diary.job("a", "too late"));
  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().code, ErrorCode::unavailable);
}

TEST(WorkerPool, AJobMaySubmitAnother)
{
  WorkerPool pool(one_thread());
  std::promise<void> done;
  Job first;
  first.run = [&]
  {
    Job second;
    second.run = [&] { done.set_value(); };
    EXPECT_TRUE(pool.submit(std::move(second)));
  };
  ASSERT_TRUE(pool.submit(std::move(first)));
  done.get_future().wait();
}

TEST(WorkerPool, WhatAJobHoldsIsLetGoOfWithoutTheLock)
{
  WorkerPool pool(one_thread());
  std::promise<void> done;
  struct Answering
  {
    WorkerPool& pool;
    std::promise<void>& done;
    ~Answering()
    {
      (void)pool.waiting(); // a deadlock if the lock were held
      done.set_value();
    }
  };
  Job job;
  job.run = [held = std::make_shared<Answering>(pool, done)] {};
  ASSERT_TRUE(pool.submit(std::move(job)));
  done.get_future().wait();
}

TEST(WorkerPool, ItsThreadsGiveWayAsItWasTold)
{
  auto options = one_thread();
  options.niceness = least_urgent;
  WorkerPool pool(options);
  std::promise<int> niceness;
  Job job;
  job.run = [&] { niceness.set_value(::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()))); };
  ASSERT_TRUE(pool.submit(std::move(job)));
  EXPECT_EQ(niceness.get_future().get(), least_urgent);
  EXPECT_LT(::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid())), least_urgent) << "only its own threads";
}

TEST(WorkerPoolDeathTest, AnExceptionOfAJobEndsTheProcessAndNamesItsThread)
{
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        WorkerPool pool(one_thread());
        Job job;
        job.run = [] { throw std::runtime_error("nobody expected this"); };
        (void)pool.submit(std::move(job));
        std::promise<void>().get_future().wait_for(std::chrono::minutes(1));
      },
      "the thread 'test-0' died.*nobody expected this");
}
}
