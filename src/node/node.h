#pragma once

#include "attestation/platform.h"
#include "attestation/sealed_file.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/worker_pool.h"
#include "concordat/application.h"
#include "consensus/replay.h"
#include "consensus/sequencer.h"
#include "http/server.h"
#include "kv/store.h"
#include "ledger/wrapped_secret.h"
#include "node/configuration.h"
#include "node/control_socket.h"
#include "node/dispatcher.h"
#include "node/forwarded_requests.h"
#include "node/forwarder.h"
#include "node/genesis.h"
#include "node/identity.h"
#include "node/join.h"
#include "node/peer_link.h"
#include "node/readmissions.h"
#include "node/services.h"

#include <atomic>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <thread>

namespace concordat::node
{
/// What the operator says at one start, on the command line.
struct StartOptions
{
  bool accept_loss = false;          ///< go on although committed transactions are missing; recorded in the ledger
  std::atomic<bool>* stop = nullptr; ///< set by another thread: a node that waits to be trusted gives up
};

/// What a node is given instead of a network and threads of its own, by whoever decides what it does when.
struct Driven
{
  base::Executor& pool;
  base::Executor* disk = nullptr;  ///< as SequencerOptions::disk
  base::Executor* aside = nullptr; ///< as SequencerOptions::aside and ::reader
  consensus::Invariants* invariants = nullptr;
  std::function<void(TxId)> placed = {};             ///< as BatcherOptions::placed
  std::function<void(TxId)> placed_own = {};         ///< as BatcherOptions::placed_own
  PeerLink::ChannelMaker channel = {};               ///< to the other nodes; null: there are none
  std::uint64_t seed = 0;                            ///< as SequencerOptions::seed
  std::optional<consensus::Index> kept_entries = {}; ///< as there
  /// Of a node that joins, as JoinMeans.
  std::function<Result<std::unique_ptr<http::Client>>(http::ClientOptions)> connect = {};
  std::function<void(std::chrono::milliseconds)> wait = {};
};

/// One node: creates a service or comes back to the one it was part of, and serves it.
///
/// The outside (disk, clock, platform) is handed in. `start`, `stop` and the destructor belong to one thread.
class Node
{
public:
  /// Does everything up to serving requests: unseals or makes the secrets, replays the ledger, opens a view, creates
  /// the service if there is none, opens it if the configuration says so, and writes the output files.
  /// @return Error with the cause and what to do; what was acknowledged before is untouched
  static Result<std::unique_ptr<Node>> start(
      Configuration configuration, std::unique_ptr<Application> application, base::FileSystem& files,
      base::Clock& clock, attestation::Platform& platform, StartOptions options = {});
  /// The same without network, threads and output files: requests are handed to `dispatcher`, and nothing is agreed on
  /// but by steps of `sequencer`. For the crash simulation. What `driven` refers to outlives the node.
  static Result<std::unique_ptr<Node>> start_driven(
      Configuration configuration, std::unique_ptr<Application> application, base::FileSystem& files,
      base::Clock& clock, attestation::Platform& platform, Driven driven, StartOptions options = {});
  ~Node();

  const Dispatcher& dispatcher() const
  {
    return *dispatcher_;
  }
  consensus::Sequencer& sequencer()
  {
    return *sequencer_;
  }
  kv::Store& store()
  {
    return store_;
  }
  /// Null for a node that is driven without a channel.
  Forwarder* forwarder()
  {
    return forwarder_.get();
  }
  /// If this one is primary: notes of nodes whose retirement is committed that they take no part any more
  /// (governance.md §10.3), and gives those that have come back their numbers. A node that is not driven does so by
  /// itself.
  void look_after_nodes();

  /// The bound address of each interface, by name.
  const std::map<std::string, std::string>& addresses() const
  {
    return addresses_;
  }
  /// Readiness turns negative, requests are still served.
  void announce_stop();

private:
  Node(
      Configuration configuration, std::unique_ptr<Application> application, base::FileSystem& files,
      base::Clock& clock, attestation::Platform& platform, StartOptions options);

