#pragma once

#include "consensus/engine_test_node.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

/// Messages of the raft crate made by hand, as a node that lies would.
namespace concordat::consensus::raw
{
// Numbers of fields and types in the messages of the raft crate (eraftpb.proto).
enum Field : unsigned
{
  type = 1,
  to = 2,
  from = 3,
  term = 4,
  log_term = 5,
  at_index = 6,
  entries = 7,
  commit = 8,
  snapshot = 9,
  reject = 10,
  reject_hint = 11,
  context = 12,
  request_snapshot = 13,
  priority = 16,
};
enum Type : std::uint64_t
{
  hup = 0,
  forwarded_proposal = 2,
  append = 3,
  append_response = 4,
  request_vote = 5,
  request_vote_response = 6,
  snapshot_message = 7,
  heartbeat = 8,
  heartbeat_response = 9,
  timeout_now = 14,
  read_index = 15,
  request_prevote = 17,
  request_prevote_response = 18,
};

inline void put_varint(std::string& out, std::uint64_t value)
{
  for (; value >= 128; value >>= 7)
    out.push_back(static_cast<char>(value | 128));
  out.push_back(static_cast<char>(value));
}

inline void put(std::string& out, unsigned field, std::uint64_t value)
{
  put_varint(out, field << 3);
  put_varint(out, value);
}

inline void put(std::string& out, unsigned field, const std::string& bytes)
{
  put_varint(out, field << 3 | 2);
  put_varint(out, bytes.size());
  out += bytes;
}

inline std::string entry(Index index, View entry_term, const std::string& data, std::uint64_t kind = 0)
{
  std::string out;
  put(out, 1, kind);
  put(out, 2, entry_term);
  put(out, 3, index);
  put(out, 4, data);
  return out;
}

/// One node's part of a change; kind 0 makes it a voter, 1 removes it, 2 makes it a learner.
inline std::string single_change(std::uint64_t kind, EngineId id)
{
  std::string out;
  if (kind != 0)
    put(out, 1, kind);
  put(out, 2, id);
  return out;
}

/// A change of the configuration; transition 0 is that of one node at most, 2 enters a joint configuration.
inline std::string change_bytes(std::uint64_t transition, const std::vector<std::string>& singles)
{
  std::string out;
  if (transition != 0)
    put(out, 1, transition);
  for (const auto& single : singles)
    put(out, 2, single);
  return out;
}

inline std::string change_entry(Index index, View entry_term, const std::string& change, const std::string& batch_bytes)
{
  auto out = entry(index, entry_term, change, 2);
  put(out, 6, batch_bytes);
  return out;
}

using Numbers = std::initializer_list<std::pair<Field, std::uint64_t>>;
using Blobs = std::initializer_list<std::pair<Field, std::string>>;

inline std::string message(Numbers numbers, Blobs blobs = {})
{
  std::string out;
  for (const auto& [field, value] : numbers)
    put(out, field, value);
  for (const auto& [field, value] : blobs)
    put(out, field, value);
  return out;
}

/// Node 2 of three: a follower in term 2 with entries 1 (empty) and 2 (a batch), of which 1 is committed.
struct HostileMessages : testing::Test
{
  TestNode node;

  void SetUp() override
  {
    node.id = 2;
    node.start({1, 2, 3}, 1);
    ASSERT_TRUE(node.engine->step(message(
        {{type, append}, {to, 2}, {from, 1}, {term, 2}, {commit, 1}},
        {{entries, entry(1, 2, "")}, {entries, entry(2, 2, batch(1).encode())}})));
    node.drain([](const Message&) {});
    ASSERT_EQ(node.log.last_index(), 2U);
    ASSERT_EQ(node.engine->commit(), 1U);
  }

  void refuses(ErrorCode code, const std::string& bytes, const char* what)
  {
    const auto stepped = node.engine->step(bytes);
    ASSERT_FALSE(stepped) << what;
    EXPECT_EQ(stepped.error().code, code) << what << ": " << stepped.error().message;
    EXPECT_FALSE(stepped.error().message.empty());
    EXPECT_FALSE(node.engine->has_ready()) << what << " left something to do";
    EXPECT_EQ(node.engine->term(), 2U);
    EXPECT_EQ(node.engine->leader(), 1U);
  }
};
}
