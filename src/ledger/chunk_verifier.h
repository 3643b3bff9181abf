#pragma once

#include "base/files.h"
#include "ledger/chunk_name.h"
#include "ledger/ledger_check.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace concordat::ledger
{
/// Reads one chunk file of any origin and hands its transactions to the check. Used by one thread.
class ChunkVerifier
{
public:
  /// @param is_last  no file follows: a node may be writing it, or have been killed while it did
  ChunkVerifier(const std::string& name, bool is_last, LedgerCheck& check, Findings& findings)
      : name_(name),
        is_last_(is_last),
        check_(check),
        findings_(findings)
  {
  }

  void run(std::shared_ptr<const base::File> file);

private:
  void complain(std::string text);
  Result<void> look();
  bool is_just_begun() const;
  Result<std::uint64_t> header() const;
  bool read_entries(std::uint64_t end);
  void judge_rest(std::uint64_t at, const std::string& why);
  bool grew();
  bool is_being_completed(std::uint64_t at);
  void compare_position(std::uint64_t at);
  void check_end(const ChunkName& named);

  const std::string& name_;
  bool is_last_;
  LedgerCheck& check_;
  Findings& findings_;
  std::shared_ptr<const base::File> file_;
  std::uint64_t size_ = 0;
  std::uint64_t table_ = 0;
  std::uint64_t count_ = 0;
  bool table_differs_ = false;
  std::string positions_buffer_;
  std::string_view positions_;
  std::uint64_t positions_at_ = 0;
  std::vector<std::uint32_t> positions_so_far_; ///< only of an incomplete chunk
};
}
