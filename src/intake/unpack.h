#pragma once

#include "intake/problem.h"

#include <functional>
#include <memory>
#include <string_view>

namespace concordat::intake
{
/// Unpacks a stream while it arrives. What unpacks to more than 128 MiB and 200 times its size is taken for a bomb.
class Unpacker
{
public:
  using Sink = std::function<Attempt<void>(std::string_view)>;

  /// By the magic number: gzip (RFC 1952) or zstd (RFC 8878); null for anything else.
  static std::unique_ptr<Unpacker> make(std::string_view first_bytes);

  virtual ~Unpacker() = default;
  virtual Attempt<void> feed(std::string_view packed, const Sink& sink) = 0;
  /// @return an error if the stream is not complete
  virtual Attempt<void> finish() = 0;
};
}
