#include "cli/table.h"

#include <algorithm>

namespace concordat::cli
{
namespace
{
constexpr std::size_t rows_for_widths = 1000;
/// A wide cell among the first ones does not push all others off the screen.
constexpr std::size_t max_width = 60;
}

void Table::add(std::vector<Cell> row)
{
  for (auto& cell : row)
    cell.text = printable(cell.text);
  if (printed_)
    return print(row);
  first_.push_back(std::move(row));
  if (first_.size() == rows_for_widths)
    print_first();
}

void Table::finish()
{
  if (!printed_)
    print_first();
}

void Table::print_first()
{
  printed_ = true;
  std::vector<Cell> heading;
  for (const auto& text : headings_)
  {
    widths_.push_back(display_width(text));
    heading.push_back({text, Colour::bold});
  }
  for (const auto& row : first_)
    for (std::size_t i = 0; i < row.size() && i < widths_.size(); ++i)
      widths_[i] = std::max(widths_[i], std::min(display_width(row[i].text), max_width));
  print(heading);
  for (const auto& row : first_)
    print(row);
  first_.clear();
}

void Table::print(const std::vector<Cell>& row)
{
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i)
  {
    line += paint(console_, row[i].colour, row[i].text);
    const auto width = display_width(row[i].text);
    if (i + 1 < row.size())
      line.append((i < widths_.size() && widths_[i] > width ? widths_[i] - width : 0) + 2, ' ');
  }
  console_.out << line << '\n';
}
}
