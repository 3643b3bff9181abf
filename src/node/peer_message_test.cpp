#include "node/peer_message.h"

#include <gtest/gtest.h>

namespace concordat::node
{
namespace
{
std::string joined(const peer::Payload& payload)
{
  std::string out;
  for (const auto piece : payload.pieces())
    out += piece;
  return out;
}

ForwardedRequest request()
{
  ForwardedRequest out;
  out.id = 7;
  out.view = 3;
  out.certificate = std::string("\0der", 4);
  out.request.method = "POST";
  out.request.path = "/app/write";
  out.request.query = "a=b";
  out.request.headers = {{"accept", "*/*"}, {"accept", ""}};
  out.request.body = std::string("\0body", 5);
  return out;
}
}

TEST(PeerMessage, ARequestArrivesAsItWas)
{
  const auto bytes = joined(*request().encode());
  const auto read = ForwardedRequest::decode(bytes);
  ASSERT_TRUE(read) << read.error().describe();
  const auto expected = request();
  EXPECT_EQ(read->id, expected.id);
  EXPECT_EQ(read->view, expected.view);
  EXPECT_EQ(read->certificate, expected.certificate);
  EXPECT_EQ(read->request.method, expected.request.method);
  EXPECT_EQ(read->request.path, expected.request.path);
  EXPECT_EQ(read->request.query, expected.request.query);
  EXPECT_EQ(read->request.headers, expected.request.headers);
  EXPECT_EQ(read->request.body, expected.request.body);
}

TEST(PeerMessage, HalfARequestIsNone)
{
  const auto bytes = joined(*request().encode());
  const auto head = bytes.size() - request().request.body.size();
  for (std::size_t size = 0; size < head; ++size)
  {
    const auto read = ForwardedRequest::decode(std::string_view(bytes).substr(0, size));
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().code, ErrorCode::invalid);
  }
}

TEST(PeerMessage, ARequestThatNoInterfaceTakesIsRefused)
{
  const auto refused = [](const std::function<void(Request&)>& change)
  {
    auto changed = request();
    change(changed.request);
    return !ForwardedRequest::decode(joined(*std::move(changed).encode()));
  };
  EXPECT_FALSE(refused([](Request&) {}));
  EXPECT_TRUE(refused([](Request& one) { one.method = ""; }));
  EXPECT_TRUE(refused([](Request& one) { one.method = "post"; }));
  EXPECT_TRUE(refused([](Request& one) { one.method = "POST /"; }));
  EXPECT_TRUE(refused([](Request& one) { one.method = std::string(33, 'A'); }));
  EXPECT_TRUE(refused([](Request& one) { one.path = "app"; }));
  EXPECT_TRUE(refused([](Request& one) { one.path = "/app\r\nx: y"; }));
  EXPECT_TRUE(refused([](Request& one) { one.headers = {{"", "value"}}; }));
  EXPECT_TRUE(refused([](Request& one) { one.headers = {{"a b", "value"}}; }));
  EXPECT_TRUE(refused([](Request& one) { one.headers = {{"a", "b\r\nc: d"}}; }));
}

TEST(PeerMessage, WhatIsTooLargeIsNotSent)
{
  auto large = request();
  large.request.body.assign(ForwardedRequest::body_limit + 1, 'x');
  EXPECT_EQ(std::move(large).encode().error().code, ErrorCode::limit);
  large = request();
  large.request.query.assign(ForwardedRequest::head_limit, 'x');
  EXPECT_EQ(std::move(large).encode().error().code, ErrorCode::limit);
  large = request();
  large.request.headers.assign(2000, {"a", "b"});
  EXPECT_EQ(std::move(large).encode().error().code, ErrorCode::limit);
  ForwardedAnswer answer;
  answer.response.body.assign(ForwardedAnswer::body_limit + 1, 'x');
  EXPECT_EQ(std::move(answer).encode().error().code, ErrorCode::limit);
}

TEST(PeerMessage, NoCountOfHeadersMakesMemory)
{
  std::string bytes(16, '\0');                 // id and view
  bytes += std::string(16, '\0');              // certificate, method, path, query
  bytes += std::string("\xff\xff\xff\xff", 4); // headers
  EXPECT_FALSE(ForwardedRequest::decode(bytes));
  EXPECT_FALSE(ForwardedRequest::decode(bytes + std::string(100, '\0')));
}

TEST(PeerMessage, AnAnswerArrivesAsItWas)
{
  ForwardedAnswer answer{9, true, Response::error(404, "ResourceNotFound", "no")};
  const auto expected = answer.response;
  const auto bytes = joined(*std::move(answer).encode());
  const auto read = ForwardedAnswer::decode(bytes);
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(read->id, 9U);
  EXPECT_TRUE(read->close);
  EXPECT_EQ(read->response.status, 404);
  EXPECT_EQ(read->response.headers, expected.headers);
  EXPECT_EQ(read->response.body, expected.body);
  for (std::size_t size = 0; size < bytes.size() - expected.body.size(); ++size)
    EXPECT_FALSE(ForwardedAnswer::decode(std::string_view(bytes).substr(0, size))) << size;
}

TEST(PeerMessage, AnAnswerEndsTheExchange)
{
  for (const int status : {0, 100, 199, 600, 65535})
  {
    ForwardedAnswer answer{1, false, Response::empty(status)};
    EXPECT_FALSE(ForwardedAnswer::decode(joined(*std::move(answer).encode()))) << status;
  }
}

