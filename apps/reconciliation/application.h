#pragma once

#include "concordat/application.h"
#include "reconciliation/ingest.h"
#include "reconciliation/schema.h"
#include "reconciliation/text_rules.h"
#include "reconciliation/votes.h"

#include <cstdint>
#include <string>
#include <vector>

namespace concordat::reconciliation
{
/// What an operator can set, in the `application` object of the node's configuration.
struct Settings
{
  std::uint64_t vote_threshold = 3;
  TextRule text_rule = TextRule::normalise;
};

/// @return Error::invalid naming the path of the wrong key
Result<Settings> read_settings(const boost::json::object& configuration);

/// Compares members' records without anyone seeing anyone else's. Holds no state of its own: everything lies in the
/// store, so any thread may call any handler.
class ReconciliationApplication : public Application
{
public:
  explicit ReconciliationApplication(Settings settings, Schema schema = {});

  ApiInfo info() const override;
  std::vector<Endpoint> endpoints() override;

private:
  using Parser = Parsed (*)(const Schema&, std::string_view);

  Response ingest(Context& context, Parser parse) const;
  Response report_all(Context& context) const;
  Response report_one(Context& context) const;

  const Settings settings_;
  const Schema schema_;
};
}
