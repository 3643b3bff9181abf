#include "intake/unpack.h"

#include <cstdint>
#include <string>

#include <zlib.h>
#include <zstd.h>

namespace concordat::intake
{
namespace
{
constexpr std::size_t piece_size = 256 << 10;
constexpr std::uint64_t bomb_size = std::uint64_t{128} << 20;
constexpr std::uint64_t bomb_ratio = 200;

std::unexpected<Problem> damaged(const char* what)
{
  return refuse(std::string("the input is damaged ") + what, "fetch or make the file again; nothing was sent");
}

std::unexpected<Problem> cut_short(const char* what)
{
  return refuse(
      std::string("the input is ") + what + " data that ends too early", "fetch the file again; nothing was sent");
}

/// Counts both sides.
class Ratio
{
public:
  Attempt<void> add(std::uint64_t in, std::uint64_t out)
  {
    in_ += in;
    out_ += out;
    if (out_ > bomb_size && out_ / bomb_ratio > in_)
      return refuse(
          "the input unpacks to more than " + std::to_string(bomb_ratio) + " times its size, which no records do",
          "unpack it yourself if it is really what you want to submit");
    return {};
  }

private:
  std::uint64_t in_ = 0;
  std::uint64_t out_ = 0;
};

class Gzip final : public Unpacker
{
public:
  Gzip()
  {
    constexpr int gzip_only = 16 + MAX_WBITS;
    good_ = inflateInit2(&stream_, gzip_only) == Z_OK;
  }
  ~Gzip() override
  {
    inflateEnd(&stream_);
  }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  Attempt<void> feed(std::string_view packed, const Sink& sink) override
  {
    if (!good_)
      return damaged("gzip data");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
    bool full = false;
    while (stream_.avail_in > 0 || full)
    {
      if (at_end_ && !next_member())
        continue;
      const auto before = stream_.avail_in;
      stream_.next_out = reinterpret_cast<Bytef*>(piece_.data());
      stream_.avail_out = static_cast<uInt>(piece_.size());
      const int outcome = inflate(&stream_, Z_NO_FLUSH);
      const std::size_t size = piece_.size() - stream_.avail_out;
      if (outcome != Z_OK && outcome != Z_STREAM_END && outcome != Z_BUF_ERROR)
        return damaged("gzip data");
      if (auto fine = ratio_.add(before - stream_.avail_in, size); !fine)
        return fine;
      if (auto taken = sink({piece_.data(), size}); !taken)
        return taken;
      at_end_ = outcome == Z_STREAM_END;
      full = stream_.avail_out == 0 && !at_end_;
    }
    return {};
  }

  Attempt<void> finish() override
  {
    return at_end_ ? Attempt<void>{} : cut_short("gzip");
  }

private:
  /// Files that were joined have several members; what pads the last one is passed over.
  bool next_member()
  {
    if (*stream_.next_in == 0)
    {
      ++stream_.next_in;
      --stream_.avail_in;
      return false;
    }
    inflateReset(&stream_);
    at_end_ = false;
    return true;
  }

  z_stream stream_{};
  bool good_ = false;
  bool at_end_ = false;
  Ratio ratio_;
  std::string piece_ = std::string(piece_size, '\0');
};

class Zstd final : public Unpacker
{
public:
  ~Zstd() override
  {
    ZSTD_freeDCtx(context_);
  }
  Zstd() = default;
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;

  Attempt<void> feed(std::string_view packed, const Sink& sink) override
  {
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    bool full = false;
    while (in.pos < in.size || full)
    {
      ZSTD_outBuffer out{piece_.data(), piece_.size(), 0};
      const auto before = in.pos;
      left_ = ZSTD_decompressStream(context_, &out, &in);
      if (ZSTD_isError(left_) != 0)
        return damaged("zstd data");
      if (auto fine = ratio_.add(in.pos - before, out.pos); !fine)
        return fine;
      if (auto taken = sink({piece_.data(), out.pos}); !taken)
        return taken;
      full = out.pos == out.size && left_ != 0;
    }
    return {};
  }

  Attempt<void> finish() override
  {
    return left_ == 0 ? Attempt<void>{} : cut_short("zstd");
  }

private:
  ZSTD_DCtx* context_ = ZSTD_createDCtx();
  std::size_t left_ = 1;
  Ratio ratio_;
  std::string piece_ = std::string(piece_size, '\0');
};
}

std::unique_ptr<Unpacker> Unpacker::make(std::string_view first_bytes)
{
  if (first_bytes.starts_with("\x1f\x8b"))
    return std::make_unique<Gzip>();
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd"))
    return std::make_unique<Zstd>();
  return nullptr;
}
}
