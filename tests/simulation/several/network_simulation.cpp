#include "beginning.h"
#include "simulation/seeds.h"

int main(int argc, char** argv)
{
  using namespace concordat::simulation;
  return run_seeds(
      argc, argv,
      [](std::uint64_t seed, Verdict::Tally& tally, std::uint64_t& fingerprint)
      {
        const bool alone = seed % 8 == 0;
        const auto& made = beginning();
        SeveralWorld world(seed, tally, made.member, alone ? made.one_node : made.three_nodes);
        auto wrong = world.run(alone ? 1 : 3);
        fingerprint = world.fingerprint();
        tally["step"] += world.steps();
        return wrong;
      });
}
