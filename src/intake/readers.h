#pragma once

#include "intake/findings.h"

namespace concordat::intake
{
/// Readers of the two kinds of text. They add to `out`, and report to `findings` what is about single rows.
/// @return an error where the text as a whole cannot be read
Attempt<void>
read_csv(Records& out, Findings& findings, const InputOptions& options, const reconciliation::Schema& schema);
Attempt<void>
read_json(Records& out, Findings& findings, const InputOptions& options, const reconciliation::Schema& schema);

/// The text is one JSON value.
bool is_json(std::string_view text);

/// Checks a record by the rules of the schema and for what is suspicious, and adds it.
class RecordCheck
{
public:
  RecordCheck(Records& out, Findings& findings, std::string key_name, std::string value_name, bool empty_is_suspicious)
      : out_(out),
        findings_(findings),
        key_name_(std::move(key_name)),
        value_name_(std::move(value_name)),
        empty_is_suspicious_(empty_is_suspicious)
  {
  }
  void add(InputRecord record);

private:
  Records& out_;
  Findings& findings_;
  std::string key_name_;
  std::string value_name_;
  bool empty_is_suspicious_;
};
}
