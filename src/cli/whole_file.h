#pragma once

#include "concordat/error.h"

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

namespace concordat::cli
{
/// What a path names to its user: `-` is standard input or output; pipes, devices and links are used as they are.

/// Everything up to the end, whatever size the file system tells: pipes and files of /proc have none.
/// @return Error::limit when there are more than `limit` bytes; the errors of the file
Result<std::string> read_whole(const std::string& path, std::uint64_t limit);

/// Writes to what is there. A regular file, or one that does not exist yet, holds either the old or the new content,
/// never a part; a link is followed and stays; a pipe (which waits for its reader) or a device is written to and stays.
/// @param to_standard_output  for `-`
Result<void> write_whole(const std::string& path, std::string_view content, std::ostream& to_standard_output);
}
