/* Preloaded into a node under test (LD_PRELOAD): records what the process does to files, and when it sends on sockets,
 * in the order in which it happened; and lets calls fail as a disk does. `recorded_disk.py` beside this file reads the
 * records and sets the faults.
 *
 * A record is written after the call that it is about returned, except `send` (before the call) and syncs (one before,
 * one after): so what the records say to be durable before a send was so. Files count when they are opened for writing,
 * directories when they are opened at all; inherited descriptors, such as the log, do not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum
{
  descriptors = 65536
};

struct record
{
  uint32_t kind;
  uint32_t size; /* of what follows the record */
  uint64_t inode;
  uint64_t value; /* offset, size or port */
};

/* Shared with whoever sets the faults; zero means that nothing fails. */
struct faults
{
  atomic_uint short_writes;   /* a write takes half of its bytes */
  atomic_uint interrupted;    /* every other call ends with EINTR before it does anything */
  atomic_uint failing_syncs;  /* fsync and fdatasync end with EIO */
  atomic_uint full;           /* a write takes half of its bytes, once; then ENOSPC */
  atomic_uint failing_writes; /* a write ends with EIO */
  atomic_uint slow_sync_us;   /* a sync takes that much longer */
  atomic_uint hangs;          /* a write or sync does not end as long as this is so */
};

static int log_file = -1;
static struct faults none;
static struct faults* faults = &none;
static char* names[descriptors]; /* path of what is recorded about, by descriptor */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint calls;

/* The function of the library that comes after this one. */
#define DECLARE_REAL(name) static __typeof__(name)* real_##name;
#define REAL(name) (find((void**)&real_##name, #name), real_##name)
static void find(void** known, const char* name)
{
  if (!*known)
    *known = dlsym(RTLD_NEXT, name);
}
DECLARE_REAL(open)
DECLARE_REAL(open64)
DECLARE_REAL(openat)
DECLARE_REAL(openat64)
DECLARE_REAL(close)
DECLARE_REAL(pwrite)
DECLARE_REAL(pwrite64)
DECLARE_REAL(write)
DECLARE_REAL(writev)
DECLARE_REAL(ftruncate)
DECLARE_REAL(ftruncate64)
DECLARE_REAL(fsync)
DECLARE_REAL(fdatasync)
DECLARE_REAL(rename)
DECLARE_REAL(unlink)
DECLARE_REAL(mkdir)
DECLARE_REAL(link)
DECLARE_REAL(symlink)
DECLARE_REAL(send)
DECLARE_REAL(sendmsg)

static void die(const char* what)
{
  dprintf(2, "disk recorder: %s: %s\n", what, strerror(errno));
  _exit(99);
}

