#pragma once

#include "cli/console.h"

#include <string>
#include <vector>

namespace concordat::cli
{
/// Prints aligned columns. The first rows decide the widths, so that a table of any length needs memory for those only;
/// a later cell that is wider moves the rest of its row.
class Table
{
public:
  struct Cell
  {
    std::string text;
    Colour colour = Colour::none;
  };

  Table(Console& console, std::vector<std::string> headings) : console_(console), headings_(std::move(headings)) {}

  void add(std::vector<Cell> row);
  /// Prints what is still kept back; at least the headings.
  void finish();

private:
  void print_first();
  void print(const std::vector<Cell>& row);

  Console& console_;
  std::vector<std::string> headings_;
  std::vector<std::size_t> widths_;
  std::vector<std::vector<Cell>> first_;
  bool printed_ = false;
};
}
