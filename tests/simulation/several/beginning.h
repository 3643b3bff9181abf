#pragma once

#include "several_world.h"

namespace concordat::simulation
{
/// Disks of machines on which nothing has failed yet. Keys are made only once, as that takes long.
struct Beginning
{
  static constexpr std::size_t machines = 5;

  std::string member;             ///< DER of a certificate
  std::vector<Files> one_node;    ///< the first has created a service; the others have keys
  std::vector<Files> three_nodes; ///< the first three are a service
};

const Beginning& beginning();
}
