#include "cli/progress.h"

#include <fmt/format.h>

namespace concordat::cli
{
Progress::~Progress()
{
  clear();
}

void Progress::clear()
{
  if (drawn_)
    console_.err << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

void Progress::show(std::uint64_t done, std::uint64_t total)
{
  const auto now = std::chrono::steady_clock::now();
  if (!console_.err_is_terminal || (done < total && now - last_ < std::chrono::milliseconds(100)))
    return;
  last_ = now;
  drawn_ = true;
  console_.err << "\r\x1b[K" << progress_line(done, total, std::chrono::duration<double>(now - begin_).count())
               << std::flush;
}

std::string progress_line(std::uint64_t done, std::uint64_t total, double seconds)
{
  constexpr std::uint64_t width = 30;
  const auto filled = static_cast<std::size_t>(width * done / total);
  const auto rate = seconds > 0 ? static_cast<std::uint64_t>(static_cast<double>(done) / seconds) : 0;
  return fmt::format(
      "[{}{}] {:3}%  {}/{} records  {}/s", std::string(filled, '#'), std::string(width - filled, '-'),
      100 * done / total, grouped(done), grouped(total), grouped(rate));
}
}
