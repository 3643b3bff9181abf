#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace concordat::intake
{
/// Something that is no text of records.
struct Recognised
{
  std::string what; ///< such as `an Excel workbook (xlsx)`
  std::string next; ///< what to do with it
};

/// What the beginning of an input says that it is, where that is not CSV or JSON.
std::optional<Recognised> recognise(std::string_view head);
}
