#pragma once

#include "base/encoding.h"
#include "ledger/chunk_format.h"
#include "ledger/chunks.h"
#include "ledger/entry.h"
#include "ledger/secrets.h"
#include "ledger/test_files.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace concordat::ledger
{
inline const LedgerSecret test_secret(std::string(32, 'k'));
inline const LedgerSecrets test_secrets(test_secret);

inline std::string make_entry(Seqno seqno, std::uint8_t flags = 0, std::size_t size = 20)
{
  return encode_entry(test_secret, {2, seqno}, flags, {}, {}, std::string(size, static_cast<char>('a' + seqno % 26)))
      .bytes;
}

/// A ledger directory in memory with entries that differ by their seqno.
class Chunks : public testing::Test
{
protected:
  void open()
  {
    chunks.reset();
    auto opened = ChunkFiles::open(files, "ledger", *secrets, limits);
    ASSERT_TRUE(opened) << opened.error().describe();
    chunks = std::move(*opened);
  }
  /// Appends the next entries, one for each flags.
  void append(const std::vector<std::uint8_t>& flags)
  {
    std::vector<std::string> bytes;
    for (const auto flag : flags)
      bytes.push_back(make_entry(chunks->last() + 1 + bytes.size(), flag));
    const auto appended = chunks->append({bytes.begin(), bytes.end()});
    ASSERT_TRUE(appended) << appended.error().describe();
  }
  std::vector<std::string> names() const
  {
    return files.list("ledger").value();
  }
  void expect_entries(Seqno last) const
  {
    ASSERT_EQ(chunks->last(), last);
    auto stream = chunks->stream(1);
    for (Seqno seqno = 1; seqno <= last; ++seqno)
    {
      const auto read = chunks->read(seqno);
      ASSERT_TRUE(read) << read.error().describe();
      const auto streamed = stream.next();
      ASSERT_TRUE(streamed) << streamed.error().describe();
      ASSERT_EQ(*streamed, *read);
      const auto entry = parse_entry(*read);
      ASSERT_TRUE(entry && entry->open(test_secret)) << seqno;
      ASSERT_EQ(entry->txid.seqno, seqno);
    }
    ASSERT_FALSE(stream.next().value());
    const auto beyond = chunks->read(last + 1);
    ASSERT_FALSE(beyond);
    EXPECT_EQ(beyond.error().code, ErrorCode::not_found);
    EXPECT_FALSE(chunks->read(0));
  }
  void expect_refused(ErrorCode code, const std::string& naming)
  {
    const auto before = contents();
    const auto opened = ChunkFiles::open(files, "ledger", *secrets, limits);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, code);
    EXPECT_NE(opened.error().describe().find(naming), std::string::npos) << opened.error().describe();
    EXPECT_EQ(contents(), before) << "nothing is changed";
  }
  std::vector<std::string> contents() const
  {
    auto all = names();
    for (auto& name : all)
      name += ":" + files.get("ledger/" + name);
    return all;
  }

  MemoryFileSystem files;
  const LedgerSecrets* secrets = &test_secrets;
  ChunkLimits limits;
  std::unique_ptr<ChunkFiles> chunks;
};
}
