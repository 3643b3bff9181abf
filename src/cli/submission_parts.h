#pragma once

#include "intake/records.h"
#include "reconciliation/schema.h"

#include <cstdint>
#include <optional>
#include <string>

namespace concordat::cli
{
/// How much goes into one request.
struct PartLimits
{
  std::size_t bytes = 700'000;
  std::uint64_t records = 10'000;
};

/// One request of a submission.
struct Part
{
  std::string body;
  std::size_t first = 0; ///< position of its first record
  std::uint64_t records = 0;
};

/// Writes checked records as requests, always in the same way for the same records and limits: CSV for an input that
/// was CSV, JSON for others. A record that is larger than the limit goes alone. Used by one thread; the records must
/// outlive it.
class Parts
{
public:
  Parts(const intake::Records& records, const reconciliation::Schema& schema, PartLimits limits)
      : records_(records.records),
        is_csv_(records.format == intake::Format::csv),
        schema_(schema),
        limits_(limits)
  {
  }

  /// The next part; nothing at the end.
  std::optional<Part> next();
  /// Back to the first part.
  void rewind()
  {
    at_ = 0;
  }
  const std::vector<intake::InputRecord>& records() const
  {
    return records_;
  }
  /// Where the application takes such a body.
  std::string target() const
  {
    return is_csv_ ? "/app/csv/ingest" : "/app/ingest";
  }
  std::string content_type() const
  {
    return is_csv_ ? "text/csv" : "application/json";
  }

private:
  void append(std::string& body, const intake::InputRecord& record) const;

  const std::vector<intake::InputRecord>& records_;
  bool is_csv_;
  reconciliation::Schema schema_;
  PartLimits limits_;
  std::size_t at_ = 0;
};

/// SHA-256 over all records in their order and the format: what is submitted, however it was written.
std::string digest_of(const intake::Records& records);
}
