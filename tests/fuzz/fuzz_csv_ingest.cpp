#include "reconciliation/csv.h"
#include "reconciliation/ingest.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

using namespace concordat::reconciliation;

namespace
{
/// Rows read are the whole text, and say the same when written again with quotes.
void check_reader(std::string_view text)
{
  CsvReader reader(text);
  std::string again;
  std::size_t raw = text.starts_with("\xef\xbb\xbf") ? 3 : 0;
  std::uint64_t line = 0;
  CsvReader::Next next;
  std::vector<std::vector<std::string>> rows;
  while ((next = reader.next()) == CsvReader::Next::row)
  {
    if (reader.line() <= line)
      std::abort();
    line = reader.line();
    raw += reader.raw().size();
    rows.emplace_back(reader.fields().begin(), reader.fields().end());
    for (std::size_t i = 0; i < rows.back().size(); ++i)
    {
      again += i == 0 ? "\"" : ",\"";
      for (const char c : rows.back()[i])
        again += c == '"' ? "\"\"" : std::string(1, c);
      again += '"';
    }
    again += "\r\n";
  }
  if (next == CsvReader::Next::error)
  {
    if (reader.error().reason.empty() || reader.error().line == 0 || reader.error().column == 0)
      std::abort();
    return;
  }
  if (raw != text.size())
    std::abort();
  CsvReader second(again);
  for (const auto& row : rows)
    if (second.next() != CsvReader::Next::row || !std::ranges::equal(row, second.fields()))
      std::abort();
  if (second.next() != CsvReader::Next::end)
    std::abort();
}
}

/// Any bytes give records that keep the schema's rules, or a refusal that says why.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  check_reader(body);
  const auto parsed = parse_csv(Schema{}, body);
  if (!parsed)
  {
    if (parsed.error().message().empty() || parsed.error().rows().size() > max_described_rows)
      std::abort();
    return 0;
  }
  if (parsed->records.empty())
    std::abort();
  for (const auto& record : parsed->records)
    if (refuse_key(record.key) || refuse_value(record.value))
      std::abort();
  return 0;
}
