#pragma once

#include "concordat/http.h"
#include "reconciliation/schema.h"

#include <string>
#include <string_view>

namespace concordat::reconciliation
{
/// Every answer has the form
/// `{"content":…,"error":null|{"errorMessage":…,"errorType":…,"details":[…]},"success":…,"failure":…,"statusCode":…,
/// "status":"Success"|"Error"}`, with the HTTP status equal to `statusCode`.

/// What stands before and after the content of a good answer.
inline constexpr std::string_view success_head = R"({"content":)";
inline constexpr std::string_view success_tail =
    R"(,"error":null,"success":true,"failure":false,"statusCode":200,"status":"Success"})";

/// @param content JSON
Response success(std::string_view content);

/// @param type    what a program decides by, such as KeyNotFound
/// @param message what a person reads; never holds submitted data
Response failure(int status, std::string_view type, std::string_view message, const std::vector<BadRow>& details = {});

/// Appends a JSON string with its quotes (RFC 8259 §7); text that is not ASCII is left as it is.
/// @param text UTF-8
void append_json(std::string& out, std::string_view text);
}