__attribute__((constructor)) static void start(void)
{
  const char* log_name = getenv("DISK_RECORDER_LOG");
  const char* faults_name = getenv("DISK_RECORDER_FAULTS");
  if (!log_name || !faults_name)
    return;
  log_file = (int)syscall(SYS_openat, AT_FDCWD, log_name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int shared = (int)syscall(SYS_openat, AT_FDCWD, faults_name, O_RDWR | O_CLOEXEC, 0);
  if (log_file < 0 || shared < 0)
    die("cannot open its files");
  void* mapped = mmap(NULL, sizeof(struct faults), PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
  if (mapped == MAP_FAILED)
    die("cannot map its faults");
  faults = mapped;
  syscall(SYS_close, shared);
}

static void put(char kind, uint64_t inode, uint64_t value, const void* bytes, size_t size)
{
  if (log_file < 0)
    return;
  const struct record head = {(uint32_t)kind, (uint32_t)size, inode, value};
  struct iovec parts[2] = {{(void*)&head, sizeof(head)}, {(void*)bytes, size}};
  const int number = errno;
  pthread_mutex_lock(&lock);
  if (syscall(SYS_writev, log_file, parts, 2) != (long)(sizeof(head) + size))
    die("cannot record");
  pthread_mutex_unlock(&lock);
  errno = number;
}

static int known(int fd)
{
  return log_file >= 0 && fd >= 0 && fd < descriptors && names[fd];
}

static uint64_t inode_of(int fd)
{
  struct stat status;
  return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

/* "first\0second", as it was given; relative to the directory that the process was started in. */
static void put_names(char kind, uint64_t inode, const char* first, const char* second)
{
  char both[2 * PATH_MAX];
  const int size = snprintf(both, sizeof(both), "%s%c%s", first, 0, second);
  put(kind, inode, 0, both, (size_t)size);
}

static int interrupted(void)
{
  if (!atomic_load(&faults->interrupted) || atomic_fetch_add(&calls, 1) % 2)
    return 0;
  errno = EINTR;
  return 1;
}

static void hang(void)
{
  while (atomic_load(&faults->hangs))
    usleep(1000);
}

/* How many bytes a write may take; 0 with errno set if none. */
static size_t taken(size_t size)
{
  hang();
  if (atomic_load(&faults->failing_writes))
  {
    errno = EIO;
    return 0;
  }
  const unsigned full = atomic_load(&faults->full);
  if (full == 2 || (full == 1 && size < 2))
  {
    errno = ENOSPC;
    return 0;
  }
  if (full == 1)
    atomic_store(&faults->full, 2);
  return (full || atomic_load(&faults->short_writes)) && size > 1 ? size / 2 : size;
}

/* --- opening and closing */
static int opened(int fd, const char* path, int flags, int existed)
{
  if (fd < 0 || fd >= descriptors || log_file < 0)
    return fd;
  struct stat status;
  const int writes = (flags & O_ACCMODE) != O_RDONLY;
  if (fstat(fd, &status) != 0 || !(S_ISDIR(status.st_mode) || (S_ISREG(status.st_mode) && writes)))
    return fd;
  free(names[fd]);
  names[fd] = strdup(path);
  if (writes)
  {
    put_names(existed ? 'o' : 'c', status.st_ino, path, "");
    if (existed && (flags & O_TRUNC))
      put('t', status.st_ino, 0, NULL, 0);
  }
  return fd;
}

static int exists(const char* path)
{
  struct stat status;
  return fstatat(AT_FDCWD, path, &status, 0) == 0;
}

#define OPEN(name)                                                                                                     \
  int name(const char* path, int flags, ...)                                                                           \
  {                                                                                                                    \
    va_list arguments;                                                                                                 \
    va_start(arguments, flags);                                                                                        \
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;                                 \
    va_end(arguments);                                                                                                 \
    const int existed = !(flags & O_CREAT) || exists(path);                                                            \
    return opened(REAL(name)(path, flags, mode), path, flags, existed);                                                \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
  int name(int directory, const char* path, int flags, ...)                                                            \
  {                                                                                                                    \
    va_list arguments;                                                                                                 \
    va_start(arguments, flags);                                                                                        \
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;                                 \
    va_end(arguments);                                                                                                 \
    const int existed = !(flags & O_CREAT) || exists(path);                                                            \
    const int fd = REAL(name)(directory, path, flags, mode);                                                           \
    return directory == AT_FDCWD || *path == '/' ? opened(fd, path, flags, existed) : fd;                              \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int fd)
{
  if (known(fd))
  {
    free(names[fd]);
    names[fd] = NULL;
  }
  return REAL(close)(fd);
}

/* --- contents */

#define PWRITE(name, offset_type)                                                                                      \
  ssize_t name(int fd, const void* bytes, size_t size, offset_type offset)                                             \
  {                                                                                                                    \
    if (known(fd))                                                                                                     \
    {                                                                                                                  \
      if (interrupted() || (size && !(size = taken(size))))                                                            \
        return -1;                                                                                                     \
    }                                                                                                                  \
    const ssize_t done = REAL(name)(fd, bytes, size, offset);                                                          \
    if (done > 0 && known(fd))                                                                                         \
      put('w', inode_of(fd), (uint64_t)offset, bytes, (size_t)done);                                                   \
    return done;                                                                                                       \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

/* Where a write without an offset began; files opened for appending too. */
static void put_written(int fd, const void* bytes, ssize_t done)
{
  if (done > 0 && known(fd))
    put('w', inode_of(fd), (uint64_t)(lseek(fd, 0, SEEK_CUR) - done), bytes, (size_t)done);
}

static void put_send(int fd)
{
  struct sockaddr_in peer;
  socklen_t size = sizeof(peer);
  if (log_file >= 0 && getpeername(fd, (struct sockaddr*)&peer, &size) == 0 && peer.sin_family == AF_INET)
    put('s', 0, ntohs(peer.sin_port), NULL, 0);
}

ssize_t write(int fd, const void* bytes, size_t size)
{
  if (known(fd))
  {
    if (interrupted() || (size && !(size = taken(size))))
      return -1;
  }
  else
    put_send(fd);
  const ssize_t done = REAL(write)(fd, bytes, size);
  put_written(fd, bytes, done);
  return done;
}

ssize_t writev(int fd, const struct iovec* parts, int count)
{
  if (!known(fd))
  {
    put_send(fd);
    return REAL(writev)(fd, parts, count);
  }
  /* A file takes them one after the other, so that each can be recorded; fewer than all are allowed. */
  for (int i = 0; i < count; ++i)
    if (parts[i].iov_len)
      return write(fd, parts[i].iov_base, parts[i].iov_len);
  return 0;
}

#define FTRUNCATE(name, size_type)                                                                                     \
  int name(int fd, size_type size)                                                                                     \
  {                                                                                                                    \
    if (known(fd) && interrupted())                                                                                    \
      return -1;                                                                                                       \
    const int outcome = REAL(name)(fd, size);                                                                          \
    if (outcome == 0 && known(fd))                                                                                     \
      put('t', inode_of(fd), (uint64_t)size, NULL, 0);                                                                 \
    return outcome;                                                                                                    \
  }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

static int sync_with(int (*function)(int), int fd)
{
  if (!known(fd))
    return function(fd);
  if (interrupted())
    return -1;
  const uint64_t inode = inode_of(fd);
  if (atomic_load(&faults->failing_syncs))
  {
    put_names('f', inode, names[fd], "");
    errno = EIO;
    return -1;
  }
  put_names('b', inode, names[fd], "");
  usleep(atomic_load(&faults->slow_sync_us));
  hang();
  const int outcome = function(fd);
  if (outcome == 0)
    put_names('e', inode, names[fd], "");
  return outcome;
}

int fsync(int fd)
{
  return sync_with(REAL(fsync), fd);
}

int fdatasync(int fd)
{
  return sync_with(REAL(fdatasync), fd);
}

/* --- names */

int rename(const char* from, const char* to)
{
  const int outcome = REAL(rename)(from, to);
  if (outcome == 0)
    put_names('r', 0, from, to);
  return outcome;
}

int unlink(const char* path)
{
  const int outcome = REAL(unlink)(path);
  if (outcome == 0)
    put_names('u', 0, path, "");
  return outcome;
}

int mkdir(const char* path, mode_t mode)
{
  const int outcome = REAL(mkdir)(path, mode);
  if (outcome == 0)
    put_names('d', 0, path, "");
  return outcome;
}

int link(const char* from, const char* to)
{
  const int outcome = REAL(link)(from, to);
  if (outcome == 0)
    put_names('l', 0, from, to);
  return outcome;
}

int symlink(const char* target, const char* path)
{
  put_names('x', 0, target, path);
  return REAL(symlink)(target, path);
}

/* --- sockets */

ssize_t send(int fd, const void* bytes, size_t size, int flags)
{
  put_send(fd);
  return REAL(send)(fd, bytes, size, flags);
}

ssize_t sendmsg(int fd, const struct msghdr* message, int flags)
{
  put_send(fd);
  return REAL(sendmsg)(fd, message, flags);
}
