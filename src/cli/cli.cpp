#include "cli/cli.h"

#include "cli/keygen.h"
#include "cli/ledger.h"
#include "cli/node.h"
#include "cli/node_add.h"
#include "cli/receipt.h"
#include "cli/report.h"
#include "cli/sandbox.h"
#include "cli/snapshot.h"
#include "cli/submit.h"
#include "cli/tx.h"

#include <CLI/CLI.hpp>

#include <functional>
#include <map>
#include <memory>
#include <sstream>

namespace concordat::cli
{
namespace
{
constexpr auto exit_codes = "Exit codes:\n"
                            "  0  done\n"
                            "  1  refused by the service, or a file or process failed\n"
                            "  2  the command line is wrong\n"
                            "  3  the service cannot be reached\n"
                            "  4  a receipt, ledger or snapshot does not verify";

using Run = std::function<Outcome(Console&)>;

/// Adds a command whose options live as long as the parser; the callback only notes what is to be run.
template <typename Options>
CLI::App* add_command(
    CLI::App& parent, Run& run, const std::string& name, const std::string& description, const std::string& example,
    Outcome (*command)(const Options&, Console&), std::shared_ptr<Options>& options)
{
  options = std::make_shared<Options>();
  auto* const app = parent.add_subcommand(name, description);
  app->footer("Example:\n  " + example + "\n\n" + exit_codes);
  app->callback([&run, command, options]
                { run = [command, options](Console& console) { return command(*options, console); }; });
  return app;
}

void add_keygen(CLI::App& app, Run& run)
{
  std::shared_ptr<KeygenOptions> options;
  auto* const command = add_command(
      app, run, "keygen", "Make the key and certificate of a member or user",
      "concordat keygen member0 --encryption --directory workspace/common", run_keygen, options);
  command->add_option("name", options->name, "Begins the names of the files, and is the certificate's subject")
      ->required();
  command->add_option("--directory", options->directory, "Where to write the files")->capture_default_str();
  command->add_option("--curve", options->curve, "secp384r1 or secp256r1")
      ->transform(CLI::Transformer(
          std::map<std::string, std::string>{{"p256", "secp256r1"}, {"p384", "secp384r1"}}, CLI::ignore_case))
      ->capture_default_str();
  command->add_option("--days", options->validity_days, "How long the certificate is valid")->capture_default_str();
  command->add_flag("--encryption", options->encryption, "Make an RSA-2048 pair for recovery shares, too");
  command->add_flag("--force", options->force, "Replace files that exist");
}

void add_submit(CLI::App& app, Run& run)
{
  std::shared_ptr<SubmitOptions> options;
  auto* const command = add_command(
      app, run, "submit",
      "Submit records from a file. What is too big for one request is sent in parts; a submission that\n"
      "broke off goes on where it was when the same command is run again, and nothing is applied twice.",
      "concordat submit records.csv --as member0", run_submit, options);
  auto& input = options->input;
  command->add_option("file", input.file, "CSV, JSON or NDJSON, also packed with gzip or zstd; - for standard input")
      ->required();
  command->add_option("--format", input.format, "csv, json or ndjson; found out from the file otherwise")
      ->check(CLI::IsMember({"csv", "json", "ndjson"}));
  command->add_option("--key-column", input.key_column, "Name of the column (or JSON field) with the keys");
  command->add_option("--value-column", input.value_column, "Name of the column (or JSON field) with the values");
  command->add_option(
      "--separator", input.separator, "What separates columns, one character or tab; found out otherwise");
  command->add_option(
      "--encoding", input.encoding, "utf-8, utf-16le, utf-16be, windows-1252 or iso-8859-1; found out otherwise");
  command
      ->add_option(
          "--accept", options->accept,
          "Kinds of doubtful records to submit as they stand, such as space,scientific; a refusal names them")
      ->delimiter(',');
  command->add_option("--skip", options->skip, "Kinds of doubtful rows to leave out, such as total,header")
      ->delimiter(',');
  command->add_option("--attempts", options->attempts, "How often to send a part that gets no answer")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_connection_options(*command, options->connection);
}

void add_report(CLI::App& app, Run& run)
{
  std::shared_ptr<ReportOptions> options;
  auto* const command = add_command(
      app, run, "report", "Show whether others agree with your records, or with the one of a key",
      "concordat report --as member0 --format csv > report.csv", run_report, options);
  command->add_option("key", options->key, "Key of one record; all without it");
  command->add_option("--format", options->format, "table, json or csv")
      ->transform(CLI::CheckedTransformer(std::map<std::string, ReportFormat>{
          {"table", ReportFormat::table}, {"json", ReportFormat::json}, {"csv", ReportFormat::csv}}));
  command->add_flag(
      "--raw", options->raw,
      "In CSV, leave cells as they are that a spreadsheet would run as formulas; a ' marks them");
  add_connection_options(*command, options->connection);
}

void add_tx(CLI::App& app, Run& run)
{
  auto* const group = app.add_subcommand("tx", "Ask what became of a transaction");
  group->footer("Example:\n  concordat tx wait 2.18");
  group->require_subcommand(1);
  const auto add = [&](const char* name, const char* description, const char* example, auto function)
  {
    std::shared_ptr<TxOptions> options;
    auto* const command = add_command(*group, run, name, description, example, function, options);
    command->add_option("txid", options->txid, "Transaction id, VIEW.SEQNO")->required();
    add_connection_options(*command, options->connection);
    return std::pair(command, options);
  };
  add("status", "Print Unknown, Pending, Committed or Invalid", "concordat tx status 2.18", run_tx_status);
  const auto [wait, options] =
      add("wait", "Return when the transaction is committed", "concordat tx wait 2.18 --timeout 10", run_tx_wait);
  wait->add_option("--timeout", options->timeout_seconds, "Seconds to wait at most")->capture_default_str();
}

void add_receipt(CLI::App& app, Run& run)
{
  auto* const group = app.add_subcommand("receipt", "Fetch and verify proofs that a transaction is in the ledger");
  group->footer("Example:\n  concordat receipt get 2.18 --out receipt.json && concordat receipt verify receipt.json");
  group->require_subcommand(1);

  std::shared_ptr<ReceiptOptions> get_options;
  auto* const get = add_command(
      *group, run, "get", "Fetch the receipt of a committed transaction",
      "concordat receipt get 2.18 --out receipt.json", run_receipt_get, get_options);
  get->add_option("txid", get_options->txid, "Transaction id, VIEW.SEQNO")->required();
  get->add_option("--out", get_options->file, "File to write; standard output without it");
  get->add_option("--timeout", get_options->timeout_seconds, "Seconds to wait at most")->capture_default_str();
  add_connection_options(*get, get_options->connection);

  std::shared_ptr<ReceiptOptions> verify_options;
  auto* const verify = add_command(
      *group, run, "verify", "Verify a receipt against the service's certificate, offline",
      "concordat receipt verify receipt.json --service-cert service_cert.pem --txid 2.18", run_receipt_verify,
      verify_options);
  verify->add_option("file", verify_options->file, "Receipt (JSON); - for standard input")->required();
  verify->add_option("--txid", verify_options->txid, "Fail unless the receipt is that of this transaction");
  add_service_certificate_options(*verify, verify_options->connection);
}

void add_snapshot(CLI::App& app, Run& run)
{
  auto* const group = app.add_subcommand("snapshot", "Verify snapshots of a service's state, offline");
  group->footer("Example:\n  concordat snapshot verify snapshot_84_85.committed --service-cert service_cert.pem");
  group->require_subcommand(1);
  std::shared_ptr<SnapshotOptions> options;
  auto* const verify = add_command(
      *group, run, "verify", "Verify a snapshot against the service's certificate, offline",
      "concordat snapshot verify snapshot_84_85.committed --service-cert service_cert.pem", run_snapshot_verify,
      options);
  verify->add_option("file", options->file, "Snapshot file; - for standard input")->required();
  add_service_certificate_options(*verify, options->connection);
}

void add_ledger(CLI::App& app, Run& run)
{
  auto* const group = app.add_subcommand("ledger", "Verify and read the ledger files of a node, offline");
  group->footer("Example:\n  concordat ledger verify workspace/node0/ledger");
  group->require_subcommand(1);
  const auto add = [&](const char* name, const char* description, const char* example, auto function)
  {
    std::shared_ptr<LedgerOptions> options;
    auto* const command = add_command(*group, run, name, description, example, function, options);
    command->add_option("directory", options->directories, "Ledger directories of one node")->required();
    command->add_option(
        "--service-cert", options->service_certificate, "Only what this service signed is proven (PEM file)");
    command->add_flag("--committed-only", options->committed_only, "Read only files that are complete and committed");
    command->add_flag("--recovery", options->recovery, "Read files of an unfinished recovery, too");
    command->add_flag("--strict", options->strict, "Take oddities of older writers, and an unsigned end, for errors");
    return std::pair(command, options);
  };
  add("verify", "Check framing, order, Merkle tree, signatures and certificates",
      "concordat ledger verify workspace/node0/ledger --service-cert workspace/common/service_cert.pem",
      run_ledger_verify);
  const auto [show, options] =
      add("show", "Print the public part of transactions",
          "concordat ledger show workspace/node0/ledger --table public:ccf.gov.members", run_ledger_show);
  show->add_option("--table", options->table, "Only tables whose name begins so");
  show->add_option("--txid", options->txid, "Only this transaction");
  show->add_flag("--full", options->full, "Whole values instead of their beginning");
}

void add_node_changes(CLI::App& group, Run& run)
{
  const auto add = [&](const char* name, const char* description, const char* example, auto function)
  {
    std::shared_ptr<NodeOptions> options;
    auto* const command = add_command(group, run, name, description, example, function, options);
    command->add_option("node", options->node_id, "Id of the node, or its first digits")->required();
    command->add_option("--control", options->control, "Control socket of the primary")->required();
    return std::pair(command, options);
  };
  const auto [trust, options] =
      add("trust", "Have a node take part that waits for it",
          "concordat node trust 5f0c1a22 --control node0/control.sock", run_node_trust);
  trust->add_option("--days", options->days, "How long its certificate is valid; as long as the service allows without")
      ->check(CLI::Range(1, 36'500));
  add("retire", "Have a node take part no longer; one that waits is forgotten",
      "concordat node retire 5f0c1a22 --control node0/control.sock", run_node_retire);
  add("remove", "Forget a node that takes part no longer",
      "concordat node remove 5f0c1a22 --control node0/control.sock", run_node_remove);
}

void add_node(CLI::App& app, Run& run)
{
  auto* const group = app.add_subcommand("node", "See the nodes of a service, add and take out nodes");
  group->footer("Example:\n  concordat node list --control node0/control.sock");
  group->require_subcommand(1);

  std::shared_ptr<NodeOptions> list_options;
  auto* const list = add_command(
      *group, run, "list", "Show the nodes of a service", "concordat node list --url https://127.0.0.1:8000",
      run_node_list, list_options);
  list->add_option("--control", list_options->control, "Control socket of a node, instead of its --url");
  add_connection_options(*list, list_options->connection);
  add_node_changes(*group, run);

  std::shared_ptr<NodeAddOptions> add_options;
  auto* const add = add_command(
      *group, run, "add",
      "Prepare a node that joins a service: makes its directory, with a configuration like that of a node there",
      "concordat node add --from node0/node.json --into node1 --rpc-address 127.0.0.1:8010 --node-address "
      "127.0.0.1:8011",
      run_node_add, add_options);
  add->add_option("--from", add_options->from, "Configuration file of a node of the service")->required();
  add->add_option("--into", add_options->into, "Directory of the new node")->required();
  add->add_option(
         "--rpc-address", add_options->rpc_addresses, "HOST:PORT for clients; NAME=HOST:PORT for each of several")
      ->required();
  add->add_option("--node-address", add_options->node_address, "HOST:PORT for other nodes")->required();
  add->add_option(
      "--service-cert", add_options->service_certificate, "Certificate of the service; the one that --from names");
}

void add_sandbox(CLI::App& app, Run& run)
{
  std::shared_ptr<SandboxOptions> options;
  auto* const command = add_command(
      app, run, "sandbox",
      "Run a local network in the foreground, with members and users whose keys lie in the workspace.\n"
      "Ctrl-C stops it; started again, it has all its data. For trying out only: it protects nothing.",
      "concordat sandbox --workspace workspace --nodes 3", run_sandbox, options);
  command->add_option("--workspace", options->workspace, "Directory for keys, configuration, ledger and logs")
      ->envname("CONCORDAT_WORKSPACE")
      ->capture_default_str();
  command->add_option("--nodes", options->nodes, "How many nodes a new workspace gets (1)")->check(CLI::Range(1, 9));
  command
      ->add_option(
          "--port", options->port,
          "Port of the first node on 127.0.0.1, the others have those behind it; 0 takes any that are free")
      ->check(CLI::Range(0, 65535));
  command->add_option("--members", options->members, "How many members a new workspace gets (3)")
      ->check(CLI::Range(1, 100));
  command->add_option("--users", options->users, "How many users a new workspace gets (1)")->check(CLI::Range(0, 100));
  command->add_option(
      "--node-binary", options->node_binary, "The node's program; concordatd beside this one otherwise");
  command->add_option("--timeout", options->timeout_seconds, "Seconds to wait until the service is open")
      ->capture_default_str();
  command->add_flag("--fresh", options->fresh, "Remove what an earlier sandbox left in the workspace");
}

int report_failure(const Failure& failure, Console& console)
{
  console.err << "concordat: " << printable_lines(failure.cause) << (failure.cause.ends_with('\n') ? "" : "\n");
  if (!failure.next.empty())
    console.err << "  " << printable_lines(failure.next) << '\n';
  console.err << std::flush;
  return static_cast<int>(failure.exit);
}
}

int run(int argc, const char* const* argv, Console& console)
{
  CLI::App app("Concordat: agree on a ledger, on how it is run, and on your data", "concordat");
  app.footer(std::string("Example:\n  concordat sandbox\n\n") + exit_codes);
  app.set_version_flag("--version", std::string("concordat ") + CONCORDAT_VERSION);
  app.require_subcommand(1);
  Run run;
  add_keygen(app, run);
  add_submit(app, run);
  add_report(app, run);
  add_tx(app, run);
  add_receipt(app, run);
  add_ledger(app, run);
  add_snapshot(app, run);
  add_node(app, run);
  add_sandbox(app, run);

  try
  {
    app.parse(argc, argv);
  }
  catch (const CLI::ParseError& error)
  {
    std::ostringstream out;
    std::ostringstream err;
    const int code = app.exit(error, out, err);
    console.out << out.str() << std::flush;
    console.err << printable_lines(err.str()) << std::flush;
    return static_cast<int>(code == 0 ? Exit::ok : Exit::usage);
  }
  const auto outcome = run(console);
  console.out << std::flush;
  if (!console.out && reader_has_left())
    return static_cast<int>(Exit::ok);
  if (!outcome)
    return report_failure(outcome.error(), console);
  if (!console.out)
    return report_failure({Exit::failed, "the output could not be written"}, console);
  return static_cast<int>(Exit::ok);
}
}
