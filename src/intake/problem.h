#pragma once

#include <expected>
#include <string>

namespace concordat::intake
{
/// Why an input cannot be submitted: the cause with its place, and what to do next (may be empty).
struct Problem
{
  std::string cause;
  std::string next = {};
  bool usage = false; ///< the options are wrong, not the input
};

template <typename T> using Attempt = std::expected<T, Problem>;

inline std::unexpected<Problem> refuse(std::string cause, std::string next = {})
{
  return std::unexpected(Problem{std::move(cause), std::move(next)});
}
}
