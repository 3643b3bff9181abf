#include "reconciliation/settings.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <concepts>
#include <limits>
#include <optional>
#include <utility>

namespace concordat::reconciliation
{
namespace
{
namespace json = boost::json;

/// @return why the value is not taken
template <std::unsigned_integral T> std::optional<std::string> read_value(const json::value& value, T& into)
{
  boost::system::error_code error;
  const auto number = value.is_int64() || value.is_uint64() ? value.to_number<T>(error) : T{0};
  if (error || number == 0)
    return "must be an integer from 1 to " + std::to_string(std::numeric_limits<T>::max());
  into = number;
  return std::nullopt;
}

std::optional<std::string> read_value(const json::value& value, bool& into)
{
  if (!value.is_bool())
    return "must be true or false";
  into = value.get_bool();
  return std::nullopt;
}

std::optional<std::string> read_value(const json::value& value, TextRule& into)
{
  if (const auto* const text = value.if_string())
    if (const auto rule = text_rule_of({text->data(), text->size()}))
    {
      into = *rule;
      return std::nullopt;
    }
  return R"(must be "exact", "normalise" or "refuse")";
}

std::optional<std::string> read_value(const json::value& value, std::string& into)
{
  const auto* const text = value.if_string();
  if (!text || text->empty())
    return "must be a text that is not empty";
  into.assign(text->data(), text->size());
  return std::nullopt;
}

/// What an operator can name in their file.
template <typename Visit> void each_configurable(Settings& settings, Visit&& visit)
{
  visit("text_rule", settings.text_rule);
  visit("total_votes_count", settings.total_votes_count);
  visit("vote_threshold", settings.vote_threshold);
}

/// All of them, in the order in which they are written.
template <typename Visit> void each_setting(Settings& settings, Visit&& visit)
{
  visit("key_field", settings.schema.key_field);
  visit("number", settings.round.data_set);
  visit("round", settings.round.number);
  each_configurable(settings, visit);
  visit("value_field", settings.schema.value_field);
}

template <std::unsigned_integral T> json::value to_json(T number)
{
  return number;
}
json::value to_json(bool truth)
{
  return truth;
}
json::value to_json(TextRule rule)
{
  return json::string(name_of(rule));
}
json::value to_json(const std::string& text)
{
  return json::string(text);
}

Result<Settings> parse_settings(std::string_view text)
{
  const auto wrong = [](const std::string& reason)
  {
    return fail(
        ErrorCode::corrupt, "the agreed settings in " + std::string(data_sets_table) + " cannot be read: " + reason);
  };
  boost::system::error_code error;
  const auto value = json::parse(json::string_view(text.data(), text.size()), error);
  const auto* const object = error ? nullptr : value.if_object();
  if (!object)
    return wrong("they are not a JSON object");
  Settings settings;
  std::optional<std::string> reason;
  std::size_t known = 0;
  each_setting(
      settings,
      [&](std::string_view name, auto& setting)
      {
        const auto* const found = object->if_contains(json::string_view(name.data(), name.size()));
        const auto refused = found ? read_value(*found, setting) : std::optional<std::string>("is missing");
        if (refused && !reason)
          reason = std::string(name) + ": " + *refused;
        known += found ? 1 : 0;
      });
  // What this release does not know would change what the votes mean.
  if (!reason && known != object->size())
    reason = "they hold more than this release knows";
  if (reason)
    return wrong(*reason);
  return settings;
}
}

Result<Settings> initial_settings(const json::object& configuration)
{
  Settings settings;
  for (const auto& [key, value] : configuration)
  {
    std::optional<std::string> reason = "there is no such setting";
    each_configurable(
        settings,
        [&](std::string_view name, auto& setting)
        {
          if (name == std::string_view(key))
            reason = read_value(value, setting);
        });
    if (reason)
      return fail(ErrorCode::invalid, "application." + std::string(key) + ": " + *reason);
  }
  return settings;
}

GovernedWrite governed_write(const Settings& settings)
{
  json::object object;
  auto copy = settings;
  each_setting(copy, [&](std::string_view name, auto& setting) { object[name] = to_json(setting); });
  return {std::string(data_sets_table), std::string(default_data_set), json::serialize(object)};
}

Result<Settings> agreed_settings(ReadTransaction& state)
{
  const auto found = state.get(data_sets_table, default_data_set);
  if (!found)
    return fail(
        ErrorCode::not_found, "nothing is agreed on about the data set '" + std::string(default_data_set) + "' in " +
                                  std::string(data_sets_table));
  struct Parsed
  {
    std::string text;
    Settings settings;
  };
  thread_local std::optional<Parsed> last;
  if (last && last->text == *found)
    return last->settings;
  auto settings = parse_settings(*found);
  if (settings)
    last = Parsed{std::string(*found), *settings};
  return settings;
}

std::vector<std::string> overruled(const json::object& configuration, const Settings& agreed)
{
  std::vector<std::string> sentences;
  auto configured = agreed;
  auto known = agreed;
  each_configurable(
      configured,
      [&](std::string_view name, auto& setting)
      {
        if (const auto* const found = configuration.if_contains(json::string_view(name.data(), name.size())))
          (void)read_value(*found, setting);
        const auto here = json::serialize(to_json(setting));
        each_configurable(
            known,
            [&](std::string_view other, auto& value)
            {
              const auto there = json::serialize(to_json(value));
              if (other == name && here != there)
                sentences.push_back(
                    "application." + std::string(name) + " is " + here +
                    " in the configuration, but the service has "
                    "agreed on " +
                    there + ", which holds");
            });
      });
  return sentences;
}
}
