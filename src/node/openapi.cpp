#include "node/openapi.h"

#include "base/lower_case.h"
#include "node/callers.h"

#include <boost/json.hpp>

namespace concordat::node
{
namespace
{
namespace json = boost::json;

std::string lower(std::string_view text)
{
  std::string out(text);
  base::make_lower_case(out);
  return out;
}

std::string_view forwarding_name(Forwarding forwarding)
{
  return forwarding == Forwarding::never ? "never" : forwarding == Forwarding::sometimes ? "sometimes" : "always";
}

json::object forwarding_components()
{
  const auto entry = [](std::string_view value, std::string_view description)
  { return json::object{{"description", description}, {"value", value}}; };
  return {
      {"always", entry("always", "A backup forwards this request to the primary, which executes it.")},
      {"never", entry("never", "The node that receives this request executes it.")},
      {"sometimes",
       entry(
           "sometimes",
           "The node that receives this request executes it, unless the session has had a request forwarded before.")}};
}

json::array path_parameters(std::string_view path)
{
  json::array out;
  for (auto open = path.find('{'); open != std::string_view::npos; open = path.find('{', open + 1))
  {
    const auto close = path.find('}', open);
    if (close == std::string_view::npos)
      break;
    out.push_back(json::object{
        {"in", "path"},
        {"name", path.substr(open + 1, close - open - 1)},
        {"required", true},
        {"schema", {{"type", "string"}}}});
  }
  return out;
}

json::object operation(std::string_view prefix, const Endpoint& endpoint)
{
  json::object out = endpoint.openapi;
  const auto path = std::string(prefix) + endpoint.path;
  out["operationId"] = operation_id(endpoint.method, path);
  auto parameters = path_parameters(path);
  if (const auto* const given = out.if_contains("parameters"); given && given->is_array())
    for (const auto& parameter : given->get_array())
      parameters.push_back(parameter);
  if (!parameters.empty())
    out["parameters"] = std::move(parameters);
  if (!out.contains("responses"))
    out["responses"] = json::object{{"200", {{"description", "Default response description"}}}};
  auto& responses = out["responses"].get_object();
  if (!responses.contains("default"))
    responses["default"] = json::object{{"$ref", "#/components/responses/default"}};
  const auto forwarding =
      endpoint.forwarding.value_or(endpoint.mode == Mode::read_write ? Forwarding::always : Forwarding::sometimes);
  out["x-ccf-forwarding"] =
      json::object{{"$ref", "#/components/x-ccf-forwarding/" + std::string(forwarding_name(forwarding))}};
  json::array security;
  for (const auto policy : endpoint.policies)
    security.push_back(
        policy == AuthPolicy::no_auth ? json::object{}
                                      : json::object{{std::string(policy_name(policy)), json::array{}}});
  if (!security.empty())
    out["security"] = std::move(security);
  return out;
}
}

std::string operation_id(std::string_view method, std::string_view path)
{
  std::string out = lower(method);
  bool starts_word = true;
  out[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[0])));
  for (const char c : path)
  {
    if (!std::isalnum(static_cast<unsigned char>(c)))
      starts_word = true;
    else
    {
      out.push_back(starts_word ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c);
      starts_word = false;
    }
  }
  return out;
}

json::object api_description(std::string_view prefix, const ApiInfo& info, const std::vector<Endpoint>& endpoints)
{
  json::object paths;
  json::object security_schemes;
  for (const auto& endpoint : endpoints)
  {
    if (endpoint.hidden)
      continue;
    auto& at = paths[std::string(prefix) + endpoint.path];
    if (at.is_null())
      at = json::object{};
    at.get_object()[lower(endpoint.method)] = operation(prefix, endpoint);
    for (const auto policy : endpoint.policies)
      if (policy != AuthPolicy::no_auth)
        security_schemes[policy_name(policy)] =
            json::object{{"description", "The TLS client certificate of the caller."}, {"type", "mutualTLS"}};
  }
  json::object schemas = info.schemas;
  schemas["CCFError"] = json::object{
      {"properties",
       {{"error",
         {{"properties", {{"code", {{"type", "string"}}}, {"message", {{"type", "string"}}}}}, {"type", "object"}}}}},
      {"type", "object"}};
  return {
      {"components",
       {{"responses",
         {{"default",
           {{"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/CCFError"}}}}}}},
            {"description", "An error occurred"}}}}},
        {"schemas", std::move(schemas)},
        {"securitySchemes", std::move(security_schemes)},
        {"x-ccf-forwarding", forwarding_components()}}},
      {"info", {{"description", info.description}, {"title", info.title}, {"version", info.version}}},
      {"openapi", "3.0.0"},
      {"paths", std::move(paths)},
      {"servers", json::array{}}};
}
}
