#include "intake/findings.h"

#include <fmt/format.h>

#include <algorithm>

namespace concordat::intake
{
namespace
{
constexpr std::size_t max_lines = 10;
constexpr std::size_t shown_bytes = 40;

/// In one line; what else must not reach a terminal is for whoever prints it.
std::string quoted(std::string_view cell)
{
  auto end = std::min(cell.size(), shown_bytes);
  while (end > 0 && end < cell.size() && (static_cast<unsigned char>(cell[end]) & 0xc0) == 0x80)
    --end;
  std::string out = "'";
  for (const char c : cell.substr(0, end))
    out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : std::string(1, c);
  return out + (end < cell.size() ? "…'" : "'");
}

std::string place(const InputRecord& row, std::string_view column)
{
  std::string text =
      row.number > 0 ? fmt::format("record {} (line {})", row.number, row.line) : fmt::format("line {}", row.line);
  if (!column.empty())
    text += ", " + std::string(column);
  return text;
}
}

void Findings::note(const InputRecord& row, std::string_view column, std::string text)
{
  ++count_;
  if (lines_.size() < max_lines)
    lines_.push_back("  " + place(row, column) + ": " + std::move(text) + "\n");
}

Findings::Verdict Findings::suspect(
    std::string_view kind, const InputRecord& row, std::string_view column, std::string_view what,
    std::string_view cell)
{
  if (options_.skip.contains(kind))
  {
    ++skipped_;
    return Verdict::skip;
  }
  if (options_.accept.contains(kind))
    return Verdict::keep;
  kinds_.try_emplace(std::string(kind), true);
  note(row, column, fmt::format("{}{}{} ({})", cell.empty() ? "" : quoted(cell), cell.empty() ? "" : " ", what, kind));
  return Verdict::keep;
}

Findings::Verdict Findings::unusable(std::string_view kind, const InputRecord& row, std::string_view reason)
{
  if (options_.skip.contains(kind))
  {
    ++skipped_;
    return Verdict::skip;
  }
  kinds_.try_emplace(std::string(kind), false);
  note(row, {}, fmt::format("{} ({})", reason, kind));
  return Verdict::skip;
}

void Findings::refuse(const InputRecord& row, std::string_view column, std::string_view reason)
{
  ++refused_;
  note(row, column, std::string(reason));
}

Attempt<void> Findings::result() const
{
  if (count_ == 0)
    return {};
  std::string cause = count_ == 1 ? "one thing in the input stands in the way; nothing was sent:\n"
                                  : fmt::format("{} things in the input stand in the way; nothing was sent:\n", count_);
  for (const auto& line : lines_)
    cause += line;
  if (count_ > lines_.size())
    cause += fmt::format("  and {} more\n", count_ - lines_.size());

  std::string acceptable;
  std::string all;
  for (const auto& [kind, can_be_accepted] : kinds_)
  {
    all += (all.empty() ? "" : ",") + kind;
    if (can_be_accepted)
      acceptable += (acceptable.empty() ? "" : ",") + kind;
  }
  std::string next = "correct the input";
  if (!acceptable.empty())
    next += "; --accept " + acceptable + " submits what is in doubt as it stands";
  if (!all.empty())
    next += "; --skip " + all + " leaves those rows out";
  return std::unexpected(Problem{std::move(cause), std::move(next)});
}
}
