#pragma once

#include "intake/findings.h"
#include "reconciliation/csv.h"

namespace concordat::intake
{
/// How a CSV text is written, and where its header and columns stand.
struct Dialect
{
  reconciliation::CsvDialect csv;
  std::size_t skip = 0;            ///< bytes before the first row: a line `sep=;`
  std::uint64_t skipped_lines = 0; ///< lines in them
  std::uint64_t rows_before = 0;   ///< rows before the header, blank ones included
  std::vector<std::string> header; ///< names as they stand
  std::size_t key = 0;             ///< column
  std::size_t value = 0;           ///< column
  std::uint64_t header_line = 1;
  bool other_columns_ignored = false; ///< the columns were named by the caller
};

/// Finds separator, line ends, header and columns. Names of columns are compared without regard to case and to what
/// cannot be seen.
/// @return an error that lists the columns there are, and which of them were probably meant
Attempt<Dialect> find_dialect(std::string_view text, const InputOptions& options, const reconciliation::Schema& schema);

/// Nothing that can be seen stands in it.
bool is_blank(std::string_view field);
bool is_blank(const std::vector<std::string_view>& row);
}
