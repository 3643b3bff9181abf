#include "peer/greeting.h"

#include "base/encoding.h"
#include "crypto/hash.h"

#include <array>
#include <utility>

namespace concordat::peer
{
namespace
{
constexpr std::string_view binding_label = "EXPORTER-concordat-node-to-node";
}

Greeting::Greeting(std::unique_ptr<Wire> wire, const House& house, std::optional<Call> call, Done done)
    : wire_(std::move(wire)),
      house_(house),
      call_(std::move(call)),
      done_(std::move(done))
{
}

void Greeting::start()
{
  advance();
}

void Greeting::end(Refusal reason)
{
  const auto self = shared_from_this(); // `done_` may let go of it
  finish({reason, false, presented_.endorsed ? presented_.id : NodeId()});
}

void Greeting::abandon()
{
  done_ = nullptr;
  step_ = Step::over;
  if (wire_)
    wire_->close();
}

void Greeting::advance()
{
  const auto self = shared_from_this();
  if (step_ == Step::greeting || (step_ == Step::handshake && shake_hands()))
    read_greeting();
  wait();
}

void Greeting::wait()
{
  if (step_ == Step::over)
    return;
  if (wire_->flush() == Wire::Status::failed)
    return end(Refusal::handshake);
  if (wire_->pending() > 0 && !std::exchange(waits_to_write_, true))
    wire_->when_writable(
        [self = shared_from_this()]
        {
          self->waits_to_write_ = false;
          if (self->step_ != Step::over && self->wire_->flush() == Wire::Status::failed)
            self->end(Refusal::handshake);
        });
  wire_->when_readable([self = shared_from_this()] { self->advance(); });
}

/// @return false if it has to wait, or is over
bool Greeting::shake_hands()
{
  const auto status = wire_->handshake();
  if (status == Wire::Status::wait)
    return false;
  if (status != Wire::Status::ok)
  {
    end(Refusal::handshake);
    return false;
  }
  service_keys_ = house_.service_keys();
  presented_ = present(wire_->tls().peer_certificate(), service_keys_);
  step_ = Step::greeting;
  return !call_ || say_hello();
}

/// To nobody but whom is meant.
bool Greeting::say_hello()
{
  const auto binding = wire_->tls().exported(binding_label);
  const auto from = to_wire(house_.terms.own_id);
  const auto to = to_wire(call_->node);
  auto wrong = Refusal::none;
  if (!presented_.endorsed)
    wrong = Refusal::certificate;
  else if (presented_.id != call_->node)
    wrong = Refusal::recipient;
  else if (binding.empty() || !from || !to)
    wrong = Refusal::handshake;
  if (wrong != Refusal::none)
  {
    end(wrong);
    return false;
  }
  Hello hello;
  hello.versions = house_.terms.versions;
  hello.lane = call_->lane;
  hello.service = service_digest(service_keys_);
  hello.from = *from;
  hello.to = *to;
  hello.binding = *base::to_digest(binding);
  if (!wire_->write(hello.encode()))
  {
    end(Refusal::handshake);
    return false;
  }
  return true;
}

/// As far as there is something to read.
void Greeting::read_greeting()
{
  while (step_ == Step::greeting)
  {
    std::array<char, greeting_limit> piece;
    std::size_t size = 0;
    const auto status = wire_->read(piece.data(), piece.size(), size);
    if (status == Wire::Status::wait)
      return;
    if (status != Wire::Status::ok)
      return end(Refusal::handshake);
    received_.append(piece.data(), size);
    if (call_)
      take(read_answer(received_));
    else
      take(read_hello(received_));
  }
}

template <typename Message> void Greeting::take(const Result<std::optional<Message>>& received)
{
  if (!received)
    end(Refusal::malformed);
  else if (*received)
    take(**received);
}

void Greeting::take(const Hello& hello)
{
  Answer answer;
  answer.refusal =
      judge(hello, presented_, wire_->tls().exported(binding_label), house_.terms, service_keys_, house_.may_speak);
  answer.service = service_digest(service_keys_);
  if (answer.refusal == Refusal::none)
    answer.version = *negotiate(hello.versions, house_.terms.versions);
  const bool told = wire_->write(answer.encode()) && wire_->flush() == Wire::Status::ok;
  if (answer.refusal != Refusal::none || !told)
    return end(answer.refusal != Refusal::none ? answer.refusal : Refusal::handshake);
  succeed(hello.lane, answer.version);
}

void Greeting::take(const Answer& answer)
{
  const auto refusal = judge(answer, presented_, call_->node, house_.terms, service_keys_);
  if (refusal != Refusal::none)
    return finish({refusal, answer.refusal != Refusal::none, presented_.id});
  succeed(call_->lane, answer.version);
}

void Greeting::succeed(Lane lane, std::uint16_t version)
{
  if (!wire_->detach())
    return end(Refusal::handshake);
  step_ = Step::over;
  std::exchange(done_, nullptr)(Greeted{std::move(wire_), presented_.id, lane, version});
}

void Greeting::finish(NotGreeted why)
{
  if (std::exchange(step_, Step::over) == Step::over)
    return;
  // It is counted before the other side can know of it.
  if (const auto done = std::exchange(done_, nullptr))
    done(std::unexpected(std::move(why)));
  wire_->close();
}
}
