#include "cli/submission_parts.h"

#include "base/encoding.h"
#include "crypto/hash.h"
#include "reconciliation/envelope.h"

namespace concordat::cli
{
namespace
{
/// RFC 4180.
void append_field(std::string& row, std::string_view field)
{
  if (field.find_first_of(",\"\r\n") == std::string_view::npos)
  {
    row += field;
    return;
  }
  row += '"';
  for (const char c : field)
    row.append(c == '"' ? 2 : 1, c);
  row += '"';
}
}

void Parts::append(std::string& body, const intake::InputRecord& record) const
{
  if (is_csv_)
  {
    append_field(body, record.key);
    body += ',';
    append_field(body, record.value);
    body += '\n';
    return;
  }
  body += body.size() > 1 ? ",{" : "{";
  reconciliation::append_json(body, schema_.key_field);
  body += ':';
  reconciliation::append_json(body, record.key);
  body += ',';
  reconciliation::append_json(body, schema_.value_field);
  body += ':';
  reconciliation::append_json(body, record.value);
  body += '}';
}

std::optional<Part> Parts::next()
{
  if (at_ == records_.size())
    return std::nullopt;
  Part part;
  part.first = at_;
  part.body = is_csv_ ? schema_.key_field + "," + schema_.value_field + "\n" : "[";
  while (at_ < records_.size() && part.records < limits_.records)
  {
    const auto before = part.body.size();
    append(part.body, records_[at_]);
    if (part.records > 0 && part.body.size() + 1 > limits_.bytes)
    {
      part.body.resize(before);
      break;
    }
    ++part.records;
    ++at_;
  }
  if (!is_csv_)
    part.body += ']';
  return part;
}

std::string digest_of(const intake::Records& records)
{
  // Digests of stretches, digested together: hashing takes whole texts, and the records need not lie in one.
  constexpr std::size_t stretch_size = 1 << 20;
  std::string digests(records.format == intake::Format::csv ? "csv" : "json");
  std::string stretch;
  const auto close = [&]
  {
    digests += base::as_view(crypto::sha256(stretch));
    stretch.clear();
  };
  for (const auto& record : records.records)
  {
    stretch += std::to_string(record.key.size()) + ":" + std::to_string(record.value.size()) + ":";
    stretch.append(record.key).append(record.value);
    if (stretch.size() >= stretch_size)
      close();
  }
  close();
  return digests;
}
}
