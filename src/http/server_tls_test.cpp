#include "http/server.h"

#include "http/test_peer.h"
#include "http/test_server.h"

#include <gtest/gtest.h>

#include <string>

namespace concordat::http::test
{
namespace
{
const std::string get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

TEST(ServerTls, OlderVersionsAreRefused)
{
  TestServer server(echo);
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION})
  {
    PeerOptions options;
    options.min_version = options.max_version = version;
    EXPECT_FALSE(Peer(server.address(), options).connected());
  }
}

TEST(ServerTls, NewestVersionAndStrongestSuiteAreChosen)
{
  TestServer server(echo);
  Peer newest(server.address());
  EXPECT_STREQ(SSL_get_version(newest.ssl()), "TLSv1.3");
  EXPECT_STREQ(SSL_get_cipher_name(newest.ssl()), "TLS_AES_256_GCM_SHA384");
  PeerOptions options;
  options.max_version = TLS1_2_VERSION;
  options.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
  Peer older(server.address(), options);
  EXPECT_STREQ(SSL_get_cipher_name(older.ssl()), "ECDHE-ECDSA-AES256-GCM-SHA384");
  options.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
  Peer weaker(server.address(), options);
  EXPECT_STREQ(SSL_get_cipher_name(weaker.ssl()), "ECDHE-ECDSA-AES128-GCM-SHA256");
  options.ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305";
  EXPECT_FALSE(Peer(server.address(), options).connected());
}

TEST(ServerTls, OnlyTheGroupsOfTheSheet)
{
  TestServer server(echo);
  PeerOptions options;
  for (const auto* group : {"P-521", "P-384", "P-256"})
  {
    options.groups = group;
    EXPECT_TRUE(Peer(server.address(), options).connected()) << group;
  }
  options.groups = "X25519";
  EXPECT_FALSE(Peer(server.address(), options).connected());
  // In the older version the curve of the certificate must be among them too.
  options.max_version = TLS1_2_VERSION;
  for (const auto* groups : {"X25519:P-256", "brainpoolP256r1:P-256"})
  {
    options.groups = groups;
    Peer peer(server.address(), options);
    ASSERT_TRUE(peer.connected()) << groups;
    EXPECT_EQ(SSL_get_negotiated_group(peer.ssl()), NID_X9_62_prime256v1) << groups;
  }
}

TEST(ServerTls, AlpnIsHttp11OrNothing)
{
  TestServer server(echo);
  const auto chosen = [&](const std::string& offered)
  {
    PeerOptions options;
    options.alpn = offered;
    Peer peer(server.address(), options);
    EXPECT_TRUE(peer.connected());
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(peer.ssl(), &name, &size);
    EXPECT_EQ(peer.ask(get)->status, 200);
    return std::string(reinterpret_cast<const char*>(name), size);
  };
  EXPECT_EQ(chosen("\x02h2\x08http/1.1"), "http/1.1");
  EXPECT_EQ(chosen("\x02h2"), "");
  EXPECT_EQ(chosen(""), "");
}

TEST(ServerTls, SessionsAreNotResumed)
{
  TestServer server(echo);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION})
  {
    PeerOptions options;
    options.max_version = version;
    Peer peer(server.address(), options);
    EXPECT_EQ(peer.ask(get)->status, 200);
    EXPECT_FALSE(SSL_SESSION_is_resumable(SSL_get0_session(peer.ssl())));
  }
}

TEST(ServerTls, RenegotiationIsRefused)
{
  TestServer server(echo);
  PeerOptions options;
  options.max_version = TLS1_2_VERSION;
  Peer peer(server.address(), options);
  EXPECT_EQ(peer.ask(get)->status, 200);
  SSL_renegotiate(peer.ssl());
  EXPECT_NE(SSL_do_handshake(peer.ssl()), 1);
}

