#include "concordat/json_place.h"
#include "reconciliation/ingest.h"

#include <simdjson.h>

#include <utility>

namespace concordat::reconciliation
{
namespace
{
namespace dom = simdjson::dom;

/// Records lie two levels deep; what nests deeper is refused before it costs memory.
constexpr std::size_t max_depth = 16;

std::string explain(simdjson::error_code error, std::string_view body)
{
  switch (error)
  {
  case simdjson::EMPTY:
    return "the body is empty; send a JSON object or an array of objects";
  case simdjson::DEPTH_ERROR:
    return "the body nests deeper than " + std::to_string(max_depth) +
           " levels; send a JSON object or an array of objects";
  case simdjson::CAPACITY:
    return "the body is too large; send it in several requests";
  default:
    break;
  }
  if (const auto mistake = find_json_mistake(body))
    return "the body is not JSON: " + mistake->describe();
  const auto obstacle = find_json_obstacle(body);
  return "the body is not JSON that can be read" + (obstacle ? ": " + obstacle->describe() : "");
}

const char* type_name(dom::element_type type)
{
  switch (type)
  {
  case dom::element_type::ARRAY:
    return "an array";
  case dom::element_type::OBJECT:
    return "an object";
  case dom::element_type::STRING:
    return "a string";
  case dom::element_type::BOOL:
    return "a boolean";
  case dom::element_type::NULL_VALUE:
    return "null";
  default:
    return "a number";
  }
}

class Reading
{
public:
  Reading(const Schema& schema, Batch& batch) : schema_(schema), batch_(batch) {}

  void row(dom::element element)
  {
    ++row_;
    dom::object object;
    if (element.get(object) != simdjson::SUCCESS)
      return refuse("", std::string("a record must be an object, not ") + type_name(element.type()));

    Field key;
    Field value;
    bool unknown = false;
    for (const auto field : object)
    {
      if (field.key == schema_.key_field)
        take(schema_.key_field, field.value, refuse_key, key);
      else if (field.key == schema_.value_field)
        take(schema_.value_field, field.value, refuse_value, value);
      else
        unknown = true;
    }
    if (!key.seen)
      refuse(schema_.key_field, "the field is missing");
    if (!value.seen)
      refuse(schema_.value_field, "the field is missing");
    if (unknown)
      refuse("", "the record has fields that the schema does not have");
    else if (key.text && value.text)
      batch_.records.push_back({*key.text, *value.text, 0});
  }

  Refusal& refusal()
  {
    return refusal_;
  }

private:
  struct Field
  {
    bool seen = false;
    std::optional<std::string_view> text; ///< when nothing is wrong with it
  };

  void take(
      const std::string& name, dom::element element, std::optional<std::string> (*check)(std::string_view),
      Field& field)
  {
    std::string_view text;
    if (std::exchange(field.seen, true))
      return refuse(name, "the field stands more than once");
    if (element.get(text) != simdjson::SUCCESS)
      return refuse(name, std::string("must be a string, not ") + type_name(element.type()));
    if (auto reason = check(text))
      return refuse(name, std::move(*reason));
    field.text = text;
  }

  void refuse(const std::string& column, std::string reason)
  {
    refusal_.add({.row = row_, .line = 0, .column = column, .reason = std::move(reason)});
  }

  const Schema& schema_;
  Batch& batch_;
  Refusal refusal_;
  std::uint64_t row_ = 0;
};
}

Parsed parse_json(const Schema& schema, std::string_view body)
{
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (body.starts_with(byte_order_mark))
    body.remove_prefix(byte_order_mark.size());
  if (body.empty())
    return std::unexpected(Refusal(explain(simdjson::EMPTY, body)));

  Batch batch;
  const auto parser = std::make_shared<dom::parser>();
  batch.memory = parser;
  if (const auto error = parser->allocate(body.size(), max_depth))
    return std::unexpected(Refusal(explain(error, body)));
  dom::element root;
  if (const auto error = parser->parse(body.data(), body.size()).get(root))
    return std::unexpected(Refusal(explain(error, body)));

  Reading reading(schema, batch);
  dom::array rows;
  if (root.is_object())
    reading.row(root);
  else if (root.get(rows) != simdjson::SUCCESS)
    return std::unexpected(
        Refusal(std::string("the body must be a JSON object or an array of objects, not ") + type_name(root.type())));
  else
  {
    batch.records.reserve(rows.size());
    for (const auto element : rows)
      reading.row(element);
  }
  if (reading.refusal().any_row())
    return std::unexpected(std::move(reading.refusal()));
  if (batch.records.empty())
    return std::unexpected(Refusal("there are no rows in the body; send at least one record"));
  return batch;
}
}
