#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace concordat::intake
{
/// Something in a key or value that a person should look at before it is stored.
struct Suspicion
{
  std::string_view kind; ///< what --accept and --skip call it
  std::string what;      ///< holds nothing of the cell
};

/// All kinds, and what each means; in the order in which they are documented.
struct KindOfSuspicion
{
  std::string_view name;
  std::string_view meaning;
};
extern const KindOfSuspicion suspicion_kinds[19];
bool is_suspicion_kind(std::string_view name);

enum class Cell
{
  key,
  value,
};

/// The first thing that is suspicious about a cell: damage by a spreadsheet, a placeholder, or what cannot be seen.
std::optional<Suspicion> look_at_cell(std::string_view text, Cell cell);

/// 18 letters or digits and 2 digits (ISO 17442), whatever their case.
bool has_lei_shape(std::string_view text);

/// The text in `="…"`, as spreadsheets write digits that are to stay; the text itself otherwise.
std::string_view without_formula(std::string_view text);
}
