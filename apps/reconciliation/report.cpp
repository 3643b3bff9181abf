#include "reconciliation/report.h"

#include "reconciliation/envelope.h"

#include <algorithm>
#include <charconv>

namespace concordat::reconciliation
{
namespace
{
constexpr std::size_t piece_size = std::size_t{128} << 10;
/// Moving a cursor by one costs a fraction of placing it anew.
constexpr int steps_before_placing = 16;

std::string_view status_name(GroupStatus status)
{
  switch (status)
  {
  case GroupStatus::not_enough_data:
    return "NOT_ENOUGH_DATA";
  case GroupStatus::in_consensus:
    return "IN_CONSENSUS";
  case GroupStatus::lack_of_consensus:
    break;
  }
  return "LACK_OF_CONSENSUS";
}

void append_number(std::string& out, std::uint64_t number)
{
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

/// Distinct values among `values`, which may be put in order.
std::uint64_t count_unique(std::string_view own, std::vector<std::string_view>& values)
{
  constexpr std::size_t few = 16;
  if (values.size() > few)
  {
    std::sort(values.begin(), values.end());
    const auto end = std::unique(values.begin(), values.end());
    const bool own_among_them = std::binary_search(values.begin(), end, own);
    return static_cast<std::uint64_t>(end - values.begin()) + (own_among_them ? 0 : 1);
  }
  std::uint64_t unique = 1;
  for (auto value = values.begin(); value != values.end(); ++value)
    unique += *value != own && std::find(values.begin(), value, *value) == value;
  return unique;
}
}

Verdict judge(std::string_view own, std::vector<std::string_view>& others, std::uint64_t threshold)
{
  const std::uint64_t total = others.size() + 1;
  Verdict verdict;
  verdict.total_votes = total;
  verdict.members_in_agreement = 1 + static_cast<std::uint64_t>(std::count(others.begin(), others.end(), own));
  verdict.majority = verdict.members_in_agreement > total - verdict.members_in_agreement;
  verdict.unique_values = verdict.members_in_agreement == total ? 1 : count_unique(own, others);
  if (total >= threshold)
    verdict.status = verdict.unique_values == 1 ? GroupStatus::in_consensus : GroupStatus::lack_of_consensus;
  return verdict;
}

void append_report_record(std::string& out, const Settings& agreed, const Record& record, const Verdict& verdict)
{
  out += '{';
  append_json(out, agreed.schema.key_field);
  out += ':';
  append_json(out, record.key);
  out += ',';
  append_json(out, agreed.schema.value_field);
  out += ':';
  append_json(out, record.value);
  out += R"(,"group_status":")";
  out += status_name(verdict.status);
  out += verdict.majority ? R"(","majority_minority":"Majority","count_of_unique_values":)"
                          : R"(","majority_minority":"Minority","count_of_unique_values":)";
  append_number(out, verdict.unique_values);
  out += R"(,"members_in_agreement":)";
  append_number(out, verdict.members_in_agreement);
  if (agreed.total_votes_count)
  {
    out += R"(,"total_votes_count":)";
    append_number(out, verdict.total_votes);
  }
  out += '}';
}

std::optional<std::string>
report_record(ReadTransaction& state, const Settings& agreed, OrganisationNumber organisation, std::string_view key)
{
  std::string vote = key_prefix(agreed.round, organisation).append(key);
  const auto own = state.get(votes_map, vote);
  if (!own)
    return std::nullopt;

  std::vector<std::string_view> others;
  const auto count = count_organisations(state);
  for (OrganisationNumber other = 1; other <= count; ++other)
  {
    if (other == organisation)
      continue;
    vote.assign(key_prefix(agreed.round, other)).append(key);
    if (const auto value = state.get(votes_map, vote))
      others.push_back(*value);
  }
  std::string out;
  append_report_record(out, agreed, {key, *own}, judge(*own, others, agreed.vote_threshold));
  return out;
}

ReportSource::ReportSource(
    std::shared_ptr<ReadTransaction> state, Settings agreed, OrganisationNumber organisation, Page page,
    std::string_view head, std::string_view tail)
    : state_(std::move(state)),
      agreed_(std::move(agreed)),
      left_(page.limit),
      head_(head),
      tail_(tail)
{
  const auto prefix = key_prefix(agreed_.round, organisation);
  prefix_size_ = prefix.size();
  auto from = prefix;
  if (page.after)
  {
    // The least key greater than another is that one with a zero byte behind it.
    from += *page.after;
    from += '\0';
  }
  const auto end = end_of_prefix(prefix);
  own_ = state_->scan(votes_map, from, end ? std::optional<std::string_view>(*end) : std::nullopt);

  const auto count = count_organisations(*state_);
  for (OrganisationNumber other = 1; other <= count; ++other)
    if (other != organisation)
      others_.push_back({.prefix = key_prefix(agreed_.round, other), .cursor = nullptr, .ended = false, .key = {}});
  values_.reserve(others_.size());
}

void ReportSource::place(Other& other, std::string_view key)
{
  seek_.assign(other.prefix).append(key);
  const auto end = end_of_prefix(other.prefix);
  other.cursor = state_->scan(votes_map, seek_, end ? std::optional<std::string_view>(*end) : std::nullopt);
}

/// Moves to the first vote whose key is at or after `key`.
void ReportSource::advance(Other& other, std::string_view key)
{
  if (other.ended || (other.cursor && other.key >= key))
    return;
  if (!other.cursor)
    place(other, key);
  int steps = 0;
  do
  {
    if (++steps > steps_before_placing)
      place(other, key);
    if (!other.cursor->next())
    {
      other.ended = true;
      other.cursor.reset();
      return;
    }
    other.key = other.cursor->key().substr(other.prefix.size());
  } while (other.key < key);
}

void ReportSource::append_next_record(std::string& piece)
{
  const Record record{own_->key().substr(prefix_size_), own_->value()};
  values_.clear();
  for (auto& other : others_)
  {
    advance(other, record.key);
    if (!other.ended && other.key == record.key)
      values_.push_back(other.cursor->value());
  }
  if (!first_)
    piece += ',';
  first_ = false;
  append_report_record(piece, agreed_, record, judge(record.value, values_, agreed_.vote_threshold));
}

bool ReportSource::next(std::string& piece)
{
  piece.clear();
  if (stage_ == Stage::done)
    return false;
  piece.reserve(piece_size + (piece_size >> 3));
  if (stage_ == Stage::begin)
  {
    piece.append(head_) += '[';
    stage_ = Stage::records;
  }
  while (piece.size() < piece_size)
  {
    if (left_ == 0 || !own_->next())
    {
      (piece += ']').append(tail_);
      stage_ = Stage::done;
      break;
    }
    --left_;
    append_next_record(piece);
  }
  return true;
}
}
