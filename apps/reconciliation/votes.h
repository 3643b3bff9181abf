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
/// | recon.organisations | organisation id, text | number, 4 bytes big-endian, from 1 without gaps |
/// | recon.votes | number ‖ record key | the organisation's value |
/// | recon.submissions | number ‖ submission id | last part applied, 8 bytes big-endian |
///
/// A vote is one write and no read, so organisations never conflict with each other; the votes of one organisation are
/// a range ordered by record key, so a report is a merge of ranges.
inline constexpr std::string_view organisations_map = "recon.organisations";
inline constexpr std::string_view votes_map = "recon.votes";
inline constexpr std::string_view submissions_map = "recon.submissions";

using OrganisationNumber = std::uint32_t;

/// The number of an organisation that has submitted before.
std::optional<OrganisationNumber> find_organisation(ReadTransaction& state, std::string_view id);

/// The number of an organisation, given to it now if it has none. Giving reads the whole map, so that two new ones
/// cannot get the same number.
OrganisationNumber enrol_organisation(Transaction& transaction, std::string_view id);

/// How many organisations have a number: the greatest one.
OrganisationNumber count_organisations(ReadTransaction& state);

/// What keys of an organisation begin with, in recon.votes and recon.submissions.
std::string key_prefix(OrganisationNumber organisation);

/// Last part of the submission that was applied; 0 if none was.
std::uint64_t last_part(ReadTransaction& state, OrganisationNumber organisation, std::string_view submission);
void set_last_part(
    Transaction& transaction, OrganisationNumber organisation, std::string_view submission, std::uint64_t part);
}
