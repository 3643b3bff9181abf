#pragma once

#include "concordat/error.h"
#include "http/server.h"
#include "net/tls.h"

namespace concordat::http
{
/// What the server side of http-api.md §4.1 says. Sessions are never resumed: each handshake shows the client's
/// certificate again, and no ticket key lies in memory.
/// @return Error::invalid if certificate or key cannot be read, or do not belong together
Result<net::SslContext> make_server_context(const TlsIdentity& identity);
}
