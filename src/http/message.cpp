#include "concordat/http.h"

#include "http/json_text.h"

namespace concordat
{
std::optional<std::string_view> find_header(const Headers& headers, std::string_view name)
{
  for (const auto& [key, value] : headers)
  {
    if (key == name)
      return value;
  }
  return std::nullopt;
}

std::optional<std::string> Request::parameter(std::string_view name) const
{
  std::string_view rest = query;
  while (!rest.empty())
  {
    const auto end = rest.find('&');
    const auto pair = rest.substr(0, end);
    const auto equals = pair.find('=');
    if (pair.substr(0, equals) == name && !pair.empty())
      return std::string(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1));
    if (end == std::string_view::npos)
      break;
    rest.remove_prefix(end + 1);
  }
  return std::nullopt;
}

namespace
{
Response with_type(std::string content_type, std::string body, int status)
{
  Response response;
  response.status = status;
  response.headers.emplace_back("content-type", std::move(content_type));
  response.body = std::move(body);
  return response;
}
}

Response Response::json(std::string text, int status)
{
  return with_type("application/json", std::move(text), status);
}

Response Response::text(std::string text, int status)
{
  return with_type("text/plain", std::move(text), status);
}

Response Response::empty(int status)
{
  Response response;
  response.status = status;
  return response;
}

Response Response::error(int status, std::string_view code, std::string_view message)
{
  std::string body = R"({"error":{"code":)";
  http::append_json_string(body, code);
  body += R"(,"message":)";
  http::append_json_string(body, message);
  body += "}}";
  return json(std::move(body), status);
}
}
