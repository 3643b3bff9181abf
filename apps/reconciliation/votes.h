#pragma once

#include "concordat/transaction.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::reconciliation
{
/// Where votes lie in the store. All maps are private.
///
/// | map | key | value |
/// |---|---|---|
/// | recon.organisations | version ‖ organisation id, text | number, 4 bytes big-endian, from 1 without gaps |
/// | recon.votes | version ‖ data set ‖ round ‖ organisation ‖ record key | the organisation's value |
/// | recon.submissions | version ‖ data set ‖ round ‖ organisation ‖ submission id | last part applied, 8 bytes
/// big-endian |
///
/// Numbers in keys are as short as they can be and ordered by value (`append_ordered`), so that what stands in front
/// of a record key usually takes four bytes; docs/formats/reconciliation.md has them byte by byte. A vote is one write
/// and no read of votes, so organisations never conflict with each other; the votes of one organisation in one round
/// are a range ordered by record key, so a report is a merge of ranges.
inline constexpr std::string_view organisations_map = "recon.organisations";
inline constexpr std::string_view votes_map = "recon.votes";
inline constexpr std::string_view submissions_map = "recon.submissions";

/// The version of this layout, in front of every key.
inline constexpr std::uint64_t layout_version = 1;

using OrganisationNumber = std::uint32_t;

/// Where votes are counted: nothing of one round is ever seen in another.
struct Round
{
  std::uint32_t data_set = 1;
  std::uint32_t number = 1;

  bool operator==(const Round&) const = default;
};

/// Appends a number so that bytes are ordered as numbers are, and none is the beginning of another: one byte below
/// 0xf0, else 0xf0 + n - 1 and n bytes, big-endian, as few as hold it.
void append_ordered(std::string& out, std::uint64_t number);

/// The number of an organisation that has submitted before.
std::optional<OrganisationNumber> find_organisation(ReadTransaction& state, std::string_view id);

/// The number of an organisation, given to it now if it has none. Giving reads the whole map, so that two new ones
/// cannot get the same number.
OrganisationNumber enrol_organisation(Transaction& transaction, std::string_view id);

/// How many organisations have a number: the greatest one.
OrganisationNumber count_organisations(ReadTransaction& state);

/// What keys of an organisation begin with, in recon.votes and recon.submissions.
std::string key_prefix(Round round, OrganisationNumber organisation);

/// Last part of the submission that was applied; 0 if none was.
std::uint64_t
last_part(ReadTransaction& state, Round round, OrganisationNumber organisation, std::string_view submission);
void set_last_part(
    Transaction& transaction, Round round, OrganisationNumber organisation, std::string_view submission,
    std::uint64_t part);
}
