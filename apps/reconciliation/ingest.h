#pragma once

#include "reconciliation/schema.h"
#include "reconciliation/text_rules.h"

#include <expected>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace concordat::reconciliation
{
/// The records of one request, in its order, checked. They point into the body, which must outlive the batch, or into
/// memory that the batch owns.
struct Batch
{
  std::vector<Record> records;
  std::shared_ptr<const void> memory;
};

using Parsed = std::expected<Batch, Refusal>;

/// @return why the rule that was agreed for texts does not let the batch be stored; nothing if it does
std::optional<Refusal> refuse_texts(const Schema& schema, TextRule rule, const Batch& batch);

/// Reads one record (an object) or several (an array of objects). Every field of the schema must stand in every object
/// once, and nothing else.
/// @param body any bytes
Parsed parse_json(const Schema& schema, std::string_view body);

/// Reads CSV (see CsvReader) whose header names the fields of the schema, each once, in any order, and nothing else.
/// @param body any bytes
Parsed parse_csv(const Schema& schema, std::string_view body);
}
