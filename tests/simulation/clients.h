#pragma once

#include "base/worker_pool.h"
#include "crypto/certificate.h"
#include "http/server.h"
#include "model.h"
#include "node/node.h"
#include "plan.h"
#include "verdict.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::simulation
{
/// Several clients, each with one connection and at most one request on it, and the pool that runs what takes long.
/// Holds every answer against the model. They live through restarts; what they wait for does not.
class Clients : public base::Executor
{
public:
  /// @param member  DER of the certificate that some of them show
  Clients(
      Random& random, std::deque<Plan>& plans, Model& model, Verdict& verdict, std::string member,
      std::function<void()> look_around, std::function<void()> at_once);
  ~Clients() override;

  /// The process runs from now on.
  void serve(node::Node& node, const std::string& service_certificate_pem);
  /// It is gone, and whatever ran or waited in it.
  void process_ended();
  /// The disk was put back: the ids that they remember belong to nobody, or to others.
  void forget_ids();
  /// What waits for a thread is refused, as the pool does when it stops; nothing more is taken.
  void stop_pool();

  /// One client does something: sends a request if it waits for nothing.
  void act();
  /// A thread of the pool takes a request, or a deadline passes.
  void run_job();
  /// The deadline of a request passes while its handler runs.
  void lose_patience();

  /// A handler has come to its end.
  void handled(std::size_t plan)
  {
    ending_ = plan;
  }
  /// A transaction got its place: that of the handler that ended last, or else the framework's own.
  std::optional<std::size_t> placed(TxId txid);

  /// Whether a request has been handed to the order, and has no answer yet.
  bool somebody_waits_for_the_order() const;

  Result<void> submit(base::Job job) override;

private:
  struct Client;
  struct Sent;
  class Exchange;

  void send(Client& client, Request request, std::optional<std::size_t> plan);
  void answered(Sent& sent, const Response& response, bool close);
  void check_answer(Sent& sent, const Response& response, bool close);
  void check_success(Sent& sent, const Response& response);
  void check_refusal(const Sent& sent, const Response& response);
  void check_status(const Response& response);
  void check_receipt(const Sent& sent, const Response& response);
  void wrong(const Sent& sent, const std::string& what);

  Random& random_;
  std::deque<Plan>& plans_;
  Model& model_;
  Verdict& verdict_;
  const std::string member_;
  const std::function<void()> look_around_; ///< before a check: what has become of the view
  const std::function<void()> at_once_;     ///< on the thread that answers, from within
  std::vector<std::unique_ptr<Client>> clients_;

  // Of the running process.
  node::Node* node_ = nullptr;
  std::optional<crypto::Certificate> service_;
  bool pool_stopped_ = false;
  struct Queued
  {
    base::Job job;
    std::shared_ptr<Sent> sent;
  };
  std::deque<Queued> jobs_;
  std::vector<std::shared_ptr<Sent>> handling_; ///< innermost last
  std::vector<Queued*> running_;
  std::optional<std::size_t> ending_;
};
}
