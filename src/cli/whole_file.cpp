#include "cli/whole_file.h"

#include "base/files.h"

#include <cerrno>
#include <cstring>
#include <ostream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace concordat::cli
{
namespace
{
std::unexpected<Error> failed(const std::string& what, const std::string& path)
{
  const auto code = errno == ENOENT ? ErrorCode::not_found : errno == ENOSPC ? ErrorCode::no_space : ErrorCode::io;
  return fail(code, what + " '" + path + "': " + std::strerror(errno));
}

class Descriptor
{
public:
  explicit Descriptor(int number, bool owned = true) : number_(number), owned_(owned) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor()
  {
    if (owned_ && number_ >= 0)
      ::close(number_);
  }
  int number() const
  {
    return number_;
  }

private:
  int number_;
  bool owned_;
};

Result<void> write_all(int descriptor, const std::string& path, std::string_view content)
{
  while (!content.empty())
  {
    const auto count = ::write(descriptor, content.data(), content.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return failed("cannot write", path);
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

/// Opened through /dev or /proc it belongs to somebody who has it open: a file put in its place would not be seen.
bool is_open_elsewhere(const std::string& path)
{
  return path.starts_with("/dev/") || path.starts_with("/proc/");
}
}

Result<std::string> read_whole(const std::string& path, std::uint64_t limit)
{
  const bool standard = path == "-";
  const std::string name = standard ? "standard input" : path;
  const Descriptor file(standard ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY), !standard);
  if (file.number() < 0)
    return failed("cannot open", name);
  std::string content;
  std::string piece(std::size_t{64} << 10, '\0');
  while (true)
  {
    const auto count = ::read(file.number(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return failed("cannot read", name);
    if (count == 0)
      return content;
    content.append(piece, 0, static_cast<std::size_t>(count));
    if (content.size() > limit)
      return fail(ErrorCode::limit, "'" + name + "' is larger than the limit of " + std::to_string(limit) + " bytes");
  }
}

Result<void> write_whole(const std::string& path, std::string_view content, std::ostream& to_standard_output)
{
  if (path == "-")
  {
    to_standard_output << content << std::flush;
    return to_standard_output ? Result<void>{} : fail(ErrorCode::io, "cannot write to standard output");
  }
  struct stat status = {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (!exists && errno != ENOENT)
    return failed("cannot write", path);
  if (!is_open_elsewhere(path) && (!exists || S_ISREG(status.st_mode)))
    return base::RealFileSystem().replace(path, content);
  // Appending leaves what others wrote before into the same open file.
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY));
  if (file.number() < 0)
    return failed("cannot open", path);
  return write_all(file.number(), path, content);
}
}
