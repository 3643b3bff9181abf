#include "reconciliation/text_rules.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace concordat::reconciliation
{
namespace
{
using Character = std::uint32_t;
using Kind = TextFlaw::Kind;

constexpr Character byte_order_mark = 0xfeff;
constexpr Character replacement = 0xfffd;

const utf8proc_property_t& property(Character c)
{
  return *utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
}

bool is_line_end(Character c)
{
  return c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool is_space(Character c)
{
  if (c < 0x80)
    return c == ' ' || (c >= '\t' && c <= '\r');
  // The braille blank is no space to Unicode, but to the eye.
  return c == 0x85 || c == 0x2800 || property(c).category == UTF8PROC_CATEGORY_ZS || is_line_end(c);
}

bool is_invisible(Character c)
{
  if (c < 0x80)
    return (c < 0x20 || c == 0x7f) && !is_space(c);
  if (is_space(c))
    return false;
  return c < 0xa0 || (c >= 0xfff9 && c <= 0xfffb) || property(c).ignorable;
}

/// Zero width joiners and variation selectors: they decide how characters beside them look.
bool is_joiner(Character c)
{
  return c == 0x200c || c == 0x200d || (c >= 0xfe00 && c <= 0xfe0f);
}

bool has_other_width(Character c)
{
  return c >= 0x2000 && !is_space(c) && !is_invisible(c) &&
         (property(c).decomp_type == UTF8PROC_DECOMP_TYPE_WIDE ||
          property(c).decomp_type == UTF8PROC_DECOMP_TYPE_NARROW);
}

bool is_dash(Character c)
{
  return (c >= 0x2010 && c <= 0x2015) || c == 0x2212;
}

bool is_ascii_word(Character c)
{
  return c < 0x80 && ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'));
}

/// Letters that share shapes with Latin ones.
bool is_greek_or_cyrillic(Character c)
{
  return (c >= 0x370 && c <= 0x52f) || (c >= 0x1c80 && c <= 0x1c8f);
}

bool is_letter(Character c)
{
  const auto category = property(c).category;
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

/// Text that is UTF-8 gives its characters; a byte that is not gives U+FFFD.
std::vector<Character> characters_of(std::string_view text)
{
  std::vector<Character> characters;
  characters.reserve(text.size());
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0)
  {
    utf8proc_int32_t character = 0;
    auto size = utf8proc_iterate(at, left, &character);
    if (size <= 0)
    {
      character = static_cast<utf8proc_int32_t>(replacement);
      size = 1;
    }
    characters.push_back(static_cast<Character>(character));
    at += size;
    left -= size;
  }
  return characters;
}

std::string map_text(std::string_view text, int options)
{
  utf8proc_uint8_t* mapped = nullptr;
  const auto size = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()), &mapped,
      static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (size < 0)
    return std::string(text);
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size)};
}

std::string to_normal_form(std::string_view text)
{
  return map_text(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
}

void append(std::string& out, Character c)
{
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes.data());
  out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(size));
}

