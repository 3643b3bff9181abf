#include "http/parser.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <vector>

namespace concordat::http
{
namespace
{
using namespace std::string_literals;
using Outcome = RequestParser::Outcome;

struct Seen
{
  std::vector<Request> requests;
  Outcome end = Outcome::need_more;
  std::string excerpt;
};

/// Feeds pieces of the given size, as a connection does.
Seen parse(std::string_view bytes, std::size_t piece_size = 1 << 20, const Limits& limits = {})
{
  Seen seen;
  RequestParser parser(limits);
  for (std::size_t at = 0; at < bytes.size(); at += piece_size)
  {
    auto piece = bytes.substr(at, piece_size);
    while (!piece.empty())
    {
      const auto step = parser.feed(piece);
      piece.remove_prefix(step.consumed);
      if (step.outcome == Outcome::complete)
        seen.requests.push_back(parser.take());
      else if (step.outcome != Outcome::need_more)
      {
        seen.end = step.outcome;
        seen.excerpt = parser.excerpt();
        return seen;
      }
    }
  }
  return seen;
}

Outcome outcome(std::string_view bytes, const Limits& limits = {})
{
  const auto whole = parse(bytes, 1 << 24, limits);
  const auto dripped = parse(bytes, 1, limits);
  EXPECT_EQ(whole.end, dripped.end) << bytes.substr(0, 200);
  EXPECT_EQ(whole.requests.size(), dripped.requests.size()) << bytes.substr(0, 200);
  return whole.end != Outcome::need_more ? whole.end : whole.requests.empty() ? Outcome::need_more : Outcome::complete;
}

class Malformed : public testing::TestWithParam<std::string>
{
};

TEST_P(Malformed, IsRefusedWholeAndByteByByte)
{
  EXPECT_EQ(outcome(GetParam()), Outcome::malformed);
}

INSTANTIATE_TEST_SUITE_P(
    OfTheSheet, Malformed,
    testing::Values(
        "NONSENSE\r\n\r\n", "GET\r\n\r\n", "\0\1\2\3\r\n\r\n"s, "FOO /app/commit HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /app/commit HTTP/9\r\n\r\n", "GET /app/commit HTTP/1.1\r\nhost: x\r\nno colon here\r\n\r\n",
        "POST /app/commit HTTP/1.1\r\nhost: x\r\ncontent-length: abc\r\n\r\n",
        "POST /app/commit HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "POST /app/commit HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /app/commit HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
        "GET /app/commit HTTP/1.1\nhost: x\n\n", "get /app/commit HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /app/commit and more HTTP/1.1\r\nhost: x\r\n\r\n", "GET /app/comm\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /app/commit HTTP/1.1\r\nhost: x\r\nx-a: a\0b\r\n\r\n"s, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));

INSTANTIATE_TEST_SUITE_P(
    Beyond, Malformed,
    testing::Values(
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: identity\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n",
        "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5, 6\r\n\r\nhello!",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0x5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: \r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 18446744073709551616\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\nhello\n0\n\n\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;a=\"\r\n0\r\n\r\nGET / HTTP/1.1\r\nhost: "
        "x\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;a\rb\r\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n;a\r\nx\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n: x\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\nc: d\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\na: b\r\n folded\r\n\r\n", "GET / HTTP/1.1\r\n a: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\na : b\r\n\r\n", "GET / HTTP/1.1\r\nhost: x\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\na: b\rc: d\r\n\r\n", "GET / HTTP/1.1\r\nhost: x\r\na: b\r\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\na: b\nc: d\r\n\r\n", "GET  / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /  HTTP/1.1\r\nhost: x\r\n\r\n", "GET / HTTP/1.1 \r\n\r\n", "GET / http/1.1\r\n\r\n",
        "GET / HTTP/0.9\r\n\r\n", "GET / HTTP/1.2\r\n\r\n", "GET /\x7f HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /a\tb HTTP/1.1\r\nhost: x\r\n\r\n", "GET commit HTTP/1.1\r\nhost: x\r\n\r\n",
        "\nGET / HTTP/1.1\r\nhost: x\r\n\r\n", "\r\rGET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "\rGET / HTTP/1.1\r\nhost: x\r\n\r\n", " GET / HTTP/1.1\r\nhost: x\r\n\r\n", "\x16\x03\x01\x02\x01\x01",
        "GeT / HTTP/1.1\r\nhost: x\r\n\r\n", "G\xc3\x84T / HTTP/1.1\r\nhost: x\r\n\r\n"));

class WellFormed : public testing::TestWithParam<std::string>
{
};

TEST_P(WellFormed, IsOneRequestWholeAndByteByByte)
{
  EXPECT_EQ(outcome(GetParam()), Outcome::complete);
  EXPECT_EQ(parse(GetParam()).requests.size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(
    Requests, WellFormed,
    testing::Values(
        "GET / HTTP/1.1\r\nhost: x\r\n\r\n", "GET /app/commit HTTP/1.0\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n", "TRACE / HTTP/1.1\r\nhost: x\r\n\r\n",
        "PATCH / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab", "DELETE /x HTTP/1.1\r\nhost: x\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", "CONNECT host:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        "M-SEARCH /x HTTP/1.1\r\nhost: x\r\n\r\n", "GET http://host/app HTTP/1.1\r\nhost: other\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nx:\r\ny:  \t \r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nx: \xc3\xa4\xff\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;ext=\"v\"\r\na\r\n00\r\ntrailer: "
        "x\r\n\r\n"));

TEST(RequestParser, SplitsARequestIntoItsParts)
{
  const auto seen =
      parse("POST /app/x%20y?a=%41#f HTTP/1.1\r\nHost: h\r\nX-MiXeD:  Kept As Is \r\ncontent-length: 5\r\n\r\nhello");
  ASSERT_EQ(seen.requests.size(), 1U);
  const auto& request = seen.requests.front();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/app/x%20y");
  EXPECT_EQ(request.query, "a=A");
  EXPECT_EQ(request.headers, (Headers{{"host", "h"}, {"x-mixed", "Kept As Is"}, {"content-length", "5"}}));
  EXPECT_EQ(request.body, "hello");
}

TEST(RequestParser, JoinsChunksAndLeavesTrailersOut)
{
  const auto seen = parse("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n "
                          "world\r\n0\r\nx-user: root\r\n\r\n"
                          "GET /next HTTP/1.1\r\nhost: x\r\n\r\n");
  ASSERT_EQ(seen.requests.size(), 2U);
  EXPECT_EQ(seen.requests[0].body, "hello world");
  EXPECT_EQ(find_header(seen.requests[0].headers, "x-user"), std::nullopt);
  EXPECT_EQ(seen.requests[1].path, "/next");
}

TEST(RequestParser, KeepsTheConnectionAsTheClientSays)
{
  const auto keeps = [](std::string_view bytes)
  {
    RequestParser parser{Limits{}};
    EXPECT_EQ(parser.feed(bytes).outcome, Outcome::complete);
    parser.take();
    return parser.keep_alive();
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nhost: x\r\nConnection: foo, Close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"));
}

TEST(RequestParser, AsksForContinueOnceAndOnlyWhileTheBodyIsMissing)
{
  const std::string head = "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
  RequestParser parser{Limits{}};
  EXPECT_EQ(parser.feed(head).outcome, Outcome::need_more);
  EXPECT_TRUE(parser.take_continue());
  EXPECT_FALSE(parser.take_continue());
  EXPECT_EQ(parser.feed("ab").outcome, Outcome::complete);
  parser.take();
  EXPECT_EQ(parser.feed(head + "ab").outcome, Outcome::complete);
  EXPECT_FALSE(parser.take_continue());
}

TEST(RequestParser, LimitsAreOfEachNameAndValue)
{
  Limits limits;
  limits.max_header_size = 100;
  const auto with = [](std::size_t name, std::size_t value)
  { return "GET / HTTP/1.1\r\nhost: x\r\n" + std::string(name, 'n') + ": " + std::string(value, 'v') + "  \r\n\r\n"; };
  EXPECT_EQ(outcome(with(100, 100), limits), Outcome::complete);
  EXPECT_EQ(outcome(with(101, 1), limits), Outcome::header_too_large);
  EXPECT_EQ(outcome(with(1, 101), limits), Outcome::header_too_large);
  EXPECT_EQ(outcome("GET / HTTP/1.1\r\nhost: x\r\n" + std::string(100, 'n') + "\r\n\r\n", limits), Outcome::malformed);
}

TEST(RequestParser, UnfinishedHeaderLineCounts)
{
  Limits limits;
  limits.max_header_size = 100;
  const std::string start = "GET / HTTP/1.1\r\nhost: x\r\n";
  EXPECT_EQ(outcome(start + std::string(101, 'n'), limits), Outcome::header_too_large);
  EXPECT_EQ(outcome(start + "x: " + std::string(101, 'v'), limits), Outcome::header_too_large);
  EXPECT_EQ(outcome(start + "x: " + std::string(2000, ' '), limits), Outcome::header_too_large);
  EXPECT_EQ(outcome(start + "x: " + std::string(100, 'v'), limits), Outcome::need_more);
}

TEST(RequestParser, NumberOfHeadersIsLimited)
{
  Limits limits;
  limits.max_headers_count = 10;
  const auto with = [](int count)
  {
    std::string text = "GET / HTTP/1.1\r\nhost: x\r\n";
    for (int i = 0; i < count; ++i)
      text += "x-" + std::to_string(i) + ": v\r\n";
    return text + "\r\n";
  };
  EXPECT_EQ(outcome(with(9), limits), Outcome::complete);
  EXPECT_EQ(outcome(with(10), limits), Outcome::header_too_large);
}

TEST(RequestParser, BodyLimitCountsBothFramings)
{
  Limits limits;
  limits.max_body_size = 10;
  const std::string start = "POST / HTTP/1.1\r\nhost: x\r\n";
  EXPECT_EQ(outcome(start + "content-length: 10\r\n\r\n0123456789", limits), Outcome::complete);
  EXPECT_EQ(outcome(start + "content-length: 11\r\n\r\n", limits), Outcome::body_too_large);
  const std::string chunked = start + "transfer-encoding: chunked\r\n\r\n";
  EXPECT_EQ(outcome(chunked + "6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n", limits), Outcome::complete);
  EXPECT_EQ(outcome(chunked + "6\r\n012345\r\n5\r\n", limits), Outcome::body_too_large);
  EXPECT_EQ(outcome(chunked + "ffffffffffffffff\r\n", limits), Outcome::body_too_large);
}

TEST(RequestParser, TargetOfOneMegabyteIsServed)
{
  const auto seen = parse("GET /x?" + std::string(1 << 20, 'y') + " HTTP/1.1\r\nhost: x\r\n\r\n", 16384);
  ASSERT_EQ(seen.requests.size(), 1U);
  EXPECT_EQ(seen.requests.front().query.size(), std::size_t{1} << 20);
}

TEST(RequestParser, HoldsWhatHasComeAndLetsGoOfIt)
{
  const std::string start = "GET /" + std::string(1 << 20, 'y');
  RequestParser parser(Limits{});
  EXPECT_LT(parser.held(), 1024U);
  for (std::size_t at = 0; at < start.size(); at += 16384)
    parser.feed(std::string_view(start).substr(at, 16384));
  EXPECT_GE(parser.held(), start.size());
  EXPECT_LE(parser.held(), 2 * start.size() + 32768) << "it grows with what comes";
  EXPECT_EQ(parser.feed(" HTTP/1.1\r\nhost: x\r\n\r\n").outcome, Outcome::complete);
  parser.take();
  EXPECT_LT(parser.held(), 8192U) << "one large head is no reason to keep the memory";

  parser.feed("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n");
  EXPECT_LT(parser.held(), 8192U) << "a length that is declared takes nothing";
  parser.feed(std::string(500'000, 'b'));
  EXPECT_GE(parser.held(), 500'000U);
  parser.abandon();
  EXPECT_LT(parser.held(), 1024U);

  RequestParser refusing(Limits{});
  refusing.feed(start);
  EXPECT_EQ(refusing.feed(std::string(2 << 20, 'y')).outcome, Outcome::header_too_large);
  EXPECT_LT(refusing.held(), 1024U);
}

TEST(RequestParser, HeadIsBoundedAsAWhole)
{
  EXPECT_EQ(parse("GET /" + std::string(3 << 20, 'y'), 16384).end, Outcome::header_too_large);
  std::string many = "GET / HTTP/1.1\r\nhost: x\r\n";
  for (int i = 0; i < 200; ++i)
    many += "x-" + std::to_string(i) + ": " + std::string(16000, 'v') + "\r\n";
  EXPECT_EQ(parse(many, 16384).end, Outcome::header_too_large);
}

TEST(RequestParser, ChunkLineAndTrailersAreBounded)
{
  const std::string start = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
  EXPECT_EQ(parse(start + "5;" + std::string(100'000, 'e'), 16384).end, Outcome::malformed);
  EXPECT_EQ(parse(start + "0\r\nx: " + std::string(100'000, 'e'), 16384).end, Outcome::malformed);
}

TEST(RequestParser, BrokenChunkIsRefusedAtTheSameByteHoweverItIsCut)
{
  const std::string start = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
  // How much of it is good.
  const std::pair<std::string, std::size_t> cases[] = {{"5\r\nhello0\rH\n", 8}, {"5\r\nhelloXX0\r", 8}, {"z\r\n", 0}};
  for (const auto& [rest, good] : cases)
    for (std::size_t size = 0; size <= rest.size(); ++size)
      EXPECT_EQ(outcome(start + rest.substr(0, size)), size <= good ? Outcome::need_more : Outcome::malformed)
          << size << " bytes of " << rest;
}

TEST(RequestParser, ExcerptIsPrintableAndShort)
{
  EXPECT_EQ(parse("NONSENSE\r\n\r\n").excerpt, "NONSENSE....");
  EXPECT_EQ(parse("\x01\x1b[31mred").excerpt, "..[31mred");
  EXPECT_EQ(parse("GET /" + std::string(1000, '\xff') + " HTTP/1.1\r\nhost: x\r\n\r\n").excerpt.size(), 64U);
}

const std::vector<std::string>& samples()
{
  static const std::vector<std::string> all = {
      "GET /app/commit HTTP/1.1\r\nhost: x\r\n\r\n",
      "\r\nPOST /app/log?id=1 HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\nhello world",
      "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n "
      "\r\n5\r\nworld\r\n0\r\nt: "
      "x\r\n\r\n",
      "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      "PUT /x HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n"};
  return all;
}

TEST(RequestParser, CutsMakeNoDifference)
{
  rc::check(
      "any split gives the same requests",
      []
      {
        std::string text;
        for (const auto index : *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 5)))
          text += samples()[index];
        const auto whole = parse(text);
        const auto pieces = parse(text, *rc::gen::inRange<std::size_t>(1, 40));
        RC_ASSERT(whole.end == Outcome::need_more && pieces.end == Outcome::need_more);
        RC_ASSERT(whole.requests.size() == pieces.requests.size());
        for (std::size_t i = 0; i < whole.requests.size(); ++i)
        {
          RC_ASSERT(whole.requests[i].path == pieces.requests[i].path);
          RC_ASSERT(whole.requests[i].headers == pieces.requests[i].headers);
          RC_ASSERT(whole.requests[i].body == pieces.requests[i].body);
        }
      });
}

TEST(RequestParser, HostileBytesGiveTheSameVerdictHoweverTheyAreCut)
{
  rc::check(
      "mutated requests",
      []
      {
        std::string text =
            samples()[*rc::gen::inRange<std::size_t>(0, 5)] + samples()[*rc::gen::inRange<std::size_t>(0, 5)];
        for (int i = *rc::gen::inRange(1, 4); i > 0; --i)
        {
          const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
          const auto byte = *rc::gen::element('\r', '\n', ' ', ':', '\0', '0', 'f', ';', '\xff', 'A');
          switch (*rc::gen::inRange(0, 3))
          {
          case 0:
            text[at] = byte;
            break;
          case 1:
            text.insert(at, 1, byte);
            break;
          default:
            text.erase(at, 1);
          }
        }
        const auto whole = parse(text);
        const auto pieces = parse(text, *rc::gen::inRange<std::size_t>(1, 20));
        RC_ASSERT(whole.requests.size() == pieces.requests.size());
        RC_ASSERT(whole.end == pieces.end);
        for (std::size_t i = 0; i < whole.requests.size(); ++i)
        {
          RC_ASSERT(whole.requests[i].method == pieces.requests[i].method);
          RC_ASSERT(whole.requests[i].path == pieces.requests[i].path);
          RC_ASSERT(whole.requests[i].query == pieces.requests[i].query);
          RC_ASSERT(whole.requests[i].headers == pieces.requests[i].headers);
          RC_ASSERT(whole.requests[i].body == pieces.requests[i].body);
        }
      });
}
}
}
