#pragma once

#include "intake/findings.h"

namespace concordat::intake
{
/// Names keys that stand with two values, both lines with them, also where the keys differ in nothing that can be seen;
/// and keys that differ in nothing but case. The same record twice is fine.
void find_contradictions(std::vector<InputRecord>& records, Findings& findings, const reconciliation::Schema& schema);

/// Names keys that are no LEI where most are. Removes those that are to be skipped.
void find_odd_keys(std::vector<InputRecord>& records, Findings& findings, const reconciliation::Schema& schema);
}
