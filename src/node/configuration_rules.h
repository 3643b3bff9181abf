#pragma once

#include "node/schema.h"

namespace concordat::node
{
/// What the whole configuration file must be (governance.md §16, newer.md, and the section `concordat` which is ours).
const Rule& configuration_rule();
/// What its section `network` must be, and what a node that joins says of its interfaces.
const Rule& network_rule();
}
