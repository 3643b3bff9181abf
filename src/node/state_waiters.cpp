#include "node/state_waiters.h"

#include "node/answers.h"

#include <utility>

namespace concordat::node
{
bool StateWaiters::is_over(const Waiting& one, std::optional<Response>& refusal) const
{
  switch (ordering_.status(one.id))
  {
  case consensus::TxStatus::committed:
    return true;
  case consensus::TxStatus::invalid:
    refusal = answers::after_what_never_was(one.id);
    return true;
  case consensus::TxStatus::pending:
  case consensus::TxStatus::unknown:
    break;
  }
  if (clock_.steady() < one.deadline)
    return false;
  refusal = answers::after_what_is_not_here(one.id);
  return true;
}

void StateWaiters::wait(
    const std::shared_ptr<http::Exchange>& exchange, std::chrono::milliseconds patience, std::function<void()> go_on)
{
  const auto text = find_header(exchange->request().headers, header);
  const auto id = text ? TxId::parse(*text) : std::nullopt;
  if (!id)
    return exchange->respond(
        Response::error(400, "InvalidHeaderValue", "the header x-concordat-after must be <view>.<seqno>"));
  Waiting one{exchange, *id, clock_.steady() + patience, std::move(go_on)};
  std::optional<Response> refusal;
  if (is_over(one, refusal))
    return refusal ? exchange->respond(std::move(*refusal)) : one.go_on();
  bool waits = false;
  {
    const base::LockGuard lock(mutex_);
    waits = waiting_.size() < most;
    if (waits)
      waiting_.push_back(std::move(one));
    count_ = waiting_.size();
  }
  if (!waits)
    return exchange->respond(answers::too_many_wait_for_state());
  // It may have come between the look and the wait.
  look();
}

void StateWaiters::look()
{
  if (count_ == 0)
    return;
  std::vector<std::pair<Waiting, std::optional<Response>>> over;
  {
    const base::LockGuard lock(mutex_);
    std::erase_if(
        waiting_,
        [&](Waiting& one)
        {
          std::optional<Response> refusal;
          if (!is_over(one, refusal))
            return false;
          over.emplace_back(std::move(one), std::move(refusal));
          return true;
        });
    count_ = waiting_.size();
  }
  for (auto& [one, refusal] : over)
    if (refusal)
      one.exchange->respond(std::move(*refusal));
    else
      one.exchange->resume(std::move(one.go_on));
}
}
