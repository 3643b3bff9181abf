#pragma once

#include <openssl/bio.h>

namespace concordat::http
{
/// An OpenSSL BIO over a socket, as BIO_s_socket, except that writing to a peer who has gone is an error and not the
/// signal that ends a process which has not prepared for it. Does not own the socket.
/// @return null if there is no memory
BIO* new_socket_bio(int socket);
}
