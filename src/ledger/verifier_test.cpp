#include "ledger/verifier.h"

#include "base/files.h"

#include <gtest/gtest.h>

namespace concordat::ledger
{
namespace
{
const std::string service_a = CONCORDAT_TEST_DATA "/ledger/service_a/ledger";

TEST(Verifier, AcceptsALedgerOfARealService)
{
  base::RealFileSystem files;
  const auto report = verify_ledger(files, {service_a}, {});
  for (const auto& finding : report.findings)
    EXPECT_TRUE(finding.is_note) << finding.place << ": " << finding.text;
  EXPECT_EQ(report.entries, 74U);
  EXPECT_EQ(report.signatures, 26U);
  EXPECT_EQ(report.cose_signatures, 18U);
}
}
}
