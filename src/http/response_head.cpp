#include "http/response_head.h"

#include "base/lower_case.h"

#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace concordat::http
{
namespace
{
void append_number(std::string& out, std::uint64_t number)
{
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

/// Which bytes a header's name may have: each answer asks for some hundred.
constexpr auto token_bytes = []
{
  std::array<bool, 256> allowed{};
  for (unsigned c = 0; c < allowed.size(); ++c)
    allowed[c] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
    allowed[static_cast<unsigned char>(c)] = true;
  return allowed;
}();

bool is_token(std::string_view text)
{
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return token_bytes[static_cast<unsigned char>(c)]; });
}

bool is_framing(std::string_view name)
{
  return name == "content-length" || name == "transfer-encoding" || name == "connection" || name == "keep-alive";
}

void append_header(std::string& out, std::string_view name, std::string_view value)
{
  out += name;
  out += ": ";
  const auto begin = out.size();
  out += value;
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  std::replace_if(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(), is_control, ' ');
  out += "\r\n";
}
}

void append_response_head(std::string& out, const Response& response, const HeadOptions& options)
{
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::uint64_t>(std::clamp(response.status, 100, 999)));
  out += ' ';
  const auto reason = boost::beast::http::obsolete_reason(
      boost::beast::http::int_to_status(static_cast<unsigned>(std::clamp(response.status, 100, 999))));
  out.append(reason.data(), reason.size());
  out += "\r\n";

  std::string lower;
  for (const auto& [name, value] : response.headers)
  {
    if (!is_token(name))
      continue;
    lower.assign(name);
    base::make_lower_case(lower);
    if (!is_framing(lower))
      append_header(out, lower, value);
  }

  if (options.framing == Framing::length)
  {
    out += "content-length: ";
    append_number(out, options.length);
    out += "\r\n";
  }
  else if (options.framing == Framing::chunked)
    out += "transfer-encoding: chunked\r\n";
  if (options.close)
    out += "connection: close\r\n";
  else if (options.http_1_0)
    out += "connection: keep-alive\r\n";
  out += "\r\n";
}
}
