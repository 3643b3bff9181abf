#include "reconciliation/voter.h"

#include "reconciliation/envelope.h"

namespace concordat::reconciliation
{
std::expected<std::string, Response> find_voter(Context& context)
{
  const auto& caller = context.caller();
  if (caller.policy == AuthPolicy::member_cert || !caller.data.is_object())
    return caller.id;
  const auto* const organisation = caller.data.get_object().if_contains("organisation");
  if (organisation == nullptr)
    return caller.id;
  const auto* const id = organisation->if_string();
  if (id == nullptr || !context.is_member({id->data(), id->size()}))
    return std::unexpected(failure(
        403, "AuthorizationFailed",
        "your user data names an organisation that is not a member of this service; ask a member to propose set_user "
        "with the id of the member that you vote for"));
  return std::string(id->data(), id->size());
}
}
