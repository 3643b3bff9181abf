#include "intake/input_bytes.h"

#include "intake/recognise.h"
#include "intake/unpack.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace concordat::intake
{
namespace
{
constexpr std::size_t head_size = 64 << 10;
constexpr std::size_t piece_size = 1 << 20;

class Descriptor
{
public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor()
  {
    // Standard input stays open: it is not ours.
    if (number_ > STDIN_FILENO)
      ::close(number_);
  }
  int number() const
  {
    return number_;
  }

private:
  int number_;
};

int open_temporary()
{
  const char* const wanted = std::getenv("TMPDIR");
  const std::string directory = wanted != nullptr && *wanted != '\0' ? wanted : "/tmp";
  const int file = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0)
    return file;
  std::string pattern = directory + "/concordat-XXXXXX";
  const int named = ::mkostemp(pattern.data(), O_CLOEXEC);
  if (named >= 0)
    ::unlink(pattern.c_str());
  return named;
}

Attempt<Descriptor> open_input(const std::string& path)
{
  if (path == "-")
    return Descriptor(STDIN_FILENO);
  const int number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (number < 0)
    return refuse("cannot read the input '" + path + "': " + std::strerror(errno), "check the name of the file");
  Descriptor opened(number);
  struct stat status = {};
  if (::fstat(number, &status) == 0 && S_ISDIR(status.st_mode))
    return refuse("'" + path + "' is a directory", "name a file in it");
  return opened;
}

/// What the first bytes say; the rest is not read if it says that these are no records.
Attempt<void> check_beginning(const Spool& spool)
{
  if (const auto what = recognise(spool.head()))
    return refuse("the input is " + what->what, what->next);
  return {};
}
}

Spool::~Spool()
{
  if (file_ >= 0)
    ::close(file_);
}

Attempt<void> Spool::append(std::string_view bytes)
{
  if (bytes.size() > limit_ - size_)
    return refuse(
        fmt::format("the input is larger than the limit of {} bytes for one submission", limit_),
        "submit it in several files");
  size_ += bytes.size();
  if (head_.size() < head_size)
    head_.append(bytes.substr(0, head_size - head_.size()));
  if (file_ < 0 && memory_.size() + bytes.size() <= in_memory_)
  {
    memory_.append(bytes);
    return {};
  }
  if (file_ < 0)
  {
    file_ = open_temporary();
    if (file_ < 0)
      return refuse(
          std::string("cannot keep the input in a temporary file: ") + std::strerror(errno),
          "make room in /tmp, or choose another directory with TMPDIR");
    if (auto written = write_out(memory_); !written)
      return written;
    memory_ = {};
  }
  return write_out(bytes);
}

Attempt<void> Spool::write_out(std::string_view bytes)
{
  while (!bytes.empty())
  {
    const auto count = ::write(file_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return refuse(
          std::string("cannot keep the input in a temporary file: ") + std::strerror(errno),
          "make room in /tmp, or choose another directory with TMPDIR");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Attempt<InputBytes> Spool::finish()
{
  if (file_ < 0)
  {
    const auto owner = std::make_shared<const std::string>(std::move(memory_));
    return InputBytes(owner, *owner);
  }
  const auto size = static_cast<std::size_t>(size_);
  void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file_, 0);
  if (mapped == MAP_FAILED)
    return refuse(std::string("cannot map the temporary file: ") + std::strerror(errno));
  std::shared_ptr<const void> owner(mapped, [size](const void* memory) { ::munmap(const_cast<void*>(memory), size); });
  return InputBytes(owner, {static_cast<const char*>(mapped), size});
}

Attempt<InputBytes> read_input(const std::string& path)
{
  auto input = open_input(path);
  if (!input)
    return std::unexpected(input.error());

  Spool spool;
  std::unique_ptr<Unpacker> unpacker;
  bool begun = false;
  bool checked = false;
  const auto sink = [&](std::string_view bytes) -> Attempt<void>
  {
    if (auto kept = spool.append(bytes); !kept)
      return kept;
    if (checked || spool.size() < head_size)
      return {};
    checked = true;
    return check_beginning(spool);
  };

  std::string piece(piece_size, '\0');
  std::string first; // until there are enough bytes to tell what packed them
  while (true)
  {
    const auto count = ::read(input->number(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return refuse("cannot read the input '" + path + "': " + std::strerror(errno));
    std::string_view bytes(piece.data(), static_cast<std::size_t>(count));
    if (!begun)
    {
      first += bytes;
      if (first.size() < 4 && count > 0)
        continue;
      begun = true;
      unpacker = Unpacker::make(first);
      bytes = first;
    }
    if (auto taken = unpacker ? unpacker->feed(bytes, sink) : sink(bytes); !taken)
      return std::unexpected(taken.error());
    if (count == 0)
      break;
  }
  if (unpacker)
    if (auto complete = unpacker->finish(); !complete)
      return std::unexpected(complete.error());
  if (!checked)
    if (auto good = check_beginning(spool); !good)
      return std::unexpected(good.error());
  return spool.finish();
}
}
