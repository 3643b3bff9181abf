#pragma once

#include "attestation/virtual_platform.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "crypto/certificate.h"
#include "kv/write_set.h"
#include "ledger/chunk_format.h"
#include "ledger/chunk_name.h"
#include "ledger/entry.h"
#include "ledger/merkle.h"
#include "node/node.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

/// Whole nodes on real directories, which a test copies, puts back and damages while no node runs in them.
namespace concordat::node::test
{
class NoApplication : public Application
{
public:
  ApiInfo info() const override
  {
    return {"nothing", "does nothing", "1", {}};
  }
  std::vector<Endpoint> endpoints() override
  {
    return {};
  }
};

/// The transactions of a ledger as they lie there.
struct LedgerOnDisk
{
  std::vector<std::string> entries;
  std::filesystem::path last_file;

  ledger::MerkleTree tree() const
  {
    ledger::MerkleTree tree;
    for (const auto& entry : entries)
      tree.append(ledger::parse_entry(entry).value().leaf());
    return tree;
  }
  TxId last() const
  {
    return entries.empty() ? TxId{} : ledger::parse_entry(entries.back()).value().txid;
  }
  kv::WriteSet public_writes(Seqno seqno) const
  {
    kv::WriteSet writes;
    const auto entry = ledger::parse_entry(entries.at(seqno - 1)).value();
    EXPECT_TRUE(kv::decode(entry.public_maps, kv::Domain::public_maps, writes));
    return writes;
  }
};

class NodeOnDisk : public ::testing::Test
{
protected:
  using Folder = std::filesystem::path;

  NodeOnDisk()
  {
    std::string pattern = (std::filesystem::temp_directory_path() / "concordat_node_XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    const auto key = crypto::KeyPair::generate(crypto::Curve::p256);
    const auto member = crypto::self_signed(key, {"CN=member", {}, clock_.unix_seconds(), 10, false}).value();
    put(root_ / "member.pem", member.pem());
    platform_ = attestation::VirtualPlatform::open(files_, (root_ / "sealing.key").string(), Digest{}).value();
  }
  ~NodeOnDisk() override
  {
    std::filesystem::remove_all(root_);
  }

  Configuration configuration(const Folder& home) const
  {
    namespace json = boost::json;
    const auto in = [&](const char* name) { return (home / name).string(); };
    const json::object text{
        {"network",
         {{"node_to_node_interface", {{"bind_address", "127.0.0.1:0"}}},
          {"rpc_interfaces", {{"main", {{"bind_address", "127.0.0.1:0"}}}}}}},
        {"command",
         {{"type", "Start"},
          {"service_certificate_file", in("service_cert.pem")},
          {"start", {{"members", {{{"certificate_file", (root_ / "member.pem").string()}}}}}}}},
        {"ledger", {{"directory", in("ledger")}, {"chunk_size", chunk_size_}}},
        {"worker_threads", 1},
        {"output_files", {{"node_certificate_file", in("nodecert.pem")}, {"pid_file", in("node.pid")}}},
        {"concordat",
         {{"open_service", true}, {"sealed_directory", in("sealed")}, {"control_socket", in("control.sock")}}}};
    auto parsed = parse_configuration(json::serialize(text));
    EXPECT_TRUE(parsed) << parsed.error().describe();
    return std::move(*parsed);
  }
  Result<std::unique_ptr<Node>> start(const Folder& home, StartOptions options = {})
  {
    return start(configuration(home), options);
  }
  Result<std::unique_ptr<Node>> start(Configuration configuration, StartOptions options = {})
  {
    return Node::start(
        std::move(configuration), std::make_unique<NoApplication>(), files_, clock_, *platform_, options);
  }
  /// One life of a node: it starts, writes what a start writes, and stops.
  void live(const Folder& home, StartOptions options = {})
  {
    const auto node = start(home, options);
    ASSERT_TRUE(node) << node.error().describe();
  }
  /// The sentence with which a node refuses to start; its ledger must be as before.
  std::string refusal(const Folder& home, StartOptions options = {})
  {
    const auto before = contents(home / "ledger");
    const auto node = start(home, options);
    EXPECT_EQ(contents(home / "ledger"), before) << "nothing is changed";
    return node ? "started" : node.error().describe();
  }

  Folder copy(const Folder& from, const std::string& name)
  {
    std::filesystem::remove_all(root_ / name);
    std::filesystem::copy(from, root_ / name, std::filesystem::copy_options::recursive);
    return root_ / name;
  }
  static void put_back(const Folder& from, const Folder& to, const std::string& name)
  {
    std::filesystem::remove_all(to / name);
    std::filesystem::copy(from / name, to / name, std::filesystem::copy_options::recursive);
  }
  static void put(const Folder& path, const std::string& bytes)
  {
    base::RealFileSystem files;
    ASSERT_TRUE(files.replace(path.string(), bytes));
  }
  std::map<std::string, std::string> contents(const Folder& directory)
  {
    std::map<std::string, std::string> all;
    for (const auto& file : std::filesystem::directory_iterator(directory))
      all[file.path().filename().string()] = files_.read(file.path().string()).value();
    return all;
  }

  LedgerOnDisk ledger(const Folder& home)
  {
    LedgerOnDisk found;
    std::map<Seqno, Folder> chunks;
    for (const auto& file : std::filesystem::directory_iterator(home / "ledger"))
      if (const auto name = ledger::ChunkName::parse(file.path().filename().string()))
        chunks[name->first] = file.path();
    for (const auto& [first, path] : chunks)
    {
      const auto bytes = files_.read(path.string()).value();
      const auto table = base::Reader(bytes).le<std::uint64_t>().value();
      const auto end = table == 0 ? bytes.size() : static_cast<std::size_t>(table);
      for (std::size_t at = ledger::chunk_header_size; at < end;)
      {
        const auto entry = ledger::parse_entry(std::string_view(bytes).substr(at));
        if (!entry)
          break;
        found.entries.emplace_back(entry->bytes);
        at += entry->bytes.size();
      }
      found.last_file = path;
    }
    return found;
  }

  attestation::SealedFiles sealed_files()
  {
    return attestation::SealedFiles(files_, platform_->sealing_key());
  }
  Identity identity(const Folder& home)
  {
    auto sealed = sealed_files();
    return SealedState(files_, sealed, (home / "sealed").string()).load_identity().value();
  }
  consensus::DurableState durable(const Folder& home)
  {
    auto sealed = sealed_files();
    return SealedState(files_, sealed, (home / "sealed").string()).load().value();
  }

  base::RealFileSystem files_;
  base::SystemClock clock_;
  Folder root_;
  std::string chunk_size_ = "5MB"; ///< small, and a history of some starts has several chunks
  std::unique_ptr<attestation::VirtualPlatform> platform_;
};
}
