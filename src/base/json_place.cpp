#include "concordat/json_place.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace concordat
{
namespace
{
constexpr std::size_t max_depth = 1024;

bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

bool is_hex(char c)
{
  return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

class Walk
{
public:
  /// @param whole  stops at mistakes alone; otherwise also at what is JSON, but too much of it
  Walk(std::string_view text, bool whole) : text_(text), whole_(whole)
  {
    if (text_.starts_with("\xef\xbb\xbf"))
      at_ = 3;
  }

  std::optional<JsonMistake> run()
  {
    skip_space();
    if (done())
      return mistake(at_, "the text is empty");
    while (reason_.empty() && value())
    {
    }
    if (too_deep_ && whole_)
      return std::nullopt;
    if (reason_.empty())
    {
      skip_space();
      if (done())
        return std::nullopt;
      fail(
          at_, open_.empty() && peek() == ',' ? "a comma after the end of the value"
                                              : "more text after the end of the value");
    }
    return mistake(wrong_at_, reason_);
  }

private:
  bool done() const
  {
    return at_ == text_.size();
  }
  char peek() const
  {
    return done() ? '\0' : text_[at_];
  }
  void skip_space()
  {
    while (!done() && (peek() == ' ' || peek() == '\t' || peek() == '\r' || peek() == '\n'))
      ++at_;
  }
  bool fail(std::size_t at, std::string reason)
  {
    wrong_at_ = at;
    reason_ = std::move(reason);
    return false;
  }

  /// Reads one value, or the beginning of one that holds others, and what follows it.
  /// @return false when the outermost value is complete, or at a mistake
  bool value()
  {
    skip_space();
    const char c = peek();
    if (c == '{' || c == '[')
      return begin(c);
    if (c == '"' ? !string() : is_digit(c) || c == '-' ? !number() : !word())
      return false;
    return after_value();
  }

  bool begin(char bracket)
  {
    if (open_.size() == max_depth)
    {
      too_deep_ = true;
      return fail(at_, "more than 1,024 levels of arrays and objects");
    }
    open_.push_back(bracket);
    ++at_;
    skip_space();
    if (peek() == (bracket == '{' ? '}' : ']'))
    {
      close();
      return after_value();
    }
    return bracket == '[' || name();
  }

  void close()
  {
    open_.pop_back();
    ++at_;
  }

  bool name()
  {
    skip_space();
    if (done())
      return fail(at_, "the text ends within an object");
    if (peek() == ',')
      return fail(at_, "a comma where a name is expected");
    if (peek() != '"')
      return fail(at_, "a name in double quotes is expected here");
    if (!string())
      return false;
    skip_space();
    if (peek() != ':')
      return fail(at_, done() ? "the text ends after a name" : "a colon is expected here");
    ++at_;
    return true;
  }

  bool after_value()
  {
    while (!open_.empty())
    {
      skip_space();
      const bool object = open_.back() == '{';
      const char end = object ? '}' : ']';
      if (done())
        return fail(at_, object ? "the text ends within an object" : "the text ends within an array");
      if (peek() == end)
      {
        close();
        continue;
      }
      if (peek() != ',')
        return fail(at_, std::string("a comma or ") + end + " is expected here");
      const auto comma = at_++;
      skip_space();
      if (peek() == end)
        return fail(comma, std::string("a comma with nothing between it and ") + end);
      return !object || name();
    }
    return false;
  }

  bool string()
  {
    const auto begin = at_++;
    while (!done())
    {
      const char c = text_[at_];
      if (c == '"')
      {
        ++at_;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20)
        return fail(
            at_, c == '\n' || c == '\r' ? "a text in quotes that does not end in its line"
                                        : "a control character in a text, that is not escaped");
      if (static_cast<unsigned char>(c) >= 0x80)
      {
        if (!utf8())
          return false;
      }
      else if (c == '\\')
      {
        if (!escape())
          return false;
      }
      else
        ++at_;
    }
    return fail(begin, "a text in quotes that is never closed");
  }

  bool escape()
  {
    const auto begin = at_++;
    const char c = peek();
    ++at_;
    if (c != 'u')
      return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos && at_ <= text_.size()
               ? true
               : fail(begin, "an escape that JSON does not have");
    unsigned unit = 0;
    if (!hex4(unit))
      return fail(begin, "an escape \\u that has no four hex digits");
    if (unit >= 0xdc00 && unit <= 0xdfff)
      return fail(begin, "the second half of a surrogate pair without the first");
    if (unit < 0xd800 || unit > 0xdbff)
      return true;
    unsigned second = 0;
    if (!text_.substr(at_).starts_with("\\u"))
      return fail(begin, "the first half of a surrogate pair without the second");
    at_ += 2;
    if (!hex4(second) || second < 0xdc00 || second > 0xdfff)
      return fail(begin, "the first half of a surrogate pair without the second");
    return true;
  }

  bool hex4(unsigned& unit)
  {
    for (int i = 0; i < 4; ++i, ++at_)
    {
      if (!is_hex(peek()))
        return false;
      const char c = peek();
      unit = unit * 16 + static_cast<unsigned>(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return true;
  }

  bool utf8()
  {
    const auto byte = [&](std::size_t i)
    { return at_ + i < text_.size() ? static_cast<unsigned char>(text_[at_ + i]) : 0U; };
    const unsigned first = byte(0);
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    bool good = first >= 0xc2 && first <= 0xf4;
    for (std::size_t i = 1; i < size; ++i)
      good = good && (byte(i) & 0xc0) == 0x80;
    const unsigned second = byte(1);
    // Overlong forms, surrogates and what lies above U+10FFFF (RFC 3629 §4).
    good = good && !(first == 0xe0 && second < 0xa0) && !(first == 0xed && second > 0x9f) &&
           !(first == 0xf0 && second < 0x90) && !(first == 0xf4 && second > 0x8f);
    if (!good)
      return fail(at_, "a byte that is not UTF-8");
    at_ += size;
    return true;
  }

  bool number()
  {
    const auto begin = at_;
    if (peek() == '-')
      ++at_;
    const auto digits = [&]
    {
      const auto from = at_;
      while (is_digit(peek()))
        ++at_;
      return at_ > from;
    };
    const bool zero = peek() == '0';
    if (!digits() || (zero && at_ - begin > (text_[begin] == '-' ? 2U : 1U)))
      return fail(begin, "a number that begins with 0, or has no digits");
    if (peek() == '.')
    {
      ++at_;
      if (!digits())
        return fail(begin, "a number without digits after its point");
    }
    if (peek() == 'e' || peek() == 'E')
    {
      ++at_;
      if (peek() == '+' || peek() == '-')
        ++at_;
      if (!digits())
        return fail(begin, "a number without digits in its exponent");
    }
    return whole_ || fits(text_.substr(begin, at_ - begin)) || fail(begin, "a number that does not fit into 64 bits");
  }

  static bool fits(std::string_view number)
  {
    const auto* const end = number.data() + number.size();
    const auto in_range = [&](auto value) { return std::from_chars(number.data(), end, value).ec == std::errc(); };
    if (number.find_first_of(".eE") != std::string_view::npos)
      return in_range(double{});
    return number.front() == '-' ? in_range(std::int64_t{}) : in_range(std::uint64_t{});
  }

  bool word()
  {
    for (const std::string_view known : {"true", "false", "null"})
      if (text_.substr(at_).starts_with(known))
      {
        at_ += known.size();
        return true;
      }
    if (done())
      return fail(at_, "the text ends where a value is expected");
    switch (peek())
    {
    case '\'':
      return fail(at_, "a single quote; JSON has double quotes");
    case ',':
      return fail(at_, "a comma where a value is expected");
    case '/':
    case '#':
      return fail(at_, "a comment; JSON has none");
    default:
      return fail(at_, "this is not a JSON value (a text needs double quotes)");
    }
  }

  JsonMistake mistake(std::size_t at, std::string reason) const
  {
    const auto before = text_.substr(0, at);
    const auto line_end = before.rfind('\n');
    const std::size_t line_begin = line_end == std::string_view::npos ? 0 : line_end + 1;
    return {
        .line = 1 + static_cast<std::uint64_t>(std::count(before.begin(), before.end(), '\n')),
        .column = at - line_begin + 1,
        .reason = std::move(reason)};
  }

  std::string_view text_;
  bool whole_;
  std::size_t at_ = 0;
  std::string open_; ///< brackets that are not closed yet
  std::string reason_;
  std::size_t wrong_at_ = 0;
  bool too_deep_ = false;
};
}

std::string JsonMistake::describe() const
{
  return "line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + reason;
}

std::optional<JsonMistake> find_json_mistake(std::string_view text)
{
  return Walk(text, true).run();
}

std::optional<JsonMistake> find_json_obstacle(std::string_view text)
{
  auto mistake = find_json_mistake(text);
  return mistake ? mistake : Walk(text, false).run();
}
}
