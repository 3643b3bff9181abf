#include "consensus/invariants.h"

#include <gtest/gtest.h>

#include <functional>

/// Each invariant is one that is noticed: a checker that finds nothing wrong would look just as well.
namespace concordat::consensus
{
namespace
{
/// Ordinary life up to a committed batch 1–2, of which the readers know.
void live(Invariants& invariants)
{
  invariants.started({}, 0);
  invariants.view_begun(2, {});
  invariants.issued({2, 1});
  invariants.issued({2, 2});
  invariants.durable(2);
  invariants.logged({1, 2, std::nullopt});
  invariants.committed(2, {2, 2});
  invariants.published({2, 2});
  invariants.acknowledged({2, 1});
}
}

TEST(InvariantsDeathTest, EachIsNoticed)
{
  const std::pair<std::function<void(Invariants&)>, const char*> wrongs[] = {
      {[](Invariants& i) { i.issued({2, 2}); }, "none twice"},
      {[](Invariants& i) { i.issued({2, 4}); }, "ids follow each other"},
      {[](Invariants& i) { i.view_begun(2, {2, 2}); }, "a view begins once"},
      {[](Invariants& i) { i.view_begun(3, {2, 1}); }, "where the committed ledger ends"},
      {[](Invariants& i) { i.durable(3), i.view_begun(3, {2, 2}); }, "is cut before a view begins"},
      {[](Invariants& i) { i.logged({3, 2, std::nullopt}); }, "have no gap"},
      {[](Invariants& i) { i.stored(3); }, "nobody is told of what is not durable"},
      {[](Invariants& i) { i.replaced(2); }, "what is agreed on is never replaced"},
      {[](Invariants& i) { i.cut(1); }, "what is committed is never cut"},
      {[](Invariants& i) { i.durable(1); }, "the files hold what is committed"},
      {[](Invariants& i) { i.committed(3, {2, 4}); }, "before it is durable"},
      {[](Invariants& i) { i.durable(4), i.committed(2, {2, 4}); }, "in the order of the log"},
      {[](Invariants& i) { i.committed(3, {2, 2}); }, "committed only grows"},
      {[](Invariants& i) { i.durable(4), i.published({2, 4}); }, "readers see the committed state"},
      {[](Invariants& i) { i.published({2, 2}); }, "readers never go back"},
      {[](Invariants& i) { i.acknowledged({2, 3}); }, "before it is committed"},
      {[](Invariants& i) { i.durable(4), i.committed(3, {2, 4}), i.acknowledged({2, 3}); }, "before its writer"},
      {[](Invariants& i) { i.marked({2, 3}); }, "a mark is never ahead"},
      {[](Invariants& i) { i.started({}, 0); }, "what was acknowledged is found again"}};
  for (const auto& [wrong, why] : wrongs)
  {
    Invariants invariants;
    live(invariants);
    EXPECT_DEATH(wrong(invariants), why);
  }
}
}