void append_usual_width(std::string& out, Character c)
{
  // Compatible with a macron is a space with a combining one, and that space would be white space of the text.
  constexpr Character wide_macron = 0xffe3;
  constexpr Character macron = 0xaf;
  if (c == wide_macron)
    return append(out, macron);
  std::string one;
  append(one, c);
  out += map_text(one, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
}

/// What joins or styles two characters stays only between two that are not ASCII.
bool keeps_joiner(std::string_view before, const std::vector<Character>& characters, std::size_t at)
{
  const bool after_other = !before.empty() && static_cast<unsigned char>(before.back()) >= 0x80;
  if (!after_other || at + 1 == characters.size())
    return false;
  const auto next = characters[at + 1];
  return next >= 0x80 && !is_space(next) && !is_invisible(next) && !has_other_width(next);
}

/// A run of white space: its line ends if it has any, else one space.
std::size_t append_space(std::string& out, const std::vector<Character>& characters, std::size_t at)
{
  std::string lines;
  for (; at < characters.size() && (is_space(characters[at]) || is_invisible(characters[at])); ++at)
  {
    const bool second_half = characters[at] == '\n' && at > 0 && characters[at - 1] == '\r';
    if (is_line_end(characters[at]) && !second_half)
      lines += '\n';
  }
  if (!out.empty() && at < characters.size())
    out += lines.empty() ? " " : lines;
  return at;
}

/// UTF-8 whose bytes were taken for Latin-1 characters and written as UTF-8 again, such as Ã©.
bool is_twice_encoded(const std::vector<Character>& characters, std::size_t at)
{
  if (at + 1 == characters.size())
    return false;
  const auto first = characters[at];
  const auto second = characters[at + 1];
  return ((first == 0xc3 || first == 0xc2) && second >= 0x80 && second <= 0xbf) ||
         (first == 0xe2 && (second == 0x80 || second == 0x20ac));
}

/// Finds the first flaw of each kind.
class Finder
{
public:
  explicit Finder(std::string_view text) : text_(text), characters_(characters_of(text)) {}

  std::vector<TextFlaw> run()
  {
    for (at_ = 0; at_ < characters_.size(); ++at_)
      look();
    look_at_form();
    std::sort(
        flaws_.begin(), flaws_.end(), [](const auto& a, const auto& b)
        { return a.position != b.position ? a.position < b.position : a.kind < b.kind; });
    return std::move(flaws_);
  }

private:
  void look()
  {
    const auto c = characters_[at_];
    if (is_space(c))
    {
      const bool at_end = at_ == 0 || at_ + 1 == characters_.size();
      const bool doubled = at_ > 0 && is_space(characters_[at_ - 1]) && !(c == '\n' && characters_[at_ - 1] == '\n');
      if (at_end || doubled || (c != ' ' && c != '\n'))
        add(Kind::space);
    }
    else if (is_invisible(c))
    {
      if (!is_joiner(c) || !keeps_joiner(before(), characters_, at_))
        add(Kind::invisible);
    }
    else if (has_other_width(c))
      add(Kind::width);
    else if (c == replacement || is_twice_encoded(characters_, at_))
      add(Kind::lost);
    else if (property(c).decomp_type == UTF8PROC_DECOMP_TYPE_FONT && c >= 0x1d400)
      add(Kind::lookalike);
    else if (is_dash(c) && at_ > 0 && at_ + 1 < characters_.size() && is_code())
      add(Kind::lookalike);
    look_at_script(c);
  }

  /// A letter of the other of two scripts within one word.
  void look_at_script(Character c)
  {
    const bool greek_or_cyrillic = is_greek_or_cyrillic(c) && is_letter(c);
    const bool latin = !greek_or_cyrillic && c < 0x250 && is_letter(c);
    if (!greek_or_cyrillic && !latin)
    {
      if (!is_ascii_word(c))
        word_latin_ = word_other_ = false;
      return;
    }
    (latin ? word_latin_ : word_other_) = true;
    // A code such as K.64 has single letters, so a lone letter among ASCII digits and dots counts as well.
    if (greek_or_cyrillic && (word_latin_ || is_code()))
      add(Kind::lookalike);
    else if (latin && word_other_)
      add(Kind::lookalike);
  }

  void look_at_form()
  {
    const auto composed = to_normal_form(text_);
    if (composed == text_)
      return;
    const auto other = characters_of(composed);
    const auto differs = std::mismatch(characters_.begin(), characters_.end(), other.begin(), other.end()).first;
    at_ = static_cast<std::size_t>(differs - characters_.begin());
    at_ = std::min(at_, characters_.size() - 1);
    add(Kind::form);
  }

  /// ASCII digits stand in it, and nothing that a sentence or a name has.
  bool is_code() const
  {
    const bool digits =
        std::any_of(characters_.begin(), characters_.end(), [](Character c) { return c >= '0' && c <= '9'; });
    return digits && std::none_of(characters_.begin(), characters_.end(), is_space);
  }

  /// What `normalised` would have written before this character, as far as the rule of joiners looks at it.
  std::string before() const
  {
    std::string out;
    for (std::size_t i = at_; i-- > 0;)
      if (!is_invisible(characters_[i]))
      {
        append(out, characters_[i]);
        break;
      }
    return out;
  }

  void add(Kind kind)
  {
    for (const auto& flaw : flaws_)
      if (flaw.kind == kind)
        return;
    flaws_.push_back({kind, characters_[at_], at_});
  }

  std::string_view text_;
  std::vector<Character> characters_;
  std::size_t at_ = 0;
  bool word_latin_ = false;
  bool word_other_ = false;
  std::vector<TextFlaw> flaws_;
};
}

