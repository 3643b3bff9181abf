#pragma once

#include "concordat/application.h"

#include <expected>
#include <string>

namespace concordat::reconciliation
{
/// The organisation that the caller votes for. A member votes for themselves; a user for the member that their user
/// data names as `organisation`, otherwise for themselves. So all users of a member share its one vote.
/// @return the answer 403 if the named organisation is not a member
std::expected<std::string, Response> find_voter(Context& context);
}
