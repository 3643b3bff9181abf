#pragma once

#include "base/mutex.h"
#include "concordat/application.h"
#include "kv/store.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace concordat::node
{
/// What makes a write repeatable: its `x-concordat-request-id`, and a digest of what it asks for, by which another
/// request under the same id is told apart (docs/repeating.md).
struct RequestName
{
  static constexpr std::string_view header = "x-concordat-request-id";
  static constexpr std::size_t longest = 64; ///< characters

  std::string id;
  Digest content{}; ///< of method, path, query, content type, headers of ours, and body

  /// @return nothing if the request carries no id; Error::invalid if what it carries is none
  static Result<std::optional<RequestName>> of(const Request& request);
};

/// Remembers the first answers to writes that carry an id, in the transactions that they stand for: so a repetition is
/// known on every node that becomes primary, and after every restart, exactly if the write itself is there.
///
/// Answers lie in a private table, under a digest of who asked: nobody else finds them, and they do not stand in the
/// ledger in clear. Each known caller has a share of its own; callers whom only their certificate identifies share
/// one. In a share that is full, the oldest answers are forgotten. Any thread may call.
class RequestIds
{
public:
  struct Bounds
  {
    std::size_t answers = 1000;                             ///< of a share, at most, when nobody writes at once
    std::uint64_t bytes = std::uint64_t{4} << 20;           ///< of their keys and values
    std::uint64_t longest_answer = std::uint64_t{16} << 10; ///< bytes of a body; what is longer is not kept
    std::uint64_t longest_head = std::uint64_t{4} << 10;    ///< bytes of all headers of an answer
    unsigned look_interval = 32;                            ///< writes of a share between two looks at how full it is
    std::size_t known_shares = 10'000;                      ///< of which it is known how long ago that was
  };
  static constexpr std::string_view table = "ccf.internal.concordat.request_ids";

  RequestIds() = default;
  explicit RequestIds(const Bounds& bounds) : bounds_(bounds) {}

  /// Who asks, as the table knows them. @return nothing for those whom nothing tells apart from others
  /// @param certificate  DER, that they showed; empty if none
  struct Asker
  {
    std::string digest;
    bool stranger = false; ///< identified by a certificate that anybody can make
  };
  static std::optional<Asker> asker(const Caller& caller, std::string_view certificate);

  struct First
  {
    Response response;
    Seqno seqno = 0; ///< of the transaction that the request has made; 0: there is none
  };
  /// What is to be answered without running the handler: the first answer, or that the id stands for another request.
  /// What was looked at counts as read by the transaction. @return nothing for a request that is new
  std::optional<First> find(kv::WriteTransaction& transaction, const RequestName& name, const Asker& asker) const;

  /// Adds the answer to the transaction, and takes out the oldest ones if there are too many.
  void keep(kv::WriteTransaction& transaction, const RequestName& name, const Asker& asker, const Response& response)
      EXCLUDES(mutex_);

private:
  bool must_look(const std::string& share) EXCLUDES(mutex_);

  const Bounds bounds_;
  base::Mutex mutex_;
  /// Writes since the last look. A share that is missing is looked at with its next write.
  std::map<std::string, unsigned> since_look_ GUARDED_BY(mutex_);
};
}