  using Step = Result<void> (Node::*)();
  Result<void> take(std::initializer_list<Step> steps);
  Result<void> lock();
  Result<void> unseal();
  Result<void> restore();
  Result<void> begin_alone();
  Result<void> choose_port();
  Result<void> join();
  Result<void> take_part(
      std::unique_ptr<ledger::ChunkFiles> chunks, consensus::Replayed replayed, const consensus::DurableState& durable);
  Result<void> start_link(const std::string& node_certificate_pem);
  void be_one_of_several(consensus::SequencerOptions& options, const consensus::SequencerStart& begin);
  void be_steward();
  void connect_requests(base::Executor& pool);
  Result<void>
  go_on(std::unique_ptr<ledger::ChunkFiles> chunks, consensus::Replayed replayed, consensus::DurableState durable);
  Result<void> know_receiver();
  Result<void> renew_secret(Seqno first);
  Result<void> change_secret(Transaction& transaction, Seqno first);
  void keep_secret();
  Result<void> write_first_entry(const consensus::Mark& lost);
  Result<void> discard_leftovers();
  Result<void> bind();
  Result<void> create_service();
  Result<void> refresh_record();
  void tell_primary(const kv::Snapshot& committed);
  void tell_absence(ReadTransaction& state);
  void keep_record_true(ReadTransaction& state);
  std::optional<std::string> other_primary() const;
  void write_update(const std::string& node_id, const NodeUpdate& update);
  void show_certificate(const kv::Snapshot& committed);
  Result<void> open_service();
  Result<void> prepare(base::Executor& pool);
  Result<void> prepare_driven();
  Result<void> serve();
  void open_control();
  void warn_of_times(ReadTransaction& state, const std::string& endorsed_pem) const;
  Result<void> write_outputs();
  Result<TxId> commit_now(const std::function<Result<void>(Transaction&, TxId)>& write);
  void let_go(kv::Snapshot state);
  Result<void> start_sequencer(consensus::SequencerStart start, const std::string& node_certificate_pem);

  Configuration configuration_;
  std::unique_ptr<Application> application_;
  base::FileSystem& files_;
  base::Clock& clock_;
  attestation::Platform& platform_;
  const StartOptions options_;
  std::optional<Driven> driven_;

  std::unique_ptr<base::DirectoryLock> ledger_lock_;
  std::optional<attestation::SealedFiles> sealed_;
  std::optional<SealedState> sealed_state_;
  std::optional<Identity> identity_;
  std::optional<ledger::SecretReceiver> receiver_; ///< set with the identity
  attestation::Evidence evidence_;
  std::int64_t newest_signature_ = 0;       ///< by the clock of then; 0 if there was none at start
  std::unique_ptr<base::WorkerPool> aside_; ///< does what nobody waits for
  std::unique_ptr<base::WorkerPool> disk_;  ///< writes the ledger while other nodes take part
  kv::Store store_;
  std::unique_ptr<PeerLink> link_; ///< null for a node that is driven without a channel
  std::unique_ptr<consensus::Sequencer> sequencer_;
  std::unique_ptr<base::WorkerPool> pool_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<ForwardedRequests> forwarded_;
  std::unique_ptr<Forwarder> forwarder_;
  std::atomic<const Dispatcher*> serving_{nullptr};
  std::map<std::string, std::string> addresses_;
  std::unique_ptr<http::Server> server_;
  std::thread sequencer_thread_;
  std::thread steward_;
  std::chrono::steady_clock::time_point next_telling_; ///< what it should write; the steward's
  std::string shown_certificate_;                      ///< to clients; the steward's once it runs
  std::atomic<bool> stopping_{false};
  Readmissions readmissions_;              ///< of other nodes
  bool has_joined_ = false;                ///< at this start
  std::uint64_t start_ = 0;                ///< of a node that comes back: random; 0 for others
  std::unique_ptr<ControlSocket> control_; ///< null where it cannot be
};
}
