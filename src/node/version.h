#pragma once

#include <string_view>

namespace concordat::node
{
inline constexpr std::string_view version = CONCORDAT_VERSION;
}
