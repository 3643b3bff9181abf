#include "machine.h"

#include "base/check.h"

#include <openssl/rand.h>

#include <algorithm>
#include <random>

namespace concordat::simulation
{
namespace
{
/// OpenSSL's interface for a random generator of one's own is deprecated without one that suits a test.
std::mt19937_64 openssl_random;

int fill(unsigned char* out, int size)
{
  for (int i = 0; i < size; ++i)
    out[i] = static_cast<unsigned char>(openssl_random());
  return 1;
}

/// What a disk that has not been told to fail does.
template <typename T> T works(Result<T> result)
{
  CHECK(result, "nothing is wrong with the disk now");
  if constexpr (!std::is_void_v<T>)
    return std::move(*result);
}
}

void seed_openssl(std::uint64_t seed)
{
  openssl_random.seed(seed);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  static const RAND_METHOD method = {[](const void*, int) { return 1; },         fill, [] {},
                                     [](const void*, int, double) { return 1; }, fill, [] { return 1; }};
  RAND_set_rand_method(&method);
#pragma GCC diagnostic pop
}

Files copy_of(base::FileSystem& files, const std::vector<base::Path>& directories)
{
  Files copy;
  for (const auto& directory : directories)
    if (files.exists(directory))
      for (const auto& name : works(files.list(directory)))
        copy[base::join(directory, name)] = works(files.read(base::join(directory, name)));
  return copy;
}

void put_back(base::FileSystem& files, const std::vector<base::Path>& directories, const Files& content)
{
  for (const auto& directory : directories)
  {
    works(files.make_directory(directory));
    works(files.sync_directory(base::parent(directory)));
    for (const auto& name : works(files.list(directory)))
      works(files.remove(base::join(directory, name)));
    for (const auto& [path, bytes] : content)
      if (base::parent(path) == directory)
      {
        const auto file = works(files.open(path, base::OpenMode::create));
        works(file->write_at(0, bytes));
        works(file->sync());
      }
    works(files.sync_directory(directory));
  }
}
}