std::string_view name_of(TextRule rule)
{
  switch (rule)
  {
  case TextRule::exact:
    return "exact";
  case TextRule::normalise:
    return "normalise";
  case TextRule::refuse:
    break;
  }
  return "refuse";
}

std::optional<TextRule> text_rule_of(std::string_view name)
{
  for (const auto rule : {TextRule::exact, TextRule::normalise, TextRule::refuse})
    if (name == name_of(rule))
      return rule;
  return std::nullopt;
}

bool is_plain(std::string_view text)
{
  char before = ' ';
  for (const char c : text)
  {
    if (c <= ' ' || c == 0x7f)
      if (c != ' ' || before == ' ')
        return false;
    before = c;
  }
  return text.empty() || before != ' ';
}

std::vector<TextFlaw> find_text_flaws(std::string_view text)
{
  return is_plain(text) ? std::vector<TextFlaw>{} : Finder(text).run();
}

std::string normalised(std::string_view text)
{
  if (is_plain(text))
    return std::string(text);
  const auto characters = characters_of(to_normal_form(text));
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < characters.size();)
  {
    const auto c = characters[at];
    if (is_space(c))
    {
      at = append_space(out, characters, at);
      continue;
    }
    if (has_other_width(c))
      append_usual_width(out, c);
    else if (!is_invisible(c) || (is_joiner(c) && keeps_joiner(out, characters, at)))
      append(out, c);
    ++at;
  }
  return to_normal_form(out);
}

std::string folded(std::string_view text)
{
  return map_text(normalised(text), UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
}

std::string_view as_agreed(TextRule rule, std::string_view text, std::string& memory)
{
  if (rule == TextRule::exact || is_plain(text))
    return text;
  memory = normalised(text);
  return memory;
}

std::optional<std::string> refuse_text(TextRule rule, std::string_view text)
{
  if (rule != TextRule::refuse || is_plain(text))
    return std::nullopt;
  const auto flaws = find_text_flaws(text);
  if (!flaws.empty())
    return "the text differs from what is seen of it: it holds " + describe(flaws.front());
  if (normalised(text) != text)
    return "the text is not written as it is seen (Unicode normal form C)";
  return std::nullopt;
}

std::string describe_character(std::uint32_t character)
{
  struct Name
  {
    Character character;
    std::string_view name;
  };
  static constexpr std::array names{
      Name{0, "a NUL"},
      Name{'\t', "a tab"},
      Name{'\n', "a line end"},
      Name{'\r', "a carriage return"},
      Name{0x1a, "Ctrl-Z"},
      Name{0x1b, "an escape character"},
      Name{' ', "a space"},
      Name{0xa0, "a no-break space"},
      Name{0xad, "a soft hyphen"},
      Name{0x200b, "a zero width space"},
      Name{0x200c, "a zero width non-joiner"},
      Name{0x200d, "a zero width joiner"},
      Name{0x2060, "a word joiner"},
      Name{0x2800, "a braille blank"},
      Name{0x3000, "an ideographic space"},
      Name{byte_order_mark, "a byte order mark"},
      Name{replacement, "a replacement character"}};
  std::string_view name = "the character";
  if (const auto found =
          std::find_if(names.begin(), names.end(), [&](const Name& n) { return n.character == character; });
      found != names.end())
    name = found->name;
  else if (
      (character >= 0x202a && character <= 0x202e) || (character >= 0x2066 && character <= 0x2069) ||
      character == 0x200e || character == 0x200f || character == 0x61c)
    name = "a bidirectional control";
  else if (character < 0x20 || (character >= 0x7f && character < 0xa0))
    name = "a control character";
  else if (is_space(character))
    name = "an unusual space";
  else if (is_dash(character))
    name = "a dash that is no hyphen";
  std::array<char, 16> code{};
  std::snprintf(code.data(), code.size(), " (U+%04X)", static_cast<unsigned>(character));
  return std::string(name) + code.data();
}

std::string describe(const TextFlaw& flaw)
{
  return describe_character(flaw.character) + ", character " + std::to_string(flaw.position + 1);
}
}
