#include "reconciliation/votes.h"

#include <algorithm>

namespace concordat::reconciliation
{
namespace
{
template <typename T> std::string to_big_endian(T value)
{
  std::string bytes(sizeof(T), '\0');
  for (std::size_t i = 0; i < sizeof(T); ++i)
    bytes[i] = static_cast<char>(value >> (8 * (sizeof(T) - 1 - i)));
  return bytes;
}

template <typename T> T from_big_endian(std::string_view bytes)
{
  T value = 0;
  for (const char c : bytes)
    value = static_cast<T>(value << 8 | static_cast<unsigned char>(c));
  return value;
}
}

std::optional<OrganisationNumber> find_organisation(ReadTransaction& state, std::string_view id)
{
  const auto stored = state.get(organisations_map, id);
  if (!stored)
    return std::nullopt;
  return from_big_endian<OrganisationNumber>(*stored);
}

OrganisationNumber count_organisations(ReadTransaction& state)
{
  OrganisationNumber count = 0;
  const auto cursor = state.scan(organisations_map);
  while (cursor->next())
    ++count;
  return count;
}

OrganisationNumber enrol_organisation(Transaction& transaction, std::string_view id)
{
  if (const auto known = find_organisation(transaction, id))
    return *known;
  const OrganisationNumber number = count_organisations(transaction) + 1;
  transaction.put(organisations_map, id, to_big_endian(number));
  return number;
}

std::string key_prefix(OrganisationNumber organisation)
{
  return to_big_endian(organisation);
}

std::uint64_t last_part(ReadTransaction& state, OrganisationNumber organisation, std::string_view submission)
{
  const auto stored = state.get(submissions_map, key_prefix(organisation).append(submission));
  return stored ? from_big_endian<std::uint64_t>(*stored) : 0;
}

void set_last_part(
    Transaction& transaction, OrganisationNumber organisation, std::string_view submission, std::uint64_t part)
{
  transaction.put(submissions_map, key_prefix(organisation).append(submission), to_big_endian(part));
}
}
