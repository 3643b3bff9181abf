#include "base/check.h"
#include "base/log.h"
#include "base/thread.h"
#include "ledger/entry.h"
#include "node/control_commands.h"
#include "node/entries_endpoint.h"
#include "node/join_endpoint.h"
#include "node/json.h"
#include "node/node.h"
#include "node/node_endpoints.h"
#include "node/tables.h"
#include "node/version.h"

#include <boost/json.hpp>

#include <unistd.h>

/// Serving: endpoints, certificates of the interfaces, output files.
namespace concordat::node
{
/// Everything between a request that is read and the order.
Result<void> Node::prepare(base::Executor& pool)
{
  const auto evidence = platform_.evidence(identity_->key_digest());
  if (!evidence)
    return fail("cannot get the platform's evidence", evidence.error());
  evidence_ = *evidence;
  const auto certificates = make_certificates(configuration_, *identity_, addresses_, clock_.unix_seconds());
  if (!certificates)
    return std::unexpected(certificates.error());
  const auto& node_to_node = configuration_.node_to_node_interface;
  services_.reset(new Services{
      configuration_, store_, *sequencer_, *identity_->ledger_secrets, evidence_, clock_, pool, identity_->node_id(),
      certificates->self_signed.pem(),
      link_ ? link_->published_address()
            : string_member(
                  node_to_node, node_to_node.contains("published_address") ? "published_address" : "bind_address"),
      [this] { return server_ ? server_->metrics() : std::vector<http::InterfaceMetrics>{}; }});

  const auto app_is_open = [this, flag = std::make_shared<OpenFlag>()] { return (*flag)(store_.committed()); };
  std::vector<Frontend> frontends;
  auto of_node = node_endpoints(*services_);
  of_node.push_back(join_endpoint(*services_, *identity_));
  of_node.push_back(entries_endpoint(*services_));
  frontends.push_back({"/app", application_->info(), application_->endpoints(), app_is_open});
  frontends.push_back(
      {"/node",
       {"Concordat node", "What operators ask a node.", std::string(version), {}},
       std::move(of_node),
       [] { return true; },
       kv::RunBy::node});
  frontends.push_back(
      {"/gov",
       {"Concordat governance", "What members decide on.", std::string(version), {}},
       {},
       [] { return true; },
       kv::RunBy::node});
  dispatcher_ = std::make_unique<Dispatcher>(*services_, std::move(frontends));
  return {};
}

Result<void> Node::prepare_driven()
{
  if (auto prepared = prepare(driven_->pool); !prepared)
    return prepared;
  if (link_)
    connect_requests(driven_->pool);
  return {};
}

Result<void> Node::serve()
{
  const auto& handlers = configuration_.handlers;
  const auto threads = handlers.threads != 0 ? handlers.threads : std::max(2U, std::thread::hardware_concurrency());
  pool_ = std::make_unique<base::WorkerPool>(base::WorkerPool::Options{
      .name = "handler",
      .threads = threads,
      .max_jobs = handlers.max_waiting,
      .max_bytes = handlers.max_waiting_size,
      .niceness = base::least_urgent});
  if (auto prepared = prepare(*pool_); !prepared)
    return prepared;
  connect_requests(*pool_);
  forwarder_->start();
  serving_.store(dispatcher_.get(), std::memory_order_release);
  sequencer_thread_ = base::start_thread("sequencer", [this] { sequencer_->run(); });

  if (auto written = write_outputs(); !written)
    return written;
  kv::SnapshotTransaction state(store_.committed());
  const auto endorsed = state.get(tables::node_certificates, identity_->node_id());
  CHECK(endorsed, "the service knows this node");
  warn_of_times(state, std::string(*endorsed));
  for (const auto& interface : configuration_.interfaces)
  {
    const http::TlsIdentity shown{
        interface.endorsed_by_service ? std::string(*endorsed) : services_->self_signed_certificate_pem,
        identity_->node_key.private_pem()};
    if (auto set = server_->set_identity(interface.listen.name, shown); !set)
      return fail("cannot serve interface '" + interface.listen.name + "'", set.error());
    spdlog::info("interface '{}' listens on {}", interface.listen.name, addresses_[interface.listen.name]);
  }
  shown_certificate_ = *endorsed;
  steward_ = base::start_thread("steward", [this] { be_steward(); });
  open_control();
  return {};
}

/// A node serves without it, so that whoever runs several in one directory loses no more than this.
void Node::open_control()
{
  constexpr std::chrono::seconds patience(30);
  const auto commands = std::make_shared<ControlCommands>(*services_, *identity_, patience);
  auto opened = ControlSocket::open(
      configuration_.control_socket, [commands](std::string_view line) { return commands->answer(line); }, patience);
  if (opened)
    control_ = std::move(*opened);
  else
    spdlog::warn("nodes cannot be managed from this machine: {}", opened.error().describe());
}

/// Nobody finds a certificate's times by themselves before clients refuse it.
void Node::warn_of_times(ReadTransaction& state, const std::string& endorsed_pem) const
{
  const auto info = read_object(state, tables::service_info, ledger::single_key);
  const auto service = crypto::Certificate::from_pem(info ? string_member(*info, "cert") : "");
  const auto node = crypto::Certificate::from_pem(endorsed_pem);
  if (!service || !node)
    return;
  for (const auto& warning : time_warnings(*service, *node, newest_signature_, clock_.unix_seconds()))
    spdlog::warn("{}", warning);
}

Result<void> Node::write_outputs()
{
  kv::SnapshotTransaction state(store_.committed());
  const auto service = read_object(state, tables::service_info, ledger::single_key);
  CHECK(service, "the service exists");
  boost::json::object addresses;
  for (const auto& [name, address] : addresses_)
    if (name != between_nodes)
      addresses[name] = address;
  const std::pair<std::optional<base::Path>, std::string> outputs[] = {
      {configuration_.service_certificate_file, string_member(*service, "cert")},
      {configuration_.node_certificate_file, services_->self_signed_certificate_pem},
      {configuration_.rpc_addresses_file, to_canonical_json(addresses)},
      {configuration_.node_to_node_address_file, services_->node_to_node_address},
      {configuration_.pid_file, std::to_string(::getpid()) + "\n"}};
  for (const auto& [path, content] : outputs)
    // Whoever joins was given the service's certificate in that file, and shares it with others, maybe.
    if (path && !(configuration_.join && *path == configuration_.service_certificate_file))
      if (auto written = files_.replace(*path, content); !written)
        return fail("cannot write an output file", written.error());
  return {};
}
}
