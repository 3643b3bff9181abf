#include "cli/snapshot.h"

#include "base/encoding.h"
#include "cli/whole_file.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "ledger/entry.h"
#include "ledger/snapshot.h"

namespace concordat::cli
{
namespace
{
constexpr std::uint64_t longest_receipt = 1 << 20;
}

Outcome run_snapshot_verify(const SnapshotOptions& options, Console& console)
{
  const auto bytes = read_whole(options.file, ledger::max_entry_size + longest_receipt);
  if (!bytes)
    return refuse(Exit::failed, "cannot read the snapshot: " + bytes.error().describe());
  const auto service = read_service_certificate(options.connection);
  if (!service)
    return std::unexpected(service.error());

  const auto snapshot = ledger::SnapshotFile::parse(*bytes);
  if (!snapshot)
    return refuse(Exit::not_verified, "this is not a snapshot: " + printable(snapshot.error().describe()));
  const auto proven = snapshot->verify(*service);
  if (!proven)
    return refuse(
        Exit::not_verified, "the snapshot does not verify: " + printable(proven.error().describe()),
        "do not rely on it; check that the certificate is that of the service that took it");
  console.out << "verified: the service signed evidence of the state at transaction "
              << TxId{snapshot->view(), snapshot->seqno}.to_string() << '\n'
              << "  digest   " << base::to_hex(base::as_view(crypto::sha256(snapshot->entry.bytes))) << '\n'
              << "  evidence " << proven->to_string() << '\n';
  return {};
}
}
