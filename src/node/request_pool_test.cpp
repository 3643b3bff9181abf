#include "node/test_support.h"

namespace concordat::node
{
namespace
{
using base::Refusal;
using test::code_of;
using test::endpoint;
using test::FakeNode;
using test::header_of;
using test::writer;

Endpoint slow(Endpoint fast)
{
  fast.place = Place::pool;
  return fast;
}
}

TEST(Pool, RunsWhatItsEndpointOrItsBodySays)
{
  FakeNode node;
  node.configuration.handlers.inline_body_size = 10;
  int runs = 0;
  auto on_pool = slow(writer(&runs));
  on_pool.path = "/slow";
  node.serve({writer(&runs), on_pool});
  node.send("POST", "/app/write", std::string(10, 'x'));
  EXPECT_EQ(runs, 1) << "at once";
  EXPECT_TRUE(node.pool.jobs.empty());
  node.ordering.settle();

  const auto large = node.send("POST", "/app/write", std::string(11, 'x'));
  EXPECT_EQ(runs, 1) << "not on the thread of the connection";
  ASSERT_EQ(node.pool.jobs.size(), 1U);
  EXPECT_GE(node.pool.jobs[0].bytes, 11U);
  node.pool.take().run();
  EXPECT_EQ(runs, 2);
  node.ordering.settle();
  EXPECT_EQ(large->answer->status, 200);

  node.send("POST", "/app/slow", "");
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(node.pool.jobs.size(), 1U);
}

TEST(Pool, EndpointsThatSayNothingRunThere)
{
  EXPECT_EQ(Endpoint{}.place, Place::pool);
}

TEST(Pool, KnownCallersHaveAShareEachAndStrangersOneTogether)
{
  FakeNode node;
  auto guarded = slow(writer());
  guarded.policies = {AuthPolicy::member_cert, AuthPolicy::user_cert};
  auto open = slow(writer());
  open.path = "/open";
  node.serve({guarded, open});
  const auto member = node.session(&node.member);
  const auto user = node.session(&node.user);
  const auto stranger = test::certificate("stranger");
  const auto unknown = node.session(&stranger);
  node.send(*member, "POST", "/app/write");
  node.send(*user, "POST", "/app/write");
  const auto refused = node.send(*unknown, "POST", "/app/write");
  EXPECT_EQ(refused->answer->status, 401) << "before the queue, not behind it";
  node.send(*unknown, "POST", "/app/open");
  node.send("POST", "/app/open");
  ASSERT_EQ(node.pool.jobs.size(), 4U);
  EXPECT_EQ(node.pool.jobs[0].owner, node.member.id());
  EXPECT_EQ(node.pool.jobs[1].owner, node.user.id());
  EXPECT_EQ(node.pool.jobs[2].owner, "");
  EXPECT_EQ(node.pool.jobs[3].owner, "");
}

TEST(Pool, WhomNoPolicyLetsInIsObservedToo)
{
  FakeNode node;
  int observed = 0;
  auto guarded = slow(writer());
  guarded.policies = {AuthPolicy::member_cert};
  guarded.observer = [&](const Response& response) { observed = response.status; };
  node.serve({guarded});
  node.send("POST", "/app/write");
  EXPECT_EQ(observed, 401);
}

TEST(Pool, AuthenticatesAgainWhenItsTurnComes)
{
  FakeNode node;
  auto guarded = slow(writer());
  guarded.policies = {AuthPolicy::member_cert};
  node.serve({guarded});
  const auto session = node.session(&node.member);
  const auto write = node.send(*session, "POST", "/app/write", "v");
  const auto removal = node.store.begin_fresh(kv::RunBy::node);
  removal->remove(tables::member_certs, node.member.id());
  ASSERT_TRUE(node.store.commit(*removal, {}));
  (void)node.store.begin_fresh();
  node.pool.take().run();
  EXPECT_EQ(write->answer->status, 401);
  EXPECT_EQ(node.ordering.submissions, 0);
}

TEST(Pool, AFullOneIsToldWithACodeAndATime)
{
  FakeNode node;
  node.serve({slow(writer())});
  node.pool.refuses = ErrorCode::limit;
  const auto full = node.send("POST", "/app/write");
  EXPECT_EQ(full->answer->status, 503);
  EXPECT_EQ(code_of(*full->answer), "TooManyPendingRequests");
  EXPECT_EQ(header_of(*full->answer, "retry-after"), "3");
  node.pool.refuses = ErrorCode::unavailable;
  const auto stopping = node.send("POST", "/app/write");
  EXPECT_EQ(stopping->answer->status, 503);
  EXPECT_EQ(code_of(*stopping->answer), "NodeCannotHandleRequest");
}

TEST(Pool, WhoMadeRoomOrWaitedTooLongIsAnsweredAndNotRun)
{
  const std::tuple<Refusal, std::string, std::string> cases[] = {
      {Refusal::crowded, "TooManyPendingRequests", "3"},
      {Refusal::late, "RequestDeadlineExceeded", "3"},
      {Refusal::stopping, "NodeCannotHandleRequest", ""}};
  for (const auto& [why, code, pause] : cases)
  {
    FakeNode node;
    node.serve({slow(writer())});
    const auto write = node.send("POST", "/app/write", "v");
    node.pool.take().refuse(why);
    ASSERT_TRUE(write->answer);
    EXPECT_EQ(write->answer->status, 503);
    EXPECT_EQ(code_of(*write->answer), code);
    EXPECT_EQ(header_of(*write->answer, "retry-after"), pause);
  }
}

TEST(Deadline, CountsFromTheRequestAndCanBeSwitchedOff)
{
  FakeNode node;
  node.configuration.handlers.deadline = std::chrono::seconds(7);
  node.serve({slow(writer())});
  node.send("POST", "/app/write");
  EXPECT_EQ(node.pool.take().deadline, node.clock.steady() + std::chrono::seconds(7));
  node.configuration.handlers.deadline = {};
  node.send("POST", "/app/write");
  EXPECT_EQ(node.pool.take().deadline, std::chrono::steady_clock::time_point::max());
}

TEST(Deadline, AHandlerThatOutlivesItHasWrittenNothing)
{
  FakeNode node;
  std::function<void()> in_the_middle;
  node.serve({slow(endpoint(
      "POST", "/write", Mode::read_write,
      [&](Context& context)
      {
        context.transaction().put("records", "k", "v");
        in_the_middle();
        return Response::text("written");
      }))});
  const auto write = node.send("POST", "/app/write");
  const auto job = node.pool.take();
  in_the_middle = [&] { job.refuse(Refusal::late); };
  job.run();
  ASSERT_TRUE(write->answer);
  EXPECT_EQ(write->answer->status, 504);
  EXPECT_EQ(code_of(*write->answer), "RequestDeadlineExceeded");
  EXPECT_EQ(node.ordering.submissions, 0) << "what was answered with a deadline is not written behind it";
  EXPECT_EQ(write->answers, 1);
}

TEST(Deadline, AReadThatOutlivesItIsAnsweredOnce)
{
  FakeNode node;
  std::function<void()> in_the_middle;
  for (const auto mode : {Mode::command, Mode::read_only, Mode::read_write})
  {
    node.serve({slow(endpoint(
        "GET", "/read", mode,
        [&](Context&)
        {
          in_the_middle();
          return Response::text("read");
        }))});
    const auto read = node.send("GET", "/app/read");
    const auto job = node.pool.take();
    in_the_middle = [&] { job.refuse(Refusal::late); };
    job.run();
    EXPECT_EQ(read->answer->status, 504);
    EXPECT_EQ(read->answers, 1);
    EXPECT_TRUE(node.ordering.barriers.empty());
  }
}

TEST(Deadline, DoesNotTouchATransactionThatIsInTheOrder)
{
  FakeNode node;
  node.serve({slow(writer())});
  const auto write = node.send("POST", "/app/write", "v");
  const auto job = node.pool.take();
  job.run();
  job.refuse(Refusal::late);
  EXPECT_FALSE(write->answer) << "nobody can say that nothing was written";
  node.ordering.settle();
  EXPECT_EQ(write->answer->status, 200);
  job.refuse(Refusal::late);
  EXPECT_EQ(write->answers, 1);
}

TEST(Deadline, ThatPassesDuringAConflictEndsTheAttempts)
{
  FakeNode node;
  int runs = 0;
  node.serve({slow(writer(&runs))});
  node.ordering.refusals = {ErrorCode::conflict};
  const auto write = node.send("POST", "/app/write", "v");
  const auto job = node.pool.take();
  node.ordering.before_submit = [&] { job.refuse(Refusal::late); };
  job.run();
  ASSERT_TRUE(write->answer);
  EXPECT_EQ(write->answer->status, 504);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(node.stored("k"), "nothing");
  EXPECT_EQ(write->answers, 1);
}

TEST(Deadline, AnAnswerThatWasGivenStands)
{
  FakeNode node;
  node.serve({slow(endpoint("GET", "/read", Mode::read_only, [](Context&) { return Response::text("read"); }))});
  const auto read = node.send("GET", "/app/read");
  const auto job = node.pool.take();
  job.run();
  job.refuse(Refusal::late);
  EXPECT_EQ(read->answer->status, 200);
  EXPECT_EQ(read->answers, 1);
}
}
