#pragma once

#include "concordat/http.h"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace concordat::http
{
/// Finds the endpoint of a path (http-api.md §1.5, §2.2): exact paths before templates; `{name}` matches one or more
/// characters other than '/', up to the first character of literal text that follows it. Read by any thread once built.
class Router
{
public:
  /// Adding the same method and path again replaces the index.
  /// @param index what `find` gives back for it
  void add(const std::string& method, const std::string& path, std::size_t index);

  struct Match
  {
    enum class Kind
    {
      found,
      unknown_path,
      other_verb, ///< the path is known, but not with this method
      ambiguous,  ///< two templates match that both have the method
    };
    Kind kind = Kind::unknown_path;
    std::size_t index = 0;
    std::vector<std::pair<std::string_view, std::string_view>>
        parameters;                        ///< name, undecoded text; into path and router
    std::vector<std::string_view> methods; ///< for other_verb: those of the path
  };
  Match find(std::string_view method, std::string_view path) const;

private:
  using Methods = std::vector<std::pair<std::string, std::size_t>>;
  struct Template
  {
    std::string text;
    std::vector<std::string> literals; ///< before, between and after the parameters
    std::vector<std::string> names;
    Methods methods;
  };
  struct Hash
  {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const
    {
      return std::hash<std::string_view>{}(text);
    }
  };
  std::unordered_map<std::string, Methods, Hash, std::equal_to<>> exact_;
  std::vector<Template> templates_;
};
}
