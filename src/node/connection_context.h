#pragma once

#include "concordat/application.h"
#include "http/server.h"

namespace concordat::node
{
/// What endpoints of the framework may ask beside what an application can: over which connection the request came.
class ConnectionContext : public Context
{
public:
  virtual const http::Session& session() const = 0;
};

/// The connection of a request that has one. @return null for one that did not come over a connection of this node
inline const http::Session* session_of(const Context& context)
{
  const auto* const known = dynamic_cast<const ConnectionContext*>(&context);
  return known ? &known->session() : nullptr;
}
}
