#include "reconciliation/envelope.h"

#include <array>

namespace concordat::reconciliation
{
namespace
{
constexpr auto needs_escape = []
{
  std::array<bool, 256> table{};
  for (std::size_t c = 0; c < 0x20; ++c)
    table[c] = true;
  table['"'] = table['\\'] = true;
  return table;
}();

void append_escaped(std::string& out, char c)
{
  constexpr std::string_view digits = "0123456789abcdef";
  switch (c)
  {
  case '"':
    out += "\\\"";
    return;
  case '\\':
    out += "\\\\";
    return;
  case '\n':
    out += "\\n";
    return;
  case '\r':
    out += "\\r";
    return;
  case '\t':
    out += "\\t";
    return;
  default:
    out += "\\u00";
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
}

void append_row(std::string& out, const BadRow& bad)
{
  out += R"({"row":)";
  out += bad.row == 0 ? "null" : std::to_string(bad.row);
  if (bad.line != 0)
    out += R"(,"line":)" + std::to_string(bad.line);
  out += R"(,"column":)";
  if (bad.column.empty())
    out += "null";
  else
    append_json(out, bad.column);
  out += R"(,"reason":)";
  append_json(out, bad.reason);
  out += '}';
}
}

void append_json(std::string& out, std::string_view text)
{
  out += '"';
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
  {
    if (!needs_escape[static_cast<unsigned char>(text[i])])
      continue;
    out.append(text, begin, i - begin);
    append_escaped(out, text[i]);
    begin = i + 1;
  }
  out.append(text, begin);
  out += '"';
}

Response success(std::string_view content)
{
  std::string text;
  text.reserve(success_head.size() + content.size() + success_tail.size());
  text.append(success_head).append(content).append(success_tail);
  return Response::json(std::move(text));
}

Response failure(int status, std::string_view type, std::string_view message, const std::vector<BadRow>& details)
{
  std::string text = R"({"content":null,"error":{"errorMessage":)";
  append_json(text, message);
  text += R"(,"errorType":)";
  append_json(text, type);
  text += R"(,"details":[)";
  for (const auto& bad : details)
  {
    if (text.back() != '[')
      text += ',';
    append_row(text, bad);
  }
  text += R"(]},"success":false,"failure":true,"statusCode":)" + std::to_string(status) + R"(,"status":"Error"})";
  return Response::json(std::move(text), status);
}
}
