#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace concordat
{
using Seqno = std::uint64_t; ///< position in the ledger, the first is 1; 0 means "none"
using View = std::uint64_t;  ///< consensus term; the first view of a fresh service is 2

/// A SHA-256 digest.
using Digest = std::array<std::uint8_t, 32>;

/// Identifies a transaction; written `<view>.<seqno>`, both parts decimal and not zero.
struct TxId
{
  View view = 0;
  Seqno seqno = 0;

  auto operator<=>(const TxId&) const = default;

  std::string to_string() const
  {
    return std::to_string(view) + "." + std::to_string(seqno);
  }

  /// @return nothing unless the whole text is `<view>.<seqno>` with both parts ≥ 1 and below 2^63
  static std::optional<TxId> parse(std::string_view text)
  {
    TxId id;
    const char* const end = text.data() + text.size();
    const auto view = std::from_chars(text.data(), end, id.view);
    if (view.ec != std::errc{} || view.ptr == end || *view.ptr != '.')
      return std::nullopt;
    const auto seqno = std::from_chars(view.ptr + 1, end, id.seqno);
    const auto in_range = [](std::uint64_t n) { return n >= 1 && n < (std::uint64_t{1} << 63); };
    if (seqno.ec != std::errc{} || seqno.ptr != end || !in_range(id.view) || !in_range(id.seqno))
      return std::nullopt;
    return id;
  }
};

/// Walks entries of one map in ascending key order (bytes, unsigned). Starts before the first entry.
/// Key and value stay valid until the next call of `next` or the end of the transaction.
class Cursor
{
public:
  virtual ~Cursor() = default;
  /// Moves to the next entry; false at the end.
  virtual bool next() = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  /// The seqno at which this entry was last written; 0 for a write of the running transaction.
  virtual Seqno version() const = 0;
};

/// Thrown by the methods of a transaction for a map that whoever runs it may not read, or not write; the message names
/// the map. Nothing has been read or written then, and the transaction can go on. A handler that lets it through is
/// answered with 500.
///
/// An application reads and writes maps under names of its own, and reads those of governance (`public:ccf.gov.…`) and
/// of the framework (`public:ccf.internal.…`). Every other name that begins with `ccf.` or `public:ccf.` is closed to
/// it. Callers, members and users are looked up through the Context, not in tables.
class AccessDenied : public std::runtime_error
{
public:
  using std::runtime_error::runtime_error;
};

/// A consistent view of the store. Keys and values are bytes. A map whose name starts with `public:` stands in
/// clear in the ledger, any other is encrypted; a map that was never written is empty.
/// Used by one thread at a time.
class ReadTransaction
{
public:
  virtual ~ReadTransaction() = default;

  /// @return the value, valid until the transaction ends or the key is written by it; nothing if there is none
  virtual std::optional<std::string_view> get(std::string_view map, std::string_view key) = 0;

  /// The seqno at which the key was last written; nothing if it does not exist or this transaction wrote it.
  virtual std::optional<Seqno> version(std::string_view map, std::string_view key) = 0;

  /// Entries with from ≤ key < to; `to` absent means up to the end of the map.
  virtual std::unique_ptr<Cursor>
  scan(std::string_view map, std::string_view from = {}, std::optional<std::string_view> to = std::nullopt) = 0;

  /// Entries whose key starts with `prefix`.
  std::unique_ptr<Cursor> scan_prefix(std::string_view map, std::string_view prefix);

  bool has(std::string_view map, std::string_view key)
  {
    return get(map, key).has_value();
  }
};

/// A view of the store that can be written. Writes are seen by later reads of the same transaction, and by others
/// only once it is committed; if what it read has changed by then, it is run again from the start.
class Transaction : public ReadTransaction
{
public:
  virtual void put(std::string_view map, std::string_view key, std::string_view value) = 0;
  /// Removing a key that does not exist is recorded all the same.
  virtual void remove(std::string_view map, std::string_view key) = 0;
  /// A digest that the receipt of this transaction will carry; zeros unless set. The last call wins.
  virtual void set_claims_digest(const Digest& digest) = 0;
};

/// The smallest byte string greater than every string that starts with `prefix`; nothing if there is none.
inline std::optional<std::string> end_of_prefix(std::string_view prefix)
{
  std::string end{prefix};
  while (!end.empty())
  {
    if (static_cast<unsigned char>(end.back()) != 0xff)
    {
      end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
      return end;
    }
    end.pop_back();
  }
  return std::nullopt;
}

inline std::unique_ptr<Cursor> ReadTransaction::scan_prefix(std::string_view map, std::string_view prefix)
{
  const auto end = end_of_prefix(prefix);
  return end ? scan(map, prefix, *end) : scan(map, prefix);
}
}
