#include "http/router.h"

#include <algorithm>

namespace concordat::http
{
namespace
{
using Parameters = std::vector<std::pair<std::string_view, std::string_view>>;

struct Parsed
{
  std::vector<std::string> literals;
  std::vector<std::string> names;
};

/// A '{' that no '}' follows is literal text.
Parsed parse_template(std::string_view text)
{
  Parsed parsed;
  std::string literal;
  while (!text.empty())
  {
    const auto close = text.front() == '{' ? text.find('}') : std::string_view::npos;
    if (close == std::string_view::npos)
    {
      literal += text.front();
      text.remove_prefix(1);
      continue;
    }
    parsed.literals.push_back(std::move(literal));
    literal.clear();
    parsed.names.emplace_back(text.substr(1, close - 1));
    text.remove_prefix(close + 1);
  }
  parsed.literals.push_back(std::move(literal));
  return parsed;
}

bool match_template(
    const std::vector<std::string>& literals, const std::vector<std::string>& names, std::string_view path,
    Parameters& parameters)
{
  if (!path.starts_with(literals.front()))
    return false;
  path.remove_prefix(literals.front().size());
  parameters.clear();
  for (std::size_t i = 0; i < names.size(); ++i)
  {
    const std::string& next = literals[i + 1];
    const char ends[] = {'/', next.empty() ? '/' : next.front()};
    const auto length = std::min(path.find_first_of(std::string_view(ends, 2)), path.size());
    if (length == 0)
      return false;
    parameters.emplace_back(names[i], path.substr(0, length));
    path.remove_prefix(length);
    if (!path.starts_with(next))
      return false;
    path.remove_prefix(next.size());
  }
  return path.empty();
}

template <typename Methods> auto find_method(Methods& methods, std::string_view method)
{
  return std::find_if(methods.begin(), methods.end(), [&](const auto& entry) { return entry.first == method; });
}

template <typename Methods> void set_method(Methods& methods, const std::string& method, std::size_t index)
{
  const auto known = find_method(methods, method);
  if (known == methods.end())
    methods.emplace_back(method, index);
  else
    known->second = index;
}
}

void Router::add(const std::string& method, const std::string& path, std::size_t index)
{
  auto parsed = parse_template(path);
  if (parsed.names.empty())
    return set_method(exact_[path], method, index);
  auto known = std::find_if(templates_.begin(), templates_.end(), [&](const auto& t) { return t.text == path; });
  if (known == templates_.end())
    known = templates_.insert(known, Template{path, std::move(parsed.literals), std::move(parsed.names), {}});
  set_method(known->methods, method, index);
}

Router::Match Router::find(std::string_view method, std::string_view path) const
{
  Match match;
  const auto collect = [&](const Methods& methods)
  {
    for (const auto& [name, index] : methods)
    {
      if (std::find(match.methods.begin(), match.methods.end(), name) == match.methods.end())
        match.methods.push_back(name);
    }
  };

  if (const auto exact = exact_.find(path); exact != exact_.end())
  {
    if (const auto found = find_method(exact->second, method); found != exact->second.end())
    {
      match.kind = Match::Kind::found;
      match.index = found->second;
      return match;
    }
    collect(exact->second);
  }

  Parameters parameters;
  for (const auto& candidate : templates_)
  {
    if (!match_template(candidate.literals, candidate.names, path, parameters))
      continue;
    const auto found = find_method(candidate.methods, method);
    if (found == candidate.methods.end())
    {
      collect(candidate.methods);
      continue;
    }
    if (match.kind == Match::Kind::found)
    {
      match.kind = Match::Kind::ambiguous;
      match.parameters.clear();
      match.methods.clear();
      return match;
    }
    match.kind = Match::Kind::found;
    match.index = found->second;
    match.parameters = std::move(parameters);
  }
  if (match.kind == Match::Kind::found)
    match.methods.clear();
  else if (!match.methods.empty())
    match.kind = Match::Kind::other_verb;
  return match;
}
}
