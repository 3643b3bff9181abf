#include "intake/cells.h"

#include "reconciliation/text_rules.h"

#include <algorithm>
#include <array>

namespace concordat::intake
{
const KindOfSuspicion suspicion_kinds[19] = {
    {"scientific", "a number in scientific notation, as spreadsheets write long ones"},
    {"formula", "=…; of =\"…\" the text in quotes is taken"},
    {"error-value", "#N/A, #REF! and the like, in any language"},
    {"placeholder", "NULL, NaN, n/a and the like"},
    {"date", "a day and month, as spreadsheets make of codes such as 1.10"},
    {"quotes", "quotes or an apostrophe as part of the text"},
    {"markup", "HTML entities"},
    {"empty", "a CSV row without value"},
    {"total", "a key that names a total"},
    {"header", "the header again"},
    {"preamble", "lines before the header"},
    {"fields", "a row that is too short or too long (can only be skipped)"},
    {"odd-key", "a key that is no LEI, in a file of LEIs"},
    {"case", "small letters in an LEI or NACE code, or keys that differ only in case"},
    {"space", "space at an end, doubled, or of an unusual kind"},
    {"invisible", "zero width, bidirectional and control characters, soft hyphens"},
    {"form", "accents as characters of their own, unusual widths"},
    {"lookalike", "letters of two scripts in one word, dashes that are no hyphens"},
    {"lost", "replacement characters, text encoded twice"},
};

namespace
{
bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

char lower(char c)
{
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

std::string lowered(std::string_view text)
{
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

std::string_view trimmed(std::string_view text)
{
  const auto begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string_view::npos ? std::string_view{}
                                         : text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::size_t digits(std::string_view text, std::size_t at)
{
  std::size_t count = 0;
  while (at + count < text.size() && is_digit(text[at + count]))
    ++count;
  return count;
}

/// 9.845E+19, 9,845E+19, 9E+19. Digits around a bare E are no sign of it: they may be an identifier.
bool is_scientific(std::string_view text)
{
  std::size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  const auto whole = digits(text, at);
  at += whole;
  bool sure = false;
  if (at < text.size() && (text[at] == '.' || text[at] == ','))
  {
    const auto part = digits(text, at + 1);
    at += 1 + part;
    sure = part > 0;
  }
  if (whole == 0 || at >= text.size() || lower(text[at]) != 'e')
    return false;
  ++at;
  if (at < text.size() && (text[at] == '-' || text[at] == '+'))
  {
    sure = true;
    ++at;
  }
  const auto exponent = digits(text, at);
  return sure && exponent > 0 && at + exponent == text.size();
}

bool is_error_value(std::string_view text)
{
  if (text.starts_with("Err:") || text.starts_with("#ERR"))
    return true;
  if (text.size() < 3 || text[0] != '#' || text.find(' ') != std::string_view::npos)
    return false;
  if (text.find_first_not_of('#') == std::string_view::npos)
    return true;
  static constexpr std::array<std::string_view, 9> known{
      "#N/A", "#N/D", "#NV", "#N/V", "#I/T", "#\xd0\x9d/\xd0\x94", "#SAKNAS!", "#GETTING_DATA", "#DIV/0"};
  return text.back() == '!' || text.back() == '?' || std::find(known.begin(), known.end(), text) != known.end();
}

bool is_placeholder(const std::string& text)
{
  static constexpr std::array<std::string_view, 18> known{"null", "(null)",  "<null>",    "nan",    "n/a", "na", "n.a.",
                                                          "none", "nil",     "undefined", "\\n",    "-",   "--", "?",
                                                          "tbd",  "unknown", "(blank)",   "missing"};
  return std::find(known.begin(), known.end(), text) != known.end();
}

bool is_month(std::string_view word)
{
  static constexpr std::array<std::string_view, 24> months{
      "jan",
      "feb",
      "mar",
      "apr",
      "may",
      "jun",
      "jul",
      "aug",
      "sep",
      "oct",
      "nov",
      "dec",
      "m\xc3\xa4r",
      "mrz",
      "mai",
      "okt",
      "dez",
      "avr",
      "juin",
      "juil",
      "d\xc3\xa9"
      "c",
      "ene",
      "abr",
      "ott"};
  while (word.ends_with('.'))
    word.remove_suffix(1);
  return std::find(months.begin(), months.end(), word) != months.end();
}

/// 1-Oct, 01. Okt, Oct-24.
bool is_damaged_date(const std::string& text)
{
  if (text.size() > 12)
    return false;
  const auto split = text.find_first_of("-. /");
  if (split == std::string::npos)
    return false;
  const auto first = std::string_view(text).substr(0, split);
  const auto second_begin = text.find_first_not_of("-. /", split);
  if (second_begin == std::string::npos)
    return false;
  const auto second = std::string_view(text).substr(second_begin);
  const auto number = [](std::string_view part, std::size_t most)
  { return !part.empty() && part.size() <= most && digits(part, 0) == part.size(); };
  return (number(first, 2) && is_month(second)) || (is_month(first) && number(second, 4));
}

bool is_total(const std::string& key)
{
  static constexpr std::array<std::string_view, 20> words{
      "total",
      "totals",
      "grand total",
      "subtotal",
      "sub-total",
      "sum",
      "count",
      "summe",
      "gesamt",
      "gesamtsumme",
      "gesamtergebnis",
      "anzahl",
      "totaal",
      "totale",
      "somme",
      "suma",
      "sous-total",
      "end of file",
      "eof",
      "\xd0\xb8\xd1\x82\xd0\xbe\xd0\xb3\xd0\xbe"};
  std::string_view text = key;
  while (!text.empty() && (text.back() == ':' || text.back() == '.' || text.back() == ' '))
    text.remove_suffix(1);
  if (std::find(words.begin(), words.end(), text) != words.end())
    return true;
  return text.starts_with("total ") || text.starts_with("grand total") || text.starts_with("total:") ||
         text.starts_with("source:") || text.starts_with("(") || (text.starts_with("---") && text.size() > 3) ||
         text.starts_with("===");
}

bool has_quotes(std::string_view text)
{
  if (text.starts_with('\''))
    return true;
  for (const std::string_view quote : {"\"", "\xe2\x80\x9c", "\xe2\x80\x9d", "\xe2\x80\x9e", "\xe2\x80\x98"})
    if (text.size() > quote.size() && text.starts_with(quote))
      return text.ends_with('"') || text.ends_with("\xe2\x80\x9c") || text.ends_with("\xe2\x80\x9d") ||
             text.ends_with("\xe2\x80\x99");
  return false;
}

bool has_entity(std::string_view text)
{
  const auto begin = text.find('&');
  const auto end = begin == std::string_view::npos ? begin : text.find(';', begin);
  if (end == std::string_view::npos || end - begin < 3 || end - begin > 9)
    return false;
  const auto name = text.substr(begin + 1, end - begin - 1);
  return name.starts_with('#') ||
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string_view::npos;
}

/// A letter, a point and digits, such as K.64.19 (NACE).
bool is_small_nace(std::string_view text)
{
  return text.size() >= 3 && text.size() <= 8 && text[0] >= 'a' && text[0] <= 'u' && text[1] == '.' &&
         text.find_first_not_of("0123456789.", 1) == std::string_view::npos && is_digit(text[2]);
}

bool has_small_letters(std::string_view text)
{
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

std::string_view kind_of(reconciliation::TextFlaw::Kind kind)
{
  using Kind = reconciliation::TextFlaw::Kind;
  switch (kind)
  {
  case Kind::space:
    return "space";
  case Kind::invisible:
    return "invisible";
  case Kind::form:
  case Kind::width:
    return "form";
  case Kind::lookalike:
    return "lookalike";
  case Kind::lost:
    break;
  }
  return "lost";
}

std::optional<Suspicion> look_at_text(std::string_view text)
{
  const auto flaws = reconciliation::find_text_flaws(text);
  if (flaws.empty())
    return std::nullopt;
  const auto& flaw = flaws.front();
  return Suspicion{kind_of(flaw.kind), "holds " + reconciliation::describe(flaw)};
}
}

bool is_suspicion_kind(std::string_view name)
{
  return std::any_of(
      std::begin(suspicion_kinds), std::end(suspicion_kinds), [&](const auto& kind) { return kind.name == name; });
}

bool has_lei_shape(std::string_view text)
{
  return text.size() == 20 && digits(text, 18) == 2 &&
         std::all_of(
             text.begin(), text.end(), [](char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z'); });
}

std::string_view without_formula(std::string_view text)
{
  if (text.size() >= 3 && text.starts_with("=\"") && text.ends_with('"'))
    return text.substr(2, text.size() - 3);
  return text;
}

std::optional<Suspicion> look_at_cell(std::string_view text, Cell cell)
{
  const auto core = trimmed(text);
  const auto small = lowered(core.substr(0, 64));
  if (is_scientific(core))
    return Suspicion{"scientific", "is in scientific notation, as a spreadsheet writes a long number"};
  if (core.starts_with('='))
    return Suspicion{"formula", "is a formula of a spreadsheet"};
  if (is_error_value(core))
    return Suspicion{"error-value", "is an error value of a spreadsheet"};
  if (is_placeholder(small))
    return Suspicion{"placeholder", "stands for no value"};
  if (is_damaged_date(small))
    return Suspicion{"date", "is a date, as a spreadsheet makes of codes"};
  if (cell == Cell::key && is_total(small))
    return Suspicion{"total", "names a total or a note, not a record"};
  if (has_quotes(core))
    return Suspicion{"quotes", "has quotes or an apostrophe as part of the text"};
  if (has_entity(core))
    return Suspicion{"markup", "holds an HTML entity"};
  if (auto found = look_at_text(text))
    return found;
  if (cell == Cell::key && has_lei_shape(text) && has_small_letters(text))
    return Suspicion{"case", "is an LEI in small letters"};
  if (cell == Cell::value && is_small_nace(text))
    return Suspicion{"case", "is a code in small letters"};
  return std::nullopt;
}
}
