#pragma once

#include "base/worker_pool.h"
#include "concordat/error.h"
#include "concordat/http.h"
#include "concordat/transaction.h"

#include <boost/json/value.hpp>

#include <string_view>
#include <vector>

/// What the pipeline itself answers (http-api.md §1.2, §2.1), as opposed to an endpoint.
namespace concordat::node::answers
{
/// @param details one for each policy that was tried
Response unauthenticated(boost::json::array details);

/// 405, or 204 for OPTIONS.
/// @param methods those that the path has
Response unknown_verb(const std::vector<std::string_view>& methods, std::string_view method);

/// http-api.md §2.4
Response session_lost(View started, View now);

/// A transaction that did not get into the order, or a state that was read and may never be agreed on: nothing was
/// written.
Response refused(const Error& error);

/// A transaction that had its place in the order.
/// @param error  ErrorCode::lost: it never takes effect; any other: whether it does is not known
Response not_committed(const Error& error);

// Of requests for the primary that reach another node (http-api.md §2.6, §2.7).

/// Nobody is known to lead; nothing was done.
Response no_primary();
/// A forwarded request has come to a node that does not lead; nothing was done.
Response forwarded_already();
/// It did not get as far as leaving this node; nothing was done.
Response not_forwarded(std::string_view message);
/// @param what  is too large
Response too_large_to_forward(std::string_view what);
/// The primary has done what was asked, and this is too large to be sent back.
/// @param headers  of its answer: those that name the transaction are kept
Response answer_too_large(const Headers& headers);
/// No answer has come in time: whether it took effect is not known.
Response forwarding_timeout();
/// Whether it took effect is not known.
/// @param why  a sentence without a stop
Response fate_unknown(std::string_view why);

// Of requests that name a transaction which they must not be older than (docs/repeating.md).

Response after_what_never_was(TxId id);
/// In time.
Response after_what_is_not_here(TxId id);
Response too_many_wait_for_state();

// Of writes that carry an id under which they may be repeated (docs/repeating.md).

Response bad_request_id(std::string_view message);
/// The id stands for another request of the same caller.
Response request_id_reused();
/// The first answer is not there any more, but what it answered took effect.
Response answer_not_kept();

Response too_many_conflicts();

/// Too many transactions wait for agreement.
Response too_many_transactions(std::string_view message);

/// A request that found no place among those that wait for a thread.
Response not_queued(const Error& error);

/// A request that was given up before it changed anything.
/// @param runs  its handler has begun
Response given_up(base::Refusal why, bool runs);

/// The endpoint's handler touched what it may not touch: it is wrong, not its caller.
Response access_denied(std::string_view sentence);

Response endpoint_failed();
}
