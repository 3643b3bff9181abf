#include "intake/encoding.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <optional>

namespace concordat::intake
{
namespace
{
constexpr std::size_t piece_size = 1 << 20;

/// What the bytes 0x80 to 0x9f mean in Windows-1252; those without meaning give U+FFFD.
constexpr std::array<char16_t, 32> windows_characters{0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                                      0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd,
                                                      0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                                      0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178};

std::uint32_t windows_character(unsigned char byte)
{
  return byte >= 0x80 && byte < 0xa0 ? windows_characters[byte - 0x80] : byte;
}

void append(std::string& out, std::uint32_t c)
{
  const auto tail = [&](unsigned shift) { out += static_cast<char>(0x80 | ((c >> shift) & 0x3f)); };
  if (c < 0x80)
    out += static_cast<char>(c);
  else if (c < 0x800)
  {
    out += static_cast<char>(0xc0 | (c >> 6));
    tail(0);
  }
  else if (c < 0x10000)
  {
    out += static_cast<char>(0xe0 | (c >> 12));
    tail(6);
    tail(0);
  }
  else
  {
    out += static_cast<char>(0xf0 | (c >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

/// Passes text on in pieces.
class Writer
{
public:
  Attempt<void> put(std::uint32_t c)
  {
    append(piece_, c);
    return piece_.size() < piece_size ? Attempt<void>{} : flush();
  }
  Attempt<InputBytes> finish()
  {
    if (auto flushed = flush(); !flushed)
      return std::unexpected(flushed.error());
    return spool_.finish();
  }

private:
  Attempt<void> flush()
  {
    auto taken = spool_.append(piece_);
    piece_.clear();
    return taken;
  }

  Spool spool_;
  std::string piece_;
};

Attempt<InputBytes> from_utf16(std::string_view bytes, bool little)
{
  const auto unit = [&](std::size_t at) -> std::uint32_t
  {
    const auto first = static_cast<unsigned char>(bytes[at]);
    const auto second = static_cast<unsigned char>(bytes[at + 1]);
    return little ? first | second << 8 : second | first << 8;
  };
  Writer out;
  std::uint64_t line = 1;
  const auto wrong = [&](std::size_t at, const char* why)
  {
    return refuse(
        "line " + std::to_string(line) + ", byte " + std::to_string(at + 1) + " of the input: " + why,
        "save it as UTF-8; nothing was sent");
  };
  std::size_t at = bytes.size() >= 2 && unit(0) == 0xfeff ? 2 : 0;
  for (; at + 1 < bytes.size(); at += 2)
  {
    auto c = unit(at);
    if (c >= 0xdc00 && c <= 0xdfff)
      return wrong(at, "half a surrogate pair of UTF-16");
    if (c >= 0xd800 && c <= 0xdbff)
    {
      const auto second = at + 3 < bytes.size() ? unit(at + 2) : 0;
      if (second < 0xdc00 || second > 0xdfff)
        return wrong(at, "half a surrogate pair of UTF-16");
      c = 0x10000 + ((c - 0xd800) << 10) + (second - 0xdc00);
      at += 2;
    }
    if (c == '\n')
      ++line;
    if (auto taken = out.put(c); !taken)
      return std::unexpected(taken.error());
  }
  if (at < bytes.size())
    return wrong(at, "UTF-16 that ends within a character");
  return out.finish();
}

Attempt<InputBytes> from_single_bytes(std::string_view bytes)
{
  Writer out;
  for (const char c : bytes)
    if (auto taken = out.put(windows_character(static_cast<unsigned char>(c))); !taken)
      return std::unexpected(taken.error());
  return out.finish();
}

/// Where text stops being UTF-8; its size if it does not.
std::size_t valid_prefix(std::string_view text)
{
  std::size_t at = 0;
  while (at < text.size())
  {
    const auto first = static_cast<unsigned char>(text[at]);
    const std::size_t size = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (at + size > text.size() || (size > 1 && !simdjson::validate_utf8(text.data() + at, size)))
      return at;
    at += size;
  }
  return at;
}

std::unexpected<Problem> not_utf8(std::string_view text)
{
  const auto at = valid_prefix(text);
  const auto before = text.substr(0, at);
  const auto line_end = before.rfind('\n');
  std::string cause = "line " + std::to_string(1 + std::count(before.begin(), before.end(), '\n')) + ", byte " +
                      std::to_string(at - (line_end == std::string_view::npos ? 0 : line_end + 1) + 1) +
                      " of the input: this is not UTF-8";
  const auto looks_like = windows_character(static_cast<unsigned char>(text[at]));
  if (looks_like != 0xfffd && looks_like >= 0x80)
  {
    cause += "; in Windows-1252 (Latin-1) it would be ";
    append(cause, looks_like);
  }
  return refuse(
      std::move(cause), "save the file as UTF-8, or say what it is: --encoding windows-1252 (other encodings: iconv)");
}

InputBytes cut(const InputBytes& input)
{
  auto text = input.view();
  if (text.starts_with("\xef\xbb\xbf"))
    text.remove_prefix(3);
  const auto last = text.find_last_not_of(" \t\r\n\x1a");
  if (text.find('\x1a', last == std::string_view::npos ? 0 : last + 1) != std::string_view::npos)
    text = text.substr(0, text.find('\x1a', last == std::string_view::npos ? 0 : last + 1));
  return {std::make_shared<InputBytes>(input), text};
}

std::optional<Encoding> encoding_named(std::string_view name)
{
  if (name == "utf-8")
    return Encoding::utf8;
  if (name == "utf-16le")
    return Encoding::utf16_le;
  if (name == "utf-16be")
    return Encoding::utf16_be;
  if (name == "windows-1252" || name == "iso-8859-1")
    return Encoding::windows_1252;
  return std::nullopt;
}
}

Encoding encoding_of(std::string_view bytes)
{
  if (bytes.starts_with("\xff\xfe"))
    return Encoding::utf16_le;
  if (bytes.starts_with("\xfe\xff"))
    return Encoding::utf16_be;
  bytes = bytes.substr(0, 4096);
  std::size_t even = 0;
  std::size_t odd = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] == '\0')
      ++(i % 2 == 0 ? even : odd);
  const std::size_t many = bytes.size() / 2 * 7 / 10;
  if (bytes.size() >= 4 && odd > many && even == 0)
    return Encoding::utf16_le;
  if (bytes.size() >= 4 && even > many && odd == 0)
    return Encoding::utf16_be;
  return Encoding::utf8;
}

Attempt<InputBytes> to_utf8(InputBytes input, std::string_view name)
{
  const auto encoding = name.empty() ? encoding_of(input.view()) : encoding_named(name);
  if (!encoding)
    return std::unexpected(Problem{
        "the encoding is not known: " + std::string(name),
        "it can be utf-8, utf-16le, utf-16be, windows-1252 or iso-8859-1; others: iconv -f ENCODING -t UTF-8", true});
  Attempt<InputBytes> text = input;
  switch (*encoding)
  {
  case Encoding::utf8:
    if (!simdjson::validate_utf8(input.view().data(), input.view().size()))
      return not_utf8(input.view());
    break;
  case Encoding::utf16_le:
  case Encoding::utf16_be:
    text = from_utf16(input.view(), *encoding == Encoding::utf16_le);
    break;
  case Encoding::windows_1252:
    text = from_single_bytes(input.view());
    break;
  }
  if (!text)
    return text;
  return cut(*text);
}
}
