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

std::string organisation_key(std::string_view id)
{
  std::string key;
  append_ordered(key, layout_version);
  return key.append(id);
}
}

std::optional<OrganisationNumber> find_organisation(ReadTransaction& state, std::string_view id)
{
  const auto stored = state.get(organisations_map, organisation_key(id));
  if (!stored)
    return std::nullopt;
  return from_big_endian<OrganisationNumber>(*stored);
}

OrganisationNumber count_organisations(ReadTransaction& state)
{
  OrganisationNumber count = 0;
  const auto cursor = state.scan_prefix(organisations_map, organisation_key({}));
  while (cursor->next())
    ++count;
  return count;
}

OrganisationNumber enrol_organisation(Transaction& transaction, std::string_view id)
{
  if (const auto known = find_organisation(transaction, id))
    return *known;
  const OrganisationNumber number = count_organisations(transaction) + 1;
  transaction.put(organisations_map, organisation_key(id), to_big_endian(number));
  return number;
}

void append_ordered(std::string& out, std::uint64_t number)
{
  constexpr unsigned first_long = 0xf0;
  if (number < first_long)
  {
    out += static_cast<char>(number);
    return;
  }
  unsigned bytes = 1;
  while (bytes < sizeof(number) && number >> (8 * bytes) != 0)
    ++bytes;
  out += static_cast<char>(first_long + bytes - 1);
  while (bytes-- > 0)
    out += static_cast<char>(number >> (8 * bytes));
}

std::string key_prefix(Round round, OrganisationNumber organisation)
{
  std::string prefix;
  for (const std::uint64_t number :
       {layout_version, std::uint64_t{round.data_set}, std::uint64_t{round.number}, std::uint64_t{organisation}})
    append_ordered(prefix, number);
  return prefix;
}

std::uint64_t
last_part(ReadTransaction& state, Round round, OrganisationNumber organisation, std::string_view submission)
{
  const auto stored = state.get(submissions_map, key_prefix(round, organisation).append(submission));
  return stored ? from_big_endian<std::uint64_t>(*stored) : 0;
}

void set_last_part(
    Transaction& transaction, Round round, OrganisationNumber organisation, std::string_view submission,
    std::uint64_t part)
{
  transaction.put(submissions_map, key_prefix(round, organisation).append(submission), to_big_endian(part));
}
}
