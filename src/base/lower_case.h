#pragma once

#include <string>

namespace concordat::base
{
/// Makes the letters A to Z small; other bytes stay, whatever the locale.
inline void make_lower_case(std::string& text)
{
  for (char& c : text)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
}
