#include "consensus/configuration.h"

#include <gtest/gtest.h>

#include <limits>

namespace concordat::consensus
{
namespace
{
using Ids = std::vector<EngineId>;

const Configuration three{.voters = {1, 2, 3}};

Configuration after(const Configuration& before, std::vector<MemberChange> members)
{
  return before.after({std::move(members)}).value();
}

TEST(Configuration, RefusesWhatCannotBe)
{
  const auto refuses = [](const Configuration& wrong)
  {
    const auto sound = wrong.validate();
    ASSERT_FALSE(sound) << wrong.describe();
    EXPECT_EQ(sound.error().code, ErrorCode::invalid);
  };
  EXPECT_TRUE(three.validate());
  refuses({});
  refuses({.voters = {0}});
  refuses({.voters = {EngineId{1} << 63}});
  refuses({.voters = {2, 1}});
  refuses({.voters = {1, 1}});
  refuses({.voters = {1}, .learners = {3, 2}});
  refuses({.voters = {1}, .learners = {1}});
  refuses({.voters = {1}, .learners = {2}, .voters_outgoing = {2}});
  refuses({.voters = {1}, .learners_next = {2}});
  refuses({.voters = {1}, .voters_outgoing = {1, 3}, .learners_next = {2}});
  refuses({.voters = {1}, .voters_outgoing = {1, 2}, .learners_next = {1}});
  EXPECT_TRUE(
      (Configuration{.voters = {1}, .learners = {3}, .voters_outgoing = {1, 2}, .learners_next = {2}}.validate()));

  Configuration many;
  for (EngineId id = 1; id <= Configuration::max_members; ++id)
    many.voters.push_back(id);
  EXPECT_TRUE(many.validate());
  many.voters.push_back(1000);
  refuses(many);
}

TEST(Configuration, OneMemberChangesAtOnce)
{
  const auto joined = after(three, {{4, Role::learner}});
  EXPECT_EQ(joined, (Configuration{.voters = {1, 2, 3}, .learners = {4}}));
  EXPECT_EQ(after(joined, {{4, Role::voter}}), (Configuration{.voters = {1, 2, 3, 4}}));
  EXPECT_EQ(after(joined, {{4, Role::none}}), three);
  EXPECT_EQ(after(three, {{2, Role::none}}), (Configuration{.voters = {1, 3}}));
  EXPECT_EQ(after(three, {{2, Role::learner}}), (Configuration{.voters = {1, 3}, .learners = {2}}));
  EXPECT_EQ(after(three, {{9, Role::voter}}), (Configuration{.voters = {1, 2, 3, 9}}));
}

TEST(Configuration, OneMemberMakesItJointWhereThatIsSaid)
{
  const auto joint = three.after({{{2, Role::learner}}, true});
  ASSERT_TRUE(joint);
  EXPECT_EQ(*joint, (Configuration{.voters = {1, 3}, .voters_outgoing = {1, 2, 3}, .learners_next = {2}}));
  EXPECT_EQ(after(*joint, {}), (Configuration{.voters = {1, 3}, .learners = {2}}));
}

TEST(Configuration, SeveralMembersMakeItJointUntilThatIsLeft)
{
  const Configuration before{.voters = {1, 2, 3}, .learners = {4, 5}};
  const auto joint =
      after(before, {{1, Role::none}, {2, Role::learner}, {4, Role::voter}, {5, Role::none}, {6, Role::learner}});
  EXPECT_EQ(
      joint, (Configuration{.voters = {3, 4}, .learners = {6}, .voters_outgoing = {1, 2, 3}, .learners_next = {2}}));
  EXPECT_TRUE(joint.validate());
  EXPECT_TRUE(joint.joint());
  EXPECT_EQ(joint.role(1), Role::voter);
  EXPECT_EQ(joint.role(2), Role::voter);
  EXPECT_EQ(joint.role(4), Role::voter);
  EXPECT_EQ(joint.role(5), Role::none);
  EXPECT_EQ(joint.role(6), Role::learner);
  EXPECT_EQ(joint.describe(), "voters 3 4, outgoing voters 1 2 3, learners 6, next learners 2");

  const auto left = after(joint, {});
  EXPECT_EQ(left, (Configuration{.voters = {3, 4}, .learners = {2, 6}}));
  EXPECT_EQ(left.role(1), Role::none);
  EXPECT_EQ(left.role(2), Role::learner);
}

TEST(Configuration, RefusesChangesThatCannotBeMade)
{
  const auto refuses = [](const Configuration& before, std::vector<MemberChange> members)
  {
    const auto changed = before.after({std::move(members)});
    ASSERT_FALSE(changed);
    EXPECT_EQ(changed.error().code, ErrorCode::invalid);
  };
  const auto joint = after(three, {{1, Role::none}, {4, Role::voter}});
  refuses(three, {});
  refuses(joint, {{5, Role::learner}});
  refuses(joint, {{5, Role::learner}, {6, Role::learner}});
  refuses({.voters = {1}}, {{1, Role::none}});
  refuses({.voters = {1}}, {{1, Role::learner}});
  refuses(three, {{1, Role::none}, {2, Role::none}, {3, Role::none}});
  refuses(three, {{1, Role::voter}});
  refuses(three, {{4, Role::none}});
  refuses({.voters = {1}, .learners = {2}}, {{2, Role::learner}});
  refuses(three, {{4, Role::voter}, {2, Role::voter}});
}

TEST(Configuration, RefusesChangesThatSayNothingOrTooMuch)
{
  const auto refuses = [](const ConfigurationChange& wrong)
  {
    ASSERT_FALSE(wrong.validate());
    EXPECT_EQ(wrong.validate().error().code, ErrorCode::invalid);
    EXPECT_FALSE(three.after(wrong));
  };
  refuses({{{0, Role::voter}}});
  refuses({{{std::numeric_limits<EngineId>::max(), Role::voter}}});
  refuses({{{4, static_cast<Role>(3)}}});
  refuses({{{4, Role::voter}, {4, Role::none}}});
  refuses({{}, true});
  refuses({{{4, Role::voter}, {5, Role::voter}}, true});
  ConfigurationChange change;
  for (EngineId id = 10; change.members.size() < ConfigurationChange::max_members; ++id)
    change.members.push_back({id, Role::learner});
  EXPECT_TRUE(change.validate());
  change.members.push_back({100, Role::learner});
  refuses(change);
}
}
}
