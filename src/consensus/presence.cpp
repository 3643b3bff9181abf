#include "consensus/presence.h"

#include "base/check.h"
#include "base/encoding.h"

namespace concordat::consensus
{
namespace
{
constexpr std::uint8_t version = 1;
constexpr std::uint8_t bit_returning = 1;
constexpr std::uint8_t bit_joint = 2;

std::unexpected<Error> wrong(const std::string& why)
{
  return fail(ErrorCode::invalid, "not what a node says of itself: " + why);
}
}

std::string Presence::encode() const
{
  CHECK(
      voters.size() <= max_ids && coming.size() <= max_ids && former.size() <= max_ids && outgoing.size() <= max_ids,
      "there are fewer nodes");
  std::string out;
  base::append_le(out, version);
  for (const auto number :
       {start, answers, id, receiver, admitted, term, last.term, last.index, applied.term, applied.index})
    base::append_le(out, number);
  base::append_le(out, static_cast<std::uint8_t>((returning ? bit_returning : 0) | (outgoing.empty() ? 0 : bit_joint)));
  for (const auto* const ids : {&voters, &coming, &former, &outgoing})
  {
    if (ids == &outgoing && outgoing.empty())
      continue;
    base::append_le(out, static_cast<std::uint16_t>(ids->size()));
    for (const auto one : *ids)
      base::append_le(out, one);
  }
  return out;
}

Result<Presence> Presence::decode(std::string_view bytes)
{
  base::Reader reader(bytes);
  if (reader.le<std::uint8_t>() != version)
    return wrong("its version is not known");
  Presence out;
  for (auto* const number :
       {&out.start, &out.answers, &out.id, &out.receiver, &out.admitted, &out.term, &out.last.term, &out.last.index,
        &out.applied.term, &out.applied.index})
  {
    const auto value = reader.le<std::uint64_t>();
    if (!value)
      return wrong("it ends too early");
    // The engine counts to 2^63.
    if (number != &out.start && number != &out.answers && *value >= std::uint64_t{1} << 63)
      return wrong("a number of it is too large");
    *number = *value;
  }
  const auto bits = reader.le<std::uint8_t>();
  if (!bits || *bits > (bit_returning | bit_joint))
    return wrong("its bits are none");
  out.returning = (*bits & bit_returning) != 0;
  const bool joint = (*bits & bit_joint) != 0;
  for (auto* const ids : {&out.voters, &out.coming, &out.former, &out.outgoing})
  {
    if (ids == &out.outgoing && !joint)
      continue;
    const auto count = reader.le<std::uint16_t>();
    if (!count || *count > max_ids || reader.left() < *count * sizeof(EngineId))
      return wrong("it ends too early, or names too many nodes");
    for (std::uint16_t i = 0; i < *count; ++i)
      ids->push_back(*reader.le<EngineId>());
  }
  if (!reader.done())
    return wrong("more follows");
  if (joint && out.outgoing.empty())
    return wrong("a joint configuration has outgoing voters");
  if (out.start == 0 || out.id == 0 || out.last.term > out.term)
    return wrong("it says who sends it, and a log ends in a term that its node knows");
  if (out.applied.term > out.last.term || out.applied.index > out.last.index)
    return wrong("what is committed is in the log");
  return out;
}
}
