#include "http/target.h"

#include "base/encoding.h"

#include <cstddef>

namespace concordat::http
{
namespace
{
std::string_view without_authority(std::string_view target)
{
  for (const std::string_view scheme : {"https://", "http://"})
  {
    if (!target.starts_with(scheme))
      continue;
    const auto path = target.find_first_of("/?", scheme.size());
    return path == std::string_view::npos ? std::string_view{} : target.substr(path);
  }
  return target;
}
}

std::string decode_query(std::string_view text)
{
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i)
  {
    if (text[i] == '%' && i + 2 < text.size() && base::hex_value(text[i + 1]) >= 0 && base::hex_value(text[i + 2]) >= 0)
    {
      out += static_cast<char>(base::hex_value(text[i + 1]) * 16 + base::hex_value(text[i + 2]));
      i += 2;
    }
    else
      out += text[i] == '+' ? ' ' : text[i];
  }
  return out;
}

Target split_target(std::string_view target)
{
  target = without_authority(target);
  Target parts;
  const auto mark = target.find('?');
  parts.path = target.substr(0, mark);
  if (parts.path.empty())
    parts.path = "/";
  if (mark != std::string_view::npos)
  {
    const auto query = target.substr(mark + 1);
    parts.query = decode_query(query.substr(0, query.find('#')));
  }
  return parts;
}
}
