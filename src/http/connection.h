#pragma once

#include "http/accepted.h"
#include "http/interface_state.h"
#include "http/mailbox.h"
#include "http/parser.h"
#include "http/server.h"
#include "http/streamed_body.h"
#include "http/tls.h"
#include "net/socket.h"
#include "net/waiting_room.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::http
{
class Worker;

/// One client: handshake, then requests one after the other, then a close that lets them read the last answer.
///
/// Lives on its worker's thread. What it holds is bounded: while a request is being handled or an answer is waiting to
/// be sent, nothing is received, so a client that floods or does not read only fills the buffers of their own kernel.
/// Whatever it waits for from the client has a time of its own that no byte prolongs (`check_time`), and a place in a
/// room that is bounded over all connections.
class Connection : public std::enable_shared_from_this<Connection>
{
public:
  using Clock = std::chrono::steady_clock;

  Connection(Worker& worker, Accepted accepted, const net::SslContext& identity);

  std::uint64_t id() const
  {
    return session_->id;
  }

  void start();
  void answer(Mailbox::Answer answer);
  /// There may be more of a streamed body, or a place has been given up.
  void nudge();
  void send();
  void check_time(Clock::time_point now);
  void close();

private:
  enum class Phase
  {
    handshake,
    open,
    lingering, ///< everything is said; what still comes is read and dropped
    closed,
  };

  void receive();
  void received(std::string_view ciphertext);
  void receive_more();
  void discard(std::size_t size);
  bool shake_hands();
  void begin_session();
  void answer_in_plain_text();

  void advance();
  bool advance_once();
  std::size_t process(std::string_view plaintext);
  void dispatch();
  void refuse(const RequestParser::Step& step);
  void refuse(Response response);
  bool can_take_request() const;
  bool is_answering() const;
  bool turn_is_over() const;

  void begin_answer(Response response, bool close);
  void send_plain(std::string_view plaintext);
  bool produce();
  bool take_piece();
  bool flush();
  void wait_until_writable();
  void begin_lingering();
  void continue_later();

  void check_waiting_for_request(Clock::time_point now);
  void check_answer(Clock::time_point now);
  void release_what_idles(Clock::time_point now);
  std::uint64_t taken_by_client();
  void request_has_begun();
  void account_request();
  void drop_request();
  void account_answer();
  net::WaitingRoom::Place enter(net::WaitingRoom& room, std::uint64_t size);

  Worker& worker_;
  net::Socket socket_;
  std::optional<SessionSlot> slot_;
  std::shared_ptr<InterfaceState> interface_;
  net::TlsStream tls_;
  RequestParser parser_;
  std::shared_ptr<Session> session_;
  std::uint64_t group_; ///< in waiting rooms: the address, or the caller if they are known
  bool known_ = false;
  std::optional<net::WaitingRoom::Place> place_; ///< of what is waited for now, if it costs something

  Phase phase_ = Phase::handshake;
  bool handling_ = false;    ///< a handler has the request
  bool closing_ = false;     ///< no request is taken any more; linger once everything is sent
  bool peer_done_ = false;   ///< the client said that nothing more will come
  bool receiving_ = false;   ///< waiting for more from the client
  bool send_due_ = false;    ///< waiting for `send`
  bool writing_ = false;     ///< waiting until the socket takes more
  bool answer_open_ = false; ///< part of an answer is not with the kernel yet
  bool buffers_held_ = true;
  bool is_head_ = false;
  unsigned turn_ = 0; ///< work done since others had a chance
  std::size_t turn_bytes_ = 0;

  std::array<char, 4096> received_;
  std::string pending_; ///< decrypted, not yet parsed
  std::size_t pending_at_ = 0;
  std::size_t sent_ = 0;         ///< of the TLS output
  std::uint64_t sent_total_ = 0; ///< to the kernel

  std::string body_; ///< or the piece of a stream
  std::size_t body_at_ = 0;
  std::shared_ptr<StreamedBody> stream_;
  std::optional<Clock::time_point> piece_awaited_; ///< since when the next one is waited for

  Clock::time_point last_activity_;
  Clock::time_point idle_since_; ///< the beginning, or the end of the last answer
  bool request_open_ = false;    ///< something came since
  Clock::time_point request_began_;
  Clock::time_point answer_began_;
  Clock::time_point period_began_; ///< in which the client must take enough of the answer
  std::optional<std::uint64_t> taken_before_;
  Clock::time_point linger_until_;
  std::uint64_t linger_left_ = 0;
};
}
