#pragma once

#include "ledger/test_files.h"
#include "ledger/verifier.h"

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace concordat::ledger
{
/// The files of a ledger directory by name.
using Files = std::map<std::string, std::string>;

inline VerifyReport verify(
    const Files& files, const VerifyOptions& options = {},
    const std::function<void(const ShownTransaction&)>& on_transaction = {})
{
  MemoryFileSystem memory;
  for (const auto& [name, bytes] : files)
    memory.put("ledger/" + name, bytes);
  return verify_ledger(memory, {"ledger"}, options, on_transaction);
}

inline std::string errors_of(const VerifyReport& report)
{
  std::string text;
  for (const auto& finding : report.findings)
    if (!finding.is_note)
      text += finding.place + ": " + finding.text + "\n";
  return text;
}

inline bool mentions(const VerifyReport& report, std::string_view text)
{
  return errors_of(report).find(text) != std::string::npos;
}
}
