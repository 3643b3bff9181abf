#include "http/exchange.h"

#include "base/log.h"

#include <exception>
#include <utility>

namespace concordat::http
{
namespace
{
/// The handler call that runs on this thread, if any.
struct Running
{
  const Exchange* exchange = nullptr;
  std::optional<Mailbox::Answer> answer;
};

thread_local Running* running = nullptr;

Response internal_error(std::string_view message)
{
  return Response::error(500, "InternalError", message);
}
}

PendingExchange::~PendingExchange()
{
  if (!answered_.load())
    respond(internal_error("The request was dropped without an answer."), false);
}

void PendingExchange::respond(Response response, bool close)
{
  if (answered_.exchange(true))
    return;
  Mailbox::Answer answer{connection_, std::move(response), close, nullptr};
  if (running != nullptr && running->exchange == this)
    running->answer = std::move(answer);
  else
  {
    answer.asked = weak_from_this().lock(); // null where it answers because it was dropped
    mailbox_->post(std::move(answer));
  }
}

void PendingExchange::resume(std::function<void()> task)
{
  mailbox_->post([self = shared_from_this(), task = std::move(task)]
                 { return run([&task](const std::shared_ptr<Exchange>&) { task(); }, self); });
}

std::optional<Mailbox::Answer>
PendingExchange::run(const ExchangeHandler& handler, std::shared_ptr<PendingExchange> exchange)
{
  Running here{exchange.get(), std::nullopt};
  const auto before = std::exchange(running, &here);
  try
  {
    handler(exchange);
  }
  catch (const std::exception& error)
  {
    spdlog::error("a request handler threw an exception: {}", error.what());
    exchange->respond(internal_error("The request could not be handled."), true);
  }
  exchange.reset();
  running = before;
  return std::move(here.answer);
}
}
