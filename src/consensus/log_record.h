#pragma once

#include "concordat/error.h"
#include "consensus/configuration.h"
#include "consensus/log_entry.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::consensus
{
/// Who takes part from a batch of the log on, and where that batch stands: written into the first batch of each view,
/// and (without index) into each batch that changes who takes part, so that a start can count the indexes of all
/// others.
struct LogRecord
{
  static constexpr std::string_view table = "public:ccf.internal.concordat.log"; ///< with one key

  static constexpr std::size_t max_opened = 1'000;

  Index index = 0;                ///< 0: the one after the batch before, which is of the same view
  std::vector<OpenedTerm> opened; ///< between the batch before and this one, the last ones
  Configuration configuration;
  std::optional<ConfigurationChange> change = {}; ///< that the batch makes, to come to `configuration`

  bool operator==(const LogRecord&) const = default;
  std::string to_json() const;
  /// Any bytes: Error::corrupt for what is no record.
  static Result<LogRecord> from_json(std::string_view json);
};
}