TEST(ServerTls, KeyUpdatesAreFollowed)
{
  TestServer server(echo);
  Peer peer(server.address());
  for (int i = 0; i < 20; ++i)
  {
    ASSERT_EQ(SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_EQ(peer.ask(get)->status, 200);
  }
}

TEST(ServerTls, PlainHttpIsToldToUseHttps)
{
  TestServer server(echo);
  for (const std::size_t first : {get.size(), std::size_t{1}})
  {
    RawPeer plain(server.address());
    ASSERT_TRUE(plain.send(get.substr(0, first)));
    plain.send(get.substr(first));
    const auto said = plain.read_to_the_end();
    ASSERT_TRUE(said);
    EXPECT_TRUE(said->starts_with("HTTP/1.1 400 Bad Request\r\n")) << *said;
    EXPECT_NE(said->find("https://"), std::string::npos) << *said;
    EXPECT_TRUE(said->ends_with("\n")) << *said;
  }
  EXPECT_EQ(Peer(server.address()).ask(get)->status, 200);
}

TEST(ServerTls, WhatIsNeitherTlsNorHttpGetsNoHttp)
{
  TestServer server(echo);
  for (const auto* bytes : {"\x16\x03\x01GET / HTTP/1.1\r\n\r\n", "\x80garbage", "lower case text"})
  {
    RawPeer other(server.address());
    ASSERT_TRUE(other.send(bytes));
    other.finish();
    const auto said = other.read_to_the_end();
    ASSERT_TRUE(said) << "they are kept";
    EXPECT_FALSE(said->starts_with("HTTP/")) << *said;
  }
}

TEST(ServerTls, IdentityIsChangedForNewConnections)
{
  TestServer server(echo);
  Peer before(server.address());
  const auto served = [](const Peer& peer)
  {
    const std::shared_ptr<X509> certificate(SSL_get1_peer_certificate(peer.ssl()), X509_free);
    const std::shared_ptr<BIO> der(BIO_new(BIO_s_mem()), BIO_free);
    i2d_X509_bio(der.get(), certificate.get());
    return bio_text(der.get());
  };
  const auto next = make_identity();
  ASSERT_TRUE(server.server->set_identity("main", {next.certificate_pem, next.key_pem}));
  Peer after(server.address());
  EXPECT_TRUE(served(before) == server.identity.certificate_der);
  EXPECT_TRUE(served(after) == next.certificate_der);
  EXPECT_EQ(before.ask(get)->status, 200);
  EXPECT_EQ(after.ask(get)->status, 200);
}

TEST(ServerTls, WithoutIdentityConnectionsAreClosed)
{
  Server::Options options;
  options.interfaces.push_back({"main", "127.0.0.1:0", {}});
  const auto server = Server::start(options, echo);
  ASSERT_TRUE(server);
  EXPECT_FALSE(Peer((*server)->address("main")).connected());
  EXPECT_TRUE(eventually([&] { return (*server)->metrics().front().active == 0; }));
}

TEST(ServerTls, UnusableIdentityIsRefused)
{
  TestServer server(echo);
  const auto other = make_identity();
  for (const TlsIdentity& identity :
       {TlsIdentity{"", other.key_pem}, TlsIdentity{other.certificate_pem, "nonsense"},
        TlsIdentity{server.identity.certificate_pem, other.key_pem}})
  {
    const auto set = server.server->set_identity("main", identity);
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().code, ErrorCode::invalid) << set.error().describe();
  }
  EXPECT_EQ(server.server->set_identity("other", {}).error().code, ErrorCode::not_found);
  EXPECT_EQ(Peer(server.address()).ask(get)->status, 200);
}

TEST(ServerTls, HalfARecordHurtsNobodyElse)
{
  TestServer server(echo, {}, 1);
  Peer half(server.address());
  const std::string start("\x17\x03\x03\x40\x00half", 9);
  ASSERT_GT(::send(half.socket(), start.data(), start.size(), MSG_NOSIGNAL), 0);
  Peer other(server.address());
  EXPECT_EQ(other.ask(get)->status, 200);
}

TEST(ServerTls, BrokenRecordEndsTheConnection)
{
  TestServer server(echo);
  Peer peer(server.address());
  EXPECT_EQ(peer.ask(get)->status, 200);
  const std::string broken = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
  ASSERT_GT(::send(peer.socket(), broken.data(), broken.size(), MSG_NOSIGNAL), 0);
  EXPECT_FALSE(peer.read_answer());
  EXPECT_TRUE(eventually([&] { return server.metrics().active == 0; }));
}
}
}
