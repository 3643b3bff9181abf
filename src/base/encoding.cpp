#include "base/encoding.h"

namespace concordat::base
{
namespace
{
constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> reverse_table(std::string_view digits)
{
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < digits.size(); ++i)
    table[static_cast<unsigned char>(digits[i])] = static_cast<std::int8_t>(i);
  return table;
}

constexpr auto base64_values = reverse_table(base64_digits);
}

int hex_value(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

std::string to_hex(std::string_view bytes)
{
  std::string text(bytes.size() * 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i)
  {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    text[2 * i] = hex_digits[byte >> 4];
    text[2 * i + 1] = hex_digits[byte & 15];
  }
  return text;
}

Result<std::string> from_hex(std::string_view text)
{
  if (text.size() % 2 != 0)
    return fail(ErrorCode::invalid, "hexadecimal text has an odd number of digits");
  std::string bytes(text.size() / 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i)
  {
    const int high = hex_value(text[2 * i]);
    const int low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0)
      return fail(ErrorCode::invalid, "not a hexadecimal digit near position " + std::to_string(2 * i));
    bytes[i] = static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string to_base64(std::string_view bytes)
{
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3)
  {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j)
      text.push_back(j <= count ? base64_digits[group >> (18 - 6 * j) & 63] : '=');
  }
  return text;
}

Result<std::string> from_base64(std::string_view text)
{
  if (text.size() % 4 != 0)
    return fail(ErrorCode::invalid, "base64 text is not a multiple of four characters long");
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
    ++padding;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
  {
    const bool is_padding = i >= text.size() - padding;
    const int value = is_padding ? 0 : base64_values[static_cast<unsigned char>(text[i])];
    if (value < 0)
      return fail(ErrorCode::invalid, "not a base64 character at position " + std::to_string(i));
    group = group << 6 | static_cast<std::uint32_t>(value);
    if (i % 4 == 3)
    {
      bytes.push_back(static_cast<char>(group >> 16));
      bytes.push_back(static_cast<char>(group >> 8));
      bytes.push_back(static_cast<char>(group));
      group = 0;
    }
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

Result<Digest> to_digest(std::string_view bytes)
{
  Digest digest;
  if (bytes.size() != digest.size())
    return fail(ErrorCode::invalid, "a digest has 32 bytes, not " + std::to_string(bytes.size()));
  std::memcpy(digest.data(), bytes.data(), digest.size());
  return digest;
}
}
