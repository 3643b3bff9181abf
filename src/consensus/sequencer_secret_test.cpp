#include "consensus/test_secrets.h"

/// The ledger's secret changes with the first primary after a full stop, and with nobody else.
namespace concordat::consensus
{
TEST_F(SecretNetworkTest, TheFirstPrimaryAfterAFullStopChangesTheSecretForAll)
{
  begin(3);
  write_and_check(elect(), "before");
  const auto before = sequencer(1).committed().seqno;
  const auto old = member(1).secrets->at(1);
  EXPECT_EQ(changes_, 0);
  stop_and_start({1, 2, 3});
  const auto primary = elect();
  write_and_check(primary, "after");
  EXPECT_EQ(changes_, 1);
  const auto periods = known(primary);
  ASSERT_EQ(periods.size(), 2U);
  EXPECT_GE(periods[1].first, before) << "what was in the log before is not touched";
  const ledger::LedgerSecret now(periods[1].second);
  for (const auto id : voters_)
  {
    EXPECT_EQ(known(id), periods) << id;
    EXPECT_EQ(sealed(id), periods) << id;
    EXPECT_FALSE(opens(old, id, periods[1].first)) << "not even the entry that says so lies under the old one";
    for (auto seqno = periods[1].first; seqno <= sequencer(id).committed().seqno; ++seqno)
      EXPECT_TRUE(opens(now, id, seqno)) << seqno;
    EXPECT_EQ(committed(id, "before"), "1");
  }
  stop_and_start({1, 2, 3});
  write_and_check(elect(), "again");
  EXPECT_EQ(changes_, 2);
}

TEST_F(SecretNetworkTest, WhoComesBackToARunningNetworkDoesNotChangeIt)
{
  begin(3);
  auto primary = elect();
  write_and_check(primary, "a");
  for (int i = 0; i < 4; ++i)
  {
    crash(primary);
    const auto next = elect();
    ASSERT_NE(next, primary);
    write_and_check(next, "b" + std::to_string(i));
    start(primary);
    pass(30);
    primary = next;
  }
  EXPECT_EQ(changes_, 0);
  for (const auto id : voters_)
    EXPECT_EQ(known(id).size(), 1U);
}

TEST_F(SecretNetworkTest, WhoWasDownDuringTheChangeTakesTheSecretOutOfTheLedger)
{
  begin(3);
  write_and_check(elect(), "before");
  stop_and_start({1, 2});
  write_and_check(elect(), "after");
  EXPECT_EQ(changes_, 1);
  start(3);
  pass(30);
  EXPECT_EQ(committed(3, "after"), "1");
  EXPECT_EQ(sealed(3), sealed(1));
  // And goes on under it as primary.
  crash(1);
  const auto next = elect();
  write_and_check(next, "later");
  EXPECT_EQ(changes_, 1);
}

TEST_F(SecretNetworkTest, ASecretThatWasNotSealedInTimeIsFoundAgainByAStart)
{
  begin(3);
  write_and_check(elect(), "before");
  unsealed_ = {1, 2, 3};
  stop_and_start({1, 2, 3});
  const auto primary = elect();
  write_and_check(primary, "after");
  const auto backup = primary % 3 + 1;
  const auto third = backup % 3 + 1;
  EXPECT_EQ(sealed(backup).size(), 1U);
  crash(backup);
  start(backup);
  EXPECT_EQ(known(backup), known(primary));
  pass(30);
  EXPECT_EQ(committed(backup, "after"), "1");
  // Also one whose disk was put back to where it had not heard of it, beside a ledger that has.
  crash(third);
  ASSERT_EQ(sealed(third).size(), 1U);
  member(third).durable.saved.mark = {};
  start(third);
  pass(30);
  EXPECT_EQ(known(third), known(primary));
  EXPECT_EQ(committed(third, "after"), "1");
}

TEST_F(SecretNetworkTest, AChangeThatIsLostWithItsPrimaryIsReplacedByAnother)
{
  begin(3);
  write_and_check(elect(), "before");
  cuts_off_ = true;
  stop_and_start({1, 2, 3});
  pass(30);
  // Each of them was cut off as soon as it had changed the secret; the last two have no majority.
  ASSERT_GE(changes_, 1);
  cuts_off_ = false;
  const auto lost = *cut_off_.begin();
  EXPECT_EQ(known(lost).size(), 2U);
  const auto secret = known(lost)[1];
  cut_off_ = {lost};
  const auto next = elect();
  ASSERT_NE(next, lost);
  write_and_check(next, "after");
  ASSERT_EQ(known(next).size(), 2U);
  EXPECT_EQ(known(next)[1].first, secret.first) << "in the same place";
  EXPECT_NE(known(next)[1].second, secret.second);
  cut_off_.clear();
  pass(30);
  EXPECT_EQ(known(lost), known(next));
  EXPECT_EQ(sealed(lost), known(next));
  EXPECT_EQ(committed(lost, "after"), "1");
}

TEST_F(SecretNetworkTest, WhereAChangeWasLostOthersMayHaveGoneOnUnderTheOldSecret)
{
  begin(3);
  write_and_check(elect(), "before");
  // One believes that it was a full stop; to the others the network was running. Who is elected first is the same
  // each time.
  stop_and_start({});
  for (const auto id : voters_)
    start(id);
  const auto believer = elect();
  pass(10);
  stop_and_start({});
  for (const auto id : voters_)
  {
    full_stop_ = id == believer;
    start(id);
  }
  full_stop_ = false;
  cuts_off_ = true;
  for (int i = 0; i < 100 && cut_off_.empty(); ++i)
    pass(1);
  ASSERT_TRUE(cut_off_.contains(believer));
  ASSERT_EQ(sealed(believer).size(), 2U);
  const auto next = elect();
  ASSERT_NE(next, believer);
  write_and_check(next, "after");
  EXPECT_EQ(known(next).size(), 1U);

  // It hears of that only after it was started again, with the secret that it had sealed.
  crash(believer);
  cut_off_.clear();
  start(believer);
  pass(30);
  EXPECT_EQ(committed(believer, "after"), "1");
  EXPECT_EQ(known(believer), known(next));
  crash(next);
  const auto last = elect();
  write_and_check(last, "later");
  start(next);
  pass(30);
  EXPECT_EQ(committed(next, "later"), "1");
  EXPECT_EQ(changes_, 1);
}

TEST_F(SecretNetworkTest, APrimaryForgetsAChangeThatCameToNothingBeforeItWrites)
{
  begin(3);
  auto primary = elect();
  write_and_check(primary, "before");
  // Sealed by a life of this node of which nobody has heard.
  for (const auto id : voters_)
    member(id).secrets->add(sequencer(id).committed().seqno + 1, ledger::LedgerSecret::generate());
  for (const auto id : voters_)
    member(id).seal_secrets();
  crash(primary);
  primary = elect();
  write_and_check(primary, "after");
  start(primary % 3 + 1);
  pass(30);
  for (const auto id : voters_)
    if (member(id).sequencer)
    {
      EXPECT_EQ(known(id).size(), 1U) << id;
    }
}

TEST_F(SecretNetworkTest, WhoIsNotGivenTheSecretGoesOnUnderNoOther)
{
  begin(3);
  write_and_check(elect(), "before");
  left_out_ = {3};
  stop_and_start({1, 2});
  write_and_check(elect(), "after");
  start(3);
  try
  {
    pass(30);
    FAIL() << "it has applied what it cannot read";
  }
  catch (const std::runtime_error& refused)
  {
    EXPECT_NE(std::string_view(refused.what()).find("not wrapped for this node"), std::string_view::npos)
        << refused.what();
  }
  member(3).sequencer.reset();
  const auto again = try_to_start(3);
  if (again)
    member(3).sequencer.reset();
  else
    EXPECT_NE(again.error().describe().find("not wrapped for this node"), std::string::npos);
  EXPECT_EQ(sealed(3).size(), 1U);
}

TEST_F(SecretNetworkTest, WhoCannotSealANewSecretLeadsNobody)
{
  begin(3);
  pass(20);
  cannot_seal_ = true;
  stop_and_start({1, 2, 3});
  pass(50);
  for (const auto id : voters_)
    EXPECT_FALSE(sequencer(id).can_write()) << id;
  cannot_seal_ = false;
  stop_and_start({1, 2, 3});
  write_and_check(elect(), "after");
  EXPECT_EQ(changes_, 1);
}

TEST_F(SecretNetworkTest, AChangeFromBeforeTheStopIsNotTheOneAfterIt)
{
  begin(3);
  write_and_check(elect(), "before");
  // The change gets to the disk of one backup, and everything stops.
  stop_and_start({1, 2, 3});
  EngineId primary = 0;
  for (int i = 0; i < 100 && changes_ == 0; ++i)
  {
    clock_.passed += options_.tick;
    for (int rounds = 0; rounds < 4 && changes_ == 0; ++rounds)
    {
      for (const auto id : voters_)
      {
        sequencer(id).step();
        if (changes_ != 0)
        {
          primary = id;
          break;
        }
      }
      auto sent = std::exchange(sent_, {});
      for (auto& one : sent)
        hand_over(std::move(one));
    }
  }
  ASSERT_NE(primary, 0U);
  const auto first = known(primary).back();
  stop_and_start({1, 2, 3});
  const auto next = elect();
  write_and_check(next, "after");
  EXPECT_EQ(changes_, 2);
  EXPECT_NE(known(next).back(), first);
  for (const auto id : voters_)
    EXPECT_EQ(known(id), known(next)) << id;
}
}
