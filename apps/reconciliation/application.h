#pragma once

#include "concordat/application.h"
#include "reconciliation/ingest.h"
#include "reconciliation/settings.h"
#include "reconciliation/votes.h"

#include <memory>
#include <string>
#include <vector>

namespace concordat::reconciliation
{
/// Compares members' records without anyone seeing anyone else's. Holds no state of its own: everything lies in the
/// store, so any thread may call any handler.
class ReconciliationApplication : public Application
{
public:
  /// @param configuration  the `application` object of the node's configuration: what a new service begins with
  /// @return Error::invalid naming the path of the wrong key
  static Result<std::unique_ptr<ReconciliationApplication>> make(const boost::json::object& configuration);

  ApiInfo info() const override;
  std::vector<Endpoint> endpoints() override;
  std::vector<GovernedWrite> governed_at_genesis() const override;
  std::vector<std::string> look_at_service(ReadTransaction& state) const override;

private:
  ReconciliationApplication(boost::json::object configuration, Settings initial);

  using Parser = Parsed (*)(const Schema&, std::string_view);

  Response ingest(Context& context, Parser parse) const;
  Response report_all(Context& context) const;
  Response report_one(Context& context) const;

  const boost::json::object configuration_;
  const Settings initial_; ///< for genesis only: whoever answers goes by what is agreed on
};
}
