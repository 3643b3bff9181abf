#pragma once

#include "cli/connection.h"
#include "cli/console.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::cli
{
enum class ReportFormat
{
  table,
  json,
  csv,
};

struct ReportOptions
{
  ConnectionOptions connection;
  std::optional<std::string> key; ///< one record instead of all
  ReportFormat format = ReportFormat::table;
  bool raw = false; ///< CSV cells as they are, also those that a spreadsheet would run
};

/// Writes the records of a report one after the other, in one of the formats. The columns are those of the first.
class ReportWriter
{
public:
  /// @param raw  leaves CSV cells that a spreadsheet would run as they are
  static std::unique_ptr<ReportWriter> make(ReportFormat format, bool raw, Console& console);
  virtual ~ReportWriter() = default;
  /// @param record JSON object
  /// @return false if it cannot be read as one, or nothing more can be written
  virtual bool write(std::string_view record) = 0;
  virtual void finish() = 0;
};

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3).
std::string percent_encoded(std::string_view text);

Outcome run_report(const ReportOptions& options, Console& console);
}
