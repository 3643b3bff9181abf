#include "seeds.h"
#include "world.h"

int main(int argc, char** argv)
{
  using namespace concordat::simulation;
  return run_seeds(
      argc, argv,
      [](std::uint64_t seed, Verdict::Tally& tally, std::uint64_t& fingerprint)
      {
        World world(seed, tally);
        auto wrong = world.run();
        fingerprint = world.fingerprint();
        return wrong;
      });
}
