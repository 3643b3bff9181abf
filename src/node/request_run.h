#pragma once

#include "base/worker_pool.h"
#include "concordat/application.h"
#include "http/server.h"
#include "node/callers.h"
#include "node/connection_context.h"
#include "node/services.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace concordat::node
{
/// One request on its way through its endpoint: caller, transaction, handler, answer after commit (http-api.md §2.1
/// from step 7).
///
/// `run` is called once, on one thread; `refuse` may be called on another at any time. Who asked is answered once. Only
/// a request that is sure to have changed nothing is given up: from the moment that its transaction is handed to the
/// order, the answer is what became of it there.
class RequestRun : private ConnectionContext
{
public:
  using Parameters = std::vector<std::pair<std::string_view, std::string_view>>;

  /// @param endpoint     outlives the request
  /// @param runs_by      whose rights its handler has
  /// @param parameters   of the path; into the request and the router
  /// @param session_view the view in which the session has its place (http-api.md §2.4)
  RequestRun(
      Services& services, const Endpoint& endpoint, kv::RunBy runs_by, std::shared_ptr<http::Exchange> exchange,
      Parameters parameters, View session_view);

  /// Whose share of a queue the request takes: that of a caller who is known to pass, or one that all others share.
  /// @return nothing if no policy lets them in; they have been answered then
  std::optional<std::string> owner();

  void run();
  void refuse(base::Refusal why);
  /// There was no place for it among those that wait.
  void not_queued(const Error& why);

private:
  enum class Phase
  {
    open,     ///< nothing has been changed, nobody answered
    ordering, ///< in the hands of the order, which answers
    answered,
  };
  struct Answer;

  const Request& request() const override;
  const Caller& caller() const override;
  std::string_view path_parameter(std::string_view name) const override;
  std::shared_ptr<ReadTransaction> state() override;
  Transaction& transaction() override;
  std::shared_ptr<const void>& kept() override;
  bool is_member(std::string_view id) override;
  std::optional<Party> member(std::string_view id) override;
  std::optional<Party> user(std::string_view id) override;
  const http::Session& session() const override;

  void run_command();
  void run_read();
  void run_write();
  std::unique_ptr<kv::WriteTransaction> begin(bool again);
  template <typename State> Response call(State& state_for_caller);
  Response handled();
  Response handled_once();
  bool order(const kv::WriteTransaction& transaction, Response response);
  void answer_when_committed(TxId read, bool touched, Response response);
  void answer_again(TxId read, Response response);
  std::optional<Response> lost_session() const;

  void answer(Response response, bool close = false);
  bool move(Phase from, Phase to);

  Services& services_;
  const Endpoint& endpoint_;
  const kv::RunBy runs_by_;
  const std::shared_ptr<http::Exchange> exchange_;
  const Parameters parameters_;
  const View session_view_;
  const std::shared_ptr<Client> client_;

  Caller caller_;
  std::shared_ptr<ReadTransaction> reads_;
  kv::WriteTransaction* writes_ = nullptr;
  std::shared_ptr<const void> kept_;
  std::optional<RequestName> name_; ///< under which the write may be repeated
  std::optional<Seqno> first_;      ///< its transaction, if this is a repetition; 0: there is none

  std::atomic<Phase> phase_{Phase::open};
  std::atomic<bool> runs_{false};
  std::atomic<bool> refused_{false};
  std::atomic<base::Refusal> reason_{base::Refusal::late}; ///< set before `refused_`
};
}
