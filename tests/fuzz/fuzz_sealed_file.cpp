#include "attestation/sealed_file.h"
#include "base/simulated_files.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace concordat;

/// No bytes but those that were sealed are ever read back: an input that is not, is refused.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  base::SimulatedFileSystem files(1);
  attestation::SealedFiles sealed(files, std::string(32, 'k'));
  (void)files.replace("file", {reinterpret_cast<const char*>(data), size});
  if (sealed.read("file", "purpose"))
    std::abort();

  // The same bytes as a change to a file that is good.
  if (!sealed.write("good", "purpose", "secret"))
    std::abort();
  auto content = *files.read("good");
  if (size < 3)
    return 0;
  const auto at = (static_cast<std::size_t>(data[0]) << 8 | data[1]) % content.size();
  content[at] = static_cast<char>(content[at] ^ data[2]);
  (void)files.replace("good", content);
  if (sealed.read("good", "purpose").has_value() != (data[2] == 0))
    std::abort();
  return 0;
}
