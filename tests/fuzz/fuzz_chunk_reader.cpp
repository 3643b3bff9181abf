#include "base/simulated_files.h"
#include "ledger/chunks.h"
#include "ledger/entry.h"
#include "ledger/verifier.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace
{
using namespace concordat;

constexpr std::string_view names[] = {
    "ledger_1",
    "ledger_1-2.committed",
    "ledger_3",
    "ledger_3-4.committed",
    "ledger_5",
    "ledger_1-2",
    "ledger_2",
    "ledger_5-5.committed.recovery",
    "ledger_5.recovery",
    "ledger_1.ignored",
    "ledger_1-1.committed",
    "ledger_2-4.committed"};

void require(bool holds)
{
  if (!holds)
    std::abort();
}

/// The input is a list of files: one byte for the name, two for the length, and the content. The last may be short.
/// All of it is on the disk.
void write_files(base::FileSystem& files, std::string_view input)
{
  require(files.make_directory("ledger").has_value());
  while (input.size() >= 3)
  {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(input[at]); };
    const auto path = base::join("ledger", names[byte(0) % std::size(names)]);
    const auto content = input.substr(3, byte(1) | std::size_t{byte(2)} << 8);
    input.remove_prefix(3 + content.size());
    if (auto file = files.open(path, base::OpenMode::create))
      require((*file)->write_at(0, content) && (*file)->sync());
  }
  require(files.sync_directory("ledger").has_value());
}

/// Reads everything in both ways; what is refused is refused by an error.
void read_all(const ledger::ChunkFiles& chunks)
{
  auto stream = chunks.stream(1);
  bool sound = true;
  for (Seqno seqno = 1; seqno <= chunks.last(); ++seqno)
  {
    const auto read = chunks.read(seqno);
    if (read)
      require(ledger::entry_seqno(*read) == seqno);
    if (!sound)
      continue;
    const auto streamed = stream.next();
    sound = streamed.has_value();
    require(!sound || streamed->has_value());
    require(!sound || ledger::entry_seqno(**streamed) == seqno);
    require(chunks.in_committed_file(seqno) || (sound && read && *read == **streamed));
  }
}
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  static const ledger::LedgerSecret secret(std::string(32, 'k'));
  static const ledger::LedgerSecrets secrets(secret);
  base::SimulatedFileSystem files(1);
  write_files(files, {reinterpret_cast<const char*>(data), size});

  ledger::VerifyOptions options;
  options.recovery = size % 2 == 0;
  (void)ledger::verify_ledger(files, {"ledger"}, options);

  Seqno last = 0;
  {
    const auto chunks = ledger::ChunkFiles::open(files, "ledger", secrets);
    if (!chunks)
      return 0;
    last = (*chunks)->last();
    read_all(**chunks);
  }
  // Opening leaves a directory that is sound, durable, and can be written on.
  files.crash();
  auto again = ledger::ChunkFiles::open(files, "ledger", secrets);
  require(again && (*again)->last() == last && (*again)->opened().cut_bytes == 0);
  const auto entry = ledger::encode_entry(secret, {2, last + 1}, ledger::chunk_after, {}, {}, {}).bytes;
  require((*again)->append({entry}).has_value());
  require((*again)->read(last + 1).value() == entry);
  require((*again)->commit(last + 1).has_value());
  require((*again)->in_committed_file(last + 1));
  require((*again)->read(last + 1).value() == entry);
  return 0;
}
