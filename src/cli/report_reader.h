#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace concordat::cli
{
/// Finds the records in the answer to GET /app/report while it arrives: the objects in the array that stands directly
/// in the outermost object. Keeps one record, and the beginning of the answer for the case that it is an error.
class ReportReader
{
public:
  /// @param on_record called with the JSON text of each record; false stops reading
  explicit ReportReader(std::function<bool(std::string_view)> on_record) : on_record_(std::move(on_record)) {}

  /// @return false to stop: the receiver wants no more, or this is no report
  bool feed(std::string_view piece);
  /// The outermost object is closed: nothing is missing.
  bool complete() const
  {
    return begun_ && stack_.empty();
  }
  /// The first bytes of the answer, enough for any error.
  const std::string& beginning() const
  {
    return beginning_;
  }

private:
  bool open(char bracket);
  bool close(char bracket);

  std::function<bool(std::string_view)> on_record_;
  std::string stack_; ///< brackets that are open
  std::string record_;
  std::string beginning_;
  bool begun_ = false;
  bool in_record_ = false;
  bool in_string_ = false;
  bool escaped_ = false;
};
}