TEST(PeerMessage, AMessageOfConsensusIsCutWhereItSays)
{
  const auto bytes = ConsensusMessage{"10.0.0.4:8081", "message", {}}.encode_head() + "batches";
  const auto read = ConsensusMessage::decode(bytes);
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(read->address, "10.0.0.4:8081");
  EXPECT_EQ(read->message, "message");
  EXPECT_EQ(read->batches, "batches");
  for (std::size_t size = 0; size < bytes.size() - 7; ++size)
    EXPECT_FALSE(ConsensusMessage::decode(std::string_view(bytes).substr(0, size))) << size;
  for (const auto* const address : {":1", "a:", "a b:1", "a", "a\n:1"})
    EXPECT_FALSE(ConsensusMessage::decode(ConsensusMessage{address, "message", {}}.encode_head())) << address;
}
TEST(PeerMessage, APlaceNamesATransaction)
{
  const auto bytes = joined(ForwardedPlace{7, {2, 9}}.encode());
  const auto read = ForwardedPlace::decode(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->id, 7U);
  EXPECT_EQ(read->txid, (TxId{2, 9}));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(ForwardedPlace::decode(bytes.substr(0, size)));
  EXPECT_FALSE(ForwardedPlace::decode(bytes + "x"));
  for (const auto& none : {TxId{0, 9}, TxId{2, 0}, TxId{2, std::uint64_t{1} << 63}})
    EXPECT_FALSE(ForwardedPlace::decode(joined(ForwardedPlace{7, none}.encode())));
}

TEST(PeerMessage, AnUpdateIsTwoTextsWithinItsLimit)
{
  const auto bytes = joined(*NodeUpdate{"{}", "pem"}.encode());
  const auto read = NodeUpdate::decode(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->changes, "{}");
  EXPECT_EQ(read->certificate_signing_request, "pem");
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(NodeUpdate::decode(bytes.substr(0, size)));
  EXPECT_FALSE(NodeUpdate::decode(bytes + "x"));
  EXPECT_FALSE((NodeUpdate{std::string(NodeUpdate::limit, 'x'), ""}.encode()));
  EXPECT_FALSE(NodeUpdate::decode(std::string(NodeUpdate::limit + 1, '\0')));
}

TEST(PeerMessage, AddressesAreReadAsTheyWereWritten)
{
  const NodeAddresses known{{{std::string(64, 'a'), "host:1"}, {std::string(64, 'b'), "other:2"}}};
  const auto bytes = joined(known.encode());
  const auto read = NodeAddresses::decode(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->addresses, known.addresses);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(NodeAddresses::decode(bytes.substr(0, size)));
  EXPECT_FALSE(NodeAddresses::decode(bytes + "x"));
  EXPECT_TRUE(NodeAddresses::decode(joined(NodeAddresses{}.encode())));
  for (const auto& wrong :
       {NodeAddresses{{{std::string(63, 'a'), "host:1"}}}, NodeAddresses{{{std::string(64, 'G'), "host:1"}}},
        NodeAddresses{{{std::string(64, 'a'), "host"}}}})
    EXPECT_FALSE(NodeAddresses::decode(joined(wrong.encode())));
  const auto one = bytes.substr(2, (bytes.size() - 2 - 1) / 2);
  EXPECT_FALSE(NodeAddresses::decode(std::string("\x02\0", 2) + one + one)) << "twice the same";
  EXPECT_FALSE(NodeAddresses::decode("\xff\xff")) << "too many";
}

TEST(PeerMessage, AnAbsenceNamesSomebody)
{
  const auto bytes = joined(AcceptedAbsence{7, {3, 5}}.encode());
  const auto read = AcceptedAbsence::decode(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->start, 7U);
  EXPECT_EQ(read->missing, (std::vector<consensus::EngineId>{3, 5}));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(AcceptedAbsence::decode(bytes.substr(0, size)));
  EXPECT_FALSE(AcceptedAbsence::decode(bytes + "x"));
  for (const auto& wrong :
       {AcceptedAbsence{7, {}}, AcceptedAbsence{0, {3}}, AcceptedAbsence{7, {0}},
        AcceptedAbsence{7, {std::uint64_t{1} << 63}}})
    EXPECT_FALSE(AcceptedAbsence::decode(joined(wrong.encode())));
}

TEST(PeerMessage, APieceSaysWhetherMoreFollows)
{
  auto bytes = joined(*ForwardedPiece{7, ForwardedPiece::End::broken, "x"}.encode());
  const auto read = ForwardedPiece::decode(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->id, 7U);
  EXPECT_EQ(read->end, ForwardedPiece::End::broken);
  EXPECT_EQ(read->bytes, "x");
  for (std::size_t size = 0; size < 9; ++size)
    EXPECT_FALSE(ForwardedPiece::decode(bytes.substr(0, size)));
  bytes[8] = 3;
  EXPECT_FALSE(ForwardedPiece::decode(bytes));
  EXPECT_FALSE((ForwardedPiece{7, {}, std::string(ForwardedPiece::limit + 1, 'x')}.encode()));
  EXPECT_FALSE(ForwardedPiece::decode(std::string(9 + ForwardedPiece::limit + 1, '\0')));
}

TEST(PeerMessage, MoreIsWantedOrNot)
{
  for (const bool wanted : {true, false})
  {
    auto bytes = joined(ForwardedMore{7, wanted}.encode());
    EXPECT_EQ(ForwardedMore::decode(bytes)->wanted, wanted);
    EXPECT_FALSE(ForwardedMore::decode(bytes + "x"));
    bytes.back() = 2;
    EXPECT_FALSE(ForwardedMore::decode(bytes));
    bytes.pop_back();
    EXPECT_FALSE(ForwardedMore::decode(bytes));
  }
}
}
