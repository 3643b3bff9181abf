#pragma once

#include "concordat/error.h"
#include "concordat/http.h"
#include "concordat/transaction.h"
#include "consensus/configuration.h"
#include "peer/channel.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// What the nodes of one service send each other, as bytes. All numbers are little-endian; a text is a u32 length and
/// its bytes. Whatever is read here comes from another node, and may be anything.
namespace concordat::node
{
/// What a message of the channel is. Its numbers are those on the wire.
enum class PeerMessage : std::uint16_t
{
  consensus = 1,
  forwarded_request = 2,
  forwarded_answer = 3,
  presence = 4, ///< what a node says of itself when the roll is called, as a message of consensus without batches
  forwarded_place = 20,
  node_update = 21,
  forwarded_stream = 22, ///< an answer whose body comes in pieces
  forwarded_piece = 23,
  forwarded_more = 24,
  addresses = 25, ///< told to who calls the roll
  accepted_absence = 26,
};

/// A message of consensus. Wire: u8 length and text of `address`, u32 length and bytes of `message`, then `batches`.
struct ConsensusMessage
{
  /// Where its sender listens: who has been away for long may not know it yet, and could not answer.
  std::string_view address;
  std::string_view message; ///< of the engine
  std::string_view batches; ///< the bytes of the batches that it names, in order

  static constexpr std::size_t address_limit = 255;
  static constexpr std::uint64_t message_limit = std::uint64_t{1} << 20;
  /// All but `batches`. @pre within the limits
  std::string encode_head() const;
  /// Error::invalid for bytes that are none. The parts point into `bytes`.
  static Result<ConsensusMessage> decode(std::string_view bytes);
};

/// A request that a node hands on to the primary (http-api.md §2.6).
struct ForwardedRequest
{
  std::uint64_t id = 0;    ///< of the sender's, never used again by the same process
  View view = 0;           ///< in which the sender takes the receiver for primary
  std::string certificate; ///< DER, of the caller; empty if they showed none
  Request request;

  static constexpr std::uint64_t head_limit = std::uint64_t{1} << 20;  ///< bytes of all but the body
  static constexpr std::uint64_t body_limit = std::uint64_t{64} << 20; ///< bytes
  /// Error::limit if it is larger than may be forwarded.
  Result<peer::Payload> encode() &&;
  /// Error::invalid for bytes that are none, or a request that no interface would take.
  static Result<ForwardedRequest> decode(std::string_view bytes);
};

/// The answer to it.
struct ForwardedAnswer
{
  std::uint64_t id = 0; ///< of the request
  bool close = false;   ///< the client's connection ends with it
  Response response;    ///< without a stream

  static constexpr std::uint64_t head_limit = std::uint64_t{1} << 20;
  static constexpr std::uint64_t body_limit = std::uint64_t{32} << 20;
  /// Error::limit if it is larger than may be sent back. @pre there is no stream
  Result<peer::Payload> encode() &&;
  /// Error::invalid for bytes that are none. Headers may hold anything: the server keeps them in their lines.
  static Result<ForwardedAnswer> decode(std::string_view bytes);
};

/// What comes before the answer to a write: the id that it has, in case the answer does not come in time.
/// Wire: u64 id, u64 view, u64 seqno.
struct ForwardedPlace
{
  std::uint64_t id = 0; ///< of the request
  TxId txid;

  peer::Payload encode() const;
  /// Error::invalid for bytes that are none.
  static Result<ForwardedPlace> decode(std::string_view bytes);
};

/// A part of the body of an answer that is too large for one message. Wire: u64 id, u8 end, the bytes.
struct ForwardedPiece
{
  enum class End : std::uint8_t
  {
    none,
    whole,  ///< this is the end
    broken, ///< there is more, which will never come
  };
  std::uint64_t id = 0; ///< of the request
  End end = End::none;
  std::string bytes;

  static constexpr std::uint64_t limit = std::uint64_t{4} << 20; ///< bytes
  /// Error::limit if it is larger than may be sent.
  Result<peer::Payload> encode() &&;
  /// Error::invalid for bytes that are none.
  static Result<ForwardedPiece> decode(std::string_view bytes);
};

/// Asks for the next one. Wire: u64 id, u8 1, or 0 if nothing more is wanted.
struct ForwardedMore
{
  std::uint64_t id = 0; ///< of the request
  bool wanted = true;

  peer::Payload encode() const;
  /// Error::invalid for bytes that are none.
  static Result<ForwardedMore> decode(std::string_view bytes);
};

/// What a node wants its record to say after it has come back, for the primary to write. Wire: two texts.
struct NodeUpdate
{
  std::string changes;                     ///< a JSON object: members of the record that are to be others
  std::string certificate_signing_request; ///< PEM; for the names under which it can be reached

  static constexpr std::uint64_t limit = std::uint64_t{256} << 10; ///< bytes of all
  /// Error::limit if it is larger than may be sent.
  Result<peer::Payload> encode() const;
  /// Error::invalid for bytes that are none. What the texts hold was not looked at.
  static Result<NodeUpdate> decode(std::string_view bytes);
};

/// Where nodes are, for one that may have been away while they joined. Wire: u16 count, then two texts
/// each, in order.
struct NodeAddresses
{
  std::map<std::string, std::string> addresses; ///< by node id

  static constexpr std::size_t max_nodes = 1'024;
  /// @pre within the limit
  peer::Payload encode() const;
  /// Error::invalid for bytes that are none.
  static Result<NodeAddresses> decode(std::string_view bytes);
};

/// That a node goes on without some voters, for the primary to write. Wire: u64 start, u16 count, then u64 each.
struct AcceptedAbsence
{
  std::uint64_t start = 0; ///< of the sender, as when it calls the roll
  std::vector<consensus::EngineId> missing;

  static constexpr std::size_t max_missing = 1'024;
  /// @pre within the limit
  peer::Payload encode() const;
  /// Error::invalid for bytes that are none, or name nobody.
  static Result<AcceptedAbsence> decode(std::string_view bytes);
};

/// host:port that can be called, of visible characters.
bool is_peer_address(std::string_view text);
}
