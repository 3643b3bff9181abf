#pragma once

#include "http/mailbox.h"
#include "http/server.h"

#include <atomic>
#include <memory>
#include <optional>

namespace concordat::http
{
/// One request that a handler has in hands. Its first answer counts. Dropped without an answer it answers 500 itself,
/// so that no connection waits for ever.
class PendingExchange final : public Exchange, public std::enable_shared_from_this<PendingExchange>
{
public:
  PendingExchange(
      Request request, std::shared_ptr<Session> session, std::shared_ptr<Mailbox> mailbox, std::uint64_t connection)
      : request_(std::move(request)),
        session_(std::move(session)),
        mailbox_(std::move(mailbox)),
        connection_(connection)
  {
  }
  ~PendingExchange() override;

  Request& request() override
  {
    return request_;
  }
  Session& session() override
  {
    return *session_;
  }
  void respond(Response response, bool close) override;
  void resume(std::function<void()> task) override;

  /// Calls the handler. @return the answer, if it was given on this thread before the handler returned: such an answer
  /// takes no way through the mailbox
  static std::optional<Mailbox::Answer> run(const ExchangeHandler& handler, std::shared_ptr<PendingExchange> exchange);

private:
  Request request_;
  std::shared_ptr<Session> session_;
  std::shared_ptr<Mailbox> mailbox_;
  std::uint64_t connection_ = 0;
  std::atomic<bool> answered_{false};
};
}
