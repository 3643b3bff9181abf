#include "http/socket_bio.h"

#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace concordat::http
{
namespace
{
int socket_of(BIO* bio)
{
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

/// @return what BIO functions return; a call that would have to wait is marked for another try
int finish(BIO* bio, ssize_t result, int retry_flag, std::size_t* done)
{
  BIO_clear_retry_flags(bio);
  *done = result > 0 ? static_cast<std::size_t>(result) : 0;
  if (result > 0)
    return 1;
  if (result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    BIO_set_flags(bio, retry_flag | BIO_FLAGS_SHOULD_RETRY);
  else if (result == 0)
    BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return 0;
}

int read(BIO* bio, char* to, std::size_t size, std::size_t* done)
{
  return finish(bio, ::recv(socket_of(bio), to, size, 0), BIO_FLAGS_READ, done);
}

int write(BIO* bio, const char* from, std::size_t size, std::size_t* done)
{
  return finish(bio, ::send(socket_of(bio), from, size, MSG_NOSIGNAL), BIO_FLAGS_WRITE, done);
}

long control(BIO* bio, int command, long, void*)
{
  if (command == BIO_CTRL_EOF)
    return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* method()
{
  static BIO_METHOD* const made = []
  {
    BIO_METHOD* const created = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "concordat socket");
    if (created != nullptr)
    {
      BIO_meth_set_read_ex(created, read);
      BIO_meth_set_write_ex(created, write);
      BIO_meth_set_ctrl(created, control);
    }
    return created;
  }();
  return made;
}
}

BIO* new_socket_bio(int socket)
{
  BIO* const bio = method() != nullptr ? BIO_new(method()) : nullptr;
  if (bio != nullptr)
  {
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(socket))); // NOLINT(performance-no-int-to-ptr)
    BIO_set_init(bio, 1);
  }
  return bio;
}
}
