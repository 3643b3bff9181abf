#pragma once

#include "net/socket.h"
#include "net/tls.h"

#include <boost/asio/io_context.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::peer
{
/// One TLS connection over a socket, without waiting: what cannot be done now says so. Belongs to one thread at a time,
/// and can be handed on to another between two waits.
class Wire
{
public:
  enum class Status
  {
    ok,
    wait,   ///< not before the socket can be read from (or, of `flush`, written to)
    closed, ///< the other side has said that nothing more will come
    failed,
  };

  /// @param socket  connected
  Wire(net::Socket socket, const net::SslContext& context, net::TlsStream::Side side);
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  ~Wire();

  /// Takes it from its thread: nothing that was waited for comes any more. @return false if the system refuses
  bool detach();
  /// Gives it to another thread; there alone it can be waited for. @pre detached @return false if the system refuses
  bool attach(boost::asio::io_context& io);

  Status handshake();
  /// @param size  how many bytes were put into `to`; only with ok
  Status read(char* to, std::size_t capacity, std::size_t& size);
  /// Encrypts; `flush` sends. @return false if the connection is broken
  bool write(std::string_view plaintext);
  /// Sends what was encrypted, as far as the socket takes it.
  Status flush();
  /// Bytes that were encrypted and not taken by the socket.
  std::size_t pending() const
  {
    return tls_.output().size() - sent_;
  }
  /// All that the socket has ever taken.
  std::uint64_t sent() const
  {
    return total_sent_;
  }

  /// After so many records under one key comes another (RFC 8446 §5.5).
  void set_records_per_key(std::uint64_t records)
  {
    records_per_key_ = records;
  }
  /// The system ends the connection when what was sent is not acknowledged for so long: of itself it would try for a
  /// quarter of an hour, and hardly ever in the end.
  void give_up_after(std::chrono::milliseconds time);
  std::uint64_t keys_renewed() const
  {
    return keys_renewed_;
  }

  /// Once, unless it is closed or moved before. One of each at a time.
  void when_readable(std::function<void()> then);
  void when_writable(std::function<void()> then);
  void close();

  const net::TlsStream& tls() const
  {
    return tls_;
  }

private:
  template <typename Step> Status run(Step step);

  std::optional<net::Socket> socket_; ///< nothing while it belongs to no thread
  int handle_;                        ///< of the socket; −1 once it is closed
  net::TlsStream tls_;
  std::size_t sent_ = 0; ///< of the output of TLS
  std::uint64_t total_sent_ = 0;
  std::uint64_t records_ = 0; ///< under the running key
  std::uint64_t records_per_key_ = std::uint64_t{1} << 22;
  std::uint64_t keys_renewed_ = 0;
  std::array<char, std::size_t{32} << 10> received_;
};
}
