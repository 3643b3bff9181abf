#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::reconciliation
{
/// What becomes of texts that look alike but differ in their bytes; agreed for a data set.
enum class TextRule
{
  exact,     ///< stored as it was sent: bytes decide
  normalise, ///< `normalised` is stored, and looked up
  refuse,    ///< a text that is not its own normalised form is refused, naming the character
};

/// @return exact, normalise, refuse
std::string_view name_of(TextRule rule);
std::optional<TextRule> text_rule_of(std::string_view name);

/// In what a text differs from what a person sees.
struct TextFlaw
{
  enum class Kind
  {
    space,     ///< at an end, doubled, or another than U+0020 (line ends inside a text are LF)
    invisible, ///< zero width, byte order mark, soft hyphen, bidirectional, a control character
    form,      ///< not Unicode's normal form C: an accent as a character of its own
    width,     ///< a full-width or half-width form
    lookalike, ///< letters of two scripts in one word, mathematical letters, dashes within a code
    lost,      ///< U+FFFD, or the traces of UTF-8 that was read as Latin-1
  };
  Kind kind = Kind::space;
  std::uint32_t character = 0;
  std::size_t position = 0; ///< characters before it
};

/// The first flaw of each kind, in order of position. `lookalike` and `lost` cannot be put right, only seen.
/// @param text UTF-8
std::vector<TextFlaw> find_text_flaws(std::string_view text);

/// Neither flaw nor anything that needs a closer look: printable ASCII with single spaces inside.
bool is_plain(std::string_view text);

/// The text as a person sees it: no space at its ends and single spaces inside, nothing invisible, normal form C, usual
/// width, lines ended by LF. Joiners between letters that are not ASCII are kept, since they change what is seen.
/// Applying it again changes nothing.
/// @param text UTF-8
std::string normalised(std::string_view text);

/// The normalised text without regard to case; two texts with one folded form are easily mistaken for each other.
std::string folded(std::string_view text);

/// The text as the rule has it stored and looked up.
std::string_view as_agreed(TextRule rule, std::string_view text, std::string& memory);

/// @return why the rule refuses the text; nothing if it does not
std::optional<std::string> refuse_text(TextRule rule, std::string_view text);

/// Such as `a no-break space (U+00A0)`.
std::string describe_character(std::uint32_t character);
/// Such as `a no-break space (U+00A0), character 21`. Holds nothing of the text but that character.
std::string describe(const TextFlaw& flaw);
}
