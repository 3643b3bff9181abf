#include "crypto/hash.h"
#include "kv/snapshot_bytes.h"
#include "ledger/snapshot.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

/// What is read as the maps of a snapshot is never more than was there, and what is read as a snapshot file can be read
/// on: the maps behind its head, and what stands behind it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  using namespace concordat;
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const auto read = [](std::string_view maps, Seqno last)
  {
    kv::State state;
    if (!kv::decode_snapshot(maps, kv::Domain::public_maps, last, state))
      return;
    std::string again;
    kv::encode_snapshot(state, kv::Domain::public_maps, again);
    kv::State same;
    // What is left out are keys that were removed: old releases kept them.
    if (again.size() > maps.size() || !kv::decode_snapshot(again, kv::Domain::public_maps, last, same))
      std::abort();
  };
  read(bytes, 1'000);
  if (const auto snapshot = ledger::SnapshotFile::parse(bytes))
  {
    if (snapshot->entry.bytes.size() + snapshot->receipt.size() != size || snapshot->seqno == 0)
      std::abort();
    read(snapshot->public_maps, snapshot->seqno);
  }
  return 0;
}
