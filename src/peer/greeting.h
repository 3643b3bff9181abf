#pragma once

#include "peer/credentials.h"
#include "peer/wire.h"

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace concordat::peer
{
/// A connection whose other end is known and welcome; it belongs to no thread yet (`Wire::attach`).
struct Greeted
{
  std::unique_ptr<Wire> wire;
  NodeId node;
  Lane lane = Lane::urgent;
  std::uint16_t version = 0;
};

/// Why there is none.
struct NotGreeted
{
  Refusal reason = Refusal::none;
  bool by_them = false; ///< they refuse us
  NodeId node;          ///< proved and endorsed; else empty
};

/// What both sides of a greeting need to know; unchanged while there are greetings.
struct House
{
  Terms terms;
  ServiceKeys service_keys;
  MaySpeak may_speak;
};

/// A connection from its beginning up to where both ends are known: the TLS handshake, hello and answer. Belongs to one
/// thread. How long it may take is for its owner, who ends it.
class Greeting : public std::enable_shared_from_this<Greeting>
{
public:
  using Done = std::function<void(std::expected<Greeted, NotGreeted>)>;
  /// Whom this node wants to talk to.
  struct Call
  {
    NodeId node;
    Lane lane = Lane::urgent;
  };

  /// @param call  nothing if the other side has called
  /// @param done  called once, within any call of this; not if it is let go of before
  Greeting(std::unique_ptr<Wire> wire, const House& house, std::optional<Call> call, Done done);

  void start();
  void end(Refusal reason);
  /// Ends it without telling.
  void abandon();

private:
  enum class Step
  {
    handshake,
    greeting,
    over,
  };

  void advance();
  bool shake_hands();
  bool say_hello();
  void read_greeting();
  template <typename Message> void take(const Result<std::optional<Message>>& received);
  void take(const Hello& hello);
  void take(const Answer& answer);
  void succeed(Lane lane, std::uint16_t version);
  void finish(NotGreeted why);
  void wait();

  std::unique_ptr<Wire> wire_;
  const House& house_;
  const std::optional<Call> call_;
  Done done_;
  Step step_ = Step::handshake;
  Presented presented_;
  std::vector<crypto::PublicKey> service_keys_;
  std::string received_;
  bool waits_to_write_ = false;
};
}
