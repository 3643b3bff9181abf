#pragma once

#include "concordat/http.h"
#include "concordat/transaction.h"
#include "reconciliation/settings.h"
#include "reconciliation/votes.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::reconciliation
{
enum class GroupStatus
{
  not_enough_data,
  in_consensus,
  lack_of_consensus,
};

/// What the votes on one record say, as seen by one voter.
struct Verdict
{
  GroupStatus status = GroupStatus::not_enough_data;
  bool majority = false;                  ///< more votes equal the voter's, their own counted, than differ
  std::uint64_t unique_values = 0;        ///< distinct values among all votes
  std::uint64_t members_in_agreement = 0; ///< votes equal to the voter's, their own counted
  std::uint64_t total_votes = 0;
};

/// @param own    the voter's value
/// @param others values of all other voters; put in order when that helps to count
/// @param threshold so many votes are needed for a verdict on consensus
Verdict judge(std::string_view own, std::vector<std::string_view>& others, std::uint64_t threshold);

/// Appends one record of a report: the fields of the schema, then the verdict as the agreed settings have it.
void append_report_record(std::string& out, const Settings& agreed, const Record& record, const Verdict& verdict);

/// The report on one record of the organisation, as a JSON object; nothing if it has not submitted that key. Others'
/// votes are looked at only when it has, so that neither answer nor time tells whether they hold the key.
std::optional<std::string>
report_record(ReadTransaction& state, const Settings& agreed, OrganisationNumber organisation, std::string_view key);

/// Which part of a report is asked for.
struct Page
{
  std::optional<std::string> after; ///< only keys greater than this
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
};

/// The report on all records of the organisation in key order, as a JSON array between `head` and `tail`, in pieces.
///
/// A merge of ordered ranges: for each of the organisation's records, the cursors of the others are moved up to the
/// same key. A cursor that lags far behind is placed anew, so the work follows the size of the caller's own range and
/// not of others'. Holds one piece and one cursor for each organisation, whatever the size of the report.
/// Used by one thread at a time; keeps the state alive.
class ReportSource : public BodySource
{
public:
  ReportSource(
      std::shared_ptr<ReadTransaction> state, Settings agreed, OrganisationNumber organisation, Page page,
      std::string_view head, std::string_view tail);

  bool next(std::string& piece) override;
  /// Nothing more will come.
  bool done() const
  {
    return stage_ == Stage::done;
  }

private:
  enum class Stage
  {
    begin,
    records,
    done,
  };

  /// The votes of another organisation, at or after the record that was reported last.
  struct Other
  {
    std::string prefix;
    std::unique_ptr<Cursor> cursor; ///< null before the first record, and once the range is read through
    bool ended = false;
    std::string_view key; ///< without the prefix
  };

  void place(Other& other, std::string_view key);
  void advance(Other& other, std::string_view key);
  void append_next_record(std::string& piece);

  std::shared_ptr<ReadTransaction> state_;
  Settings agreed_;
  std::size_t prefix_size_ = 0; ///< of the own keys
  std::uint64_t left_;
  std::string_view head_;
  std::string_view tail_;
  std::unique_ptr<Cursor> own_;
  std::vector<Other> others_;
  std::vector<std::string_view> values_;
  std::string seek_;
  bool first_ = true;
  Stage stage_ = Stage::begin;
};
}
