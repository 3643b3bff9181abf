#pragma once

#include "base/files.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

namespace concordat::ledger
{
/// Tests on ledgers that another program wrote. They are no part of this project: CONCORDAT_REFERENCE names the
/// directory that has them below `ledgers`; without it they are looked for beside the checkout.
class ForeignLedger : public testing::Test
{
protected:
  void SetUp() override
  {
    const char* const given = std::getenv("CONCORDAT_REFERENCE");
    ledgers = std::string(given ? given : "../shared/reference") + "/ledgers";
    base::RealFileSystem disk;
    if (!disk.exists(ledgers))
      GTEST_SKIP() << "not run: there are no ledgers of other programs in '" << ledgers
                   << "' (CONCORDAT_REFERENCE says where they are)";
  }

  std::string content(const std::string& path) const
  {
    base::RealFileSystem disk;
    return disk.read(ledgers + "/" + path).value();
  }

  /// The files of a directory by name.
  std::map<std::string, std::string> load(const std::string& path) const
  {
    base::RealFileSystem disk;
    std::map<std::string, std::string> files;
    const auto names = disk.list(ledgers + "/" + path);
    for (const auto& name : names.value())
      files[name] = content(path + "/" + name);
    return files;
  }

  std::string ledgers;
};
}
