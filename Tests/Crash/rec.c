// LD_PRELOAD shim for crash tests. For files under REC_ROOT it
//   - logs every call that changes them, and every sync, to REC_LOG (format: struct record);
//   - makes the call number FAULT_AT fail: FAULT_KIND eio | enospc | short. FAULT_MARK is created when
//     that has happened. Reads count too for eio and short.
//   - with FAULT_WHILE set, makes every call that changes a file or syncs one fail with EIO as long as the
//     file of that name exists;
//   - with FAULT_KILL set, kills the process as soon as it has noted anything after the fault.
// What is written to a file called "acks" is what the workload was told; its calls are not counted.
// Files that end in -shm are left out: they are rebuilt from the log at every start.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DESCRIPTORS = 4096 };
static char *paths[DESCRIPTORS];
static const char *root;
static int log_fd = -1;
static long fault_at, calls;
static const char *fault_kind = "", *fault_mark, *fault_while;
static int kills, has_failed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// op: C create · W write · T truncate · S sync · D sync of a directory · R rename (data: new path) ·
// U unlink · M mkdir · A ack (data: text)
struct __attribute__((packed)) record {
  char op;
  uint64_t offset;
  uint32_t path_bytes, data_bytes;
};

#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static ssize_t raw_write(int fd, const void *bytes, size_t count) {
  REAL(write);
  return real(fd, bytes, count);
}

__attribute__((constructor)) static void begin(void) {
  root = getenv("REC_ROOT");
  const char *log = getenv("REC_LOG"), *at = getenv("FAULT_AT"), *kind = getenv("FAULT_KIND");
  fault_mark = getenv("FAULT_MARK");
  fault_while = getenv("FAULT_WHILE");
  if (at) fault_at = atol(at);
  if (kind) fault_kind = kind;
  kills = getenv("FAULT_KILL") != NULL;
  if (log) log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int is_ours(const char *path) {
  if (!root || !path || strncmp(path, root, strlen(root))) return 0;
  size_t count = strlen(path);
  return count < 4 || strcmp(path + count - 4, "-shm");
}
static int is_acks(const char *path) {
  size_t count = strlen(path);
  return count >= 5 && !strcmp(path + count - 5, "/acks");
}
static const char *path_of(int fd) { return fd >= 0 && fd < DESCRIPTORS ? paths[fd] : NULL; }

static void note(char op, const char *path, uint64_t offset, const void *data, size_t count) {
  if (log_fd < 0) return;
  struct record head = {op, offset, (uint32_t)strlen(path), (uint32_t)count};
  struct iovec parts[3] = {
      {&head, sizeof head}, {(void *)path, head.path_bytes}, {(void *)data, count}};
  pthread_mutex_lock(&lock);
  if (writev(log_fd, parts, 3) != (ssize_t)(sizeof head + head.path_bytes + count)) abort();
  pthread_mutex_unlock(&lock);
}

enum fault { NONE, ERROR, SHORT };
// Whether this call is the one to fail, and how; errno is set for ERROR.
static enum fault fault(const char *path, int can_be_short, int is_read) {
  if (is_acks(path)) return NONE;
  if (fault_while && !is_read && access(fault_while, F_OK) == 0) {
    errno = EIO;
    return ERROR;
  }
  if (!fault_at) return NONE;
  pthread_mutex_lock(&lock);
  int is_it = ++calls == fault_at;
  pthread_mutex_unlock(&lock);
  if (!is_it) return NONE;
  has_failed = 1;
  int is_short = !strcmp(fault_kind, "short"), is_full = !strcmp(fault_kind, "enospc");
  if (fault_mark) {
    REAL(open);
    int mark = real(fault_mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (mark >= 0) close(mark);
  }
  if (is_short) return can_be_short ? SHORT : NONE;
  if (is_full && is_read) return NONE;
  errno = is_full ? ENOSPC : EIO;
  return ERROR;
}

static int opened(int fd, const char *path, int existed, int flags) {
  if (fd < 0 || fd >= DESCRIPTORS) return fd;
  if (!existed && (flags & O_CREAT)) note('C', path, 0, NULL, 0);
  if (flags & O_TRUNC && existed) note('T', path, 0, NULL, 0);
  free(paths[fd]);
  paths[fd] = strdup(path);
  return fd;
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    REAL(name); \
    if (!is_ours(path)) return real(path, flags, mode); \
    int existed = access(path, F_OK) == 0; \
    if ((flags & O_CREAT) && !existed && fault(path, 0, 0) == ERROR) return -1; \
    return opened(real(path, flags, mode), path, existed, flags); \
  }
OPEN(open)
OPEN(open64)

int close(int fd) {
  REAL(close);
  if (path_of(fd)) {
    free(paths[fd]);
    paths[fd] = NULL;
  }
  return real(fd);
}

static void wrote(const char *path, off_t offset, const void *bytes, ssize_t count) {
  if (count > 0) note(is_acks(path) ? 'A' : 'W', path, (uint64_t)offset, bytes, (size_t)count);
}

#define PWRITE(name, type) \
  ssize_t name(int fd, const void *bytes, size_t count, type offset) { \
    REAL(name); \
    const char *path = path_of(fd); \
    if (!path) return real(fd, bytes, count, offset); \
    enum fault kind = fault(path, count > 1, 0); \
    if (kind == ERROR) return -1; \
    ssize_t done = real(fd, bytes, kind == SHORT ? count / 2 : count, offset); \
    wrote(path, (off_t)offset, bytes, done); \
    return done; \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *bytes, size_t count) {
  const char *path = path_of(fd);
  if (!path) return raw_write(fd, bytes, count);
  enum fault kind = fault(path, count > 1, 0);
  if (kind == ERROR) return -1;
  off_t offset = lseek(fd, 0, SEEK_CUR);
  ssize_t done = raw_write(fd, bytes, kind == SHORT ? count / 2 : count);
  wrote(path, offset, bytes, done);
  if (kills && has_failed && is_acks(path)) kill(getpid(), SIGKILL);
  return done;
}

#define PREAD(name, type) \
  ssize_t name(int fd, void *bytes, size_t count, type offset) { \
    REAL(name); \
    const char *path = path_of(fd); \
    enum fault kind = path ? fault(path, count > 1, 1) : NONE; \
    if (kind == ERROR) return -1; \
    return real(fd, bytes, kind == SHORT ? count / 2 : count, offset); \
  }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

ssize_t read(int fd, void *bytes, size_t count) {
  REAL(read);
  const char *path = path_of(fd);
  enum fault kind = path ? fault(path, count > 1, 1) : NONE;
  if (kind == ERROR) return -1;
  return real(fd, bytes, kind == SHORT ? count / 2 : count);
}

#define TRUNCATE(name, type) \
  int name(int fd, type count) { \
    REAL(name); \
    const char *path = path_of(fd); \
    if (path && fault(path, 0, 0) == ERROR) return -1; \
    int result = real(fd, count); \
    if (path && !result) note('T', path, (uint64_t)count, NULL, 0); \
    return result; \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

static int is_directory(int fd) {
  struct stat about;
  return fstat(fd, &about) == 0 && S_ISDIR(about.st_mode);
}

#define SYNC(name) \
  int name(int fd) { \
    REAL(name); \
    const char *path = path_of(fd); \
    if (path && fault(path, 0, 0) == ERROR) return -1; \
    int result = real(fd); \
    if (path && !result) note(is_directory(fd) ? 'D' : 'S', path, 0, NULL, 0); \
    return result; \
  }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char *from, const char *to) {
  REAL(rename);
  if (!is_ours(from)) return real(from, to);
  if (fault(from, 0, 0) == ERROR) return -1;
  int result = real(from, to);
  if (!result) note('R', from, 0, to, strlen(to));
  return result;
}

int unlink(const char *path) {
  REAL(unlink);
  if (!is_ours(path) || access(path, F_OK)) return real(path);
  if (fault(path, 0, 0) == ERROR) return -1;
  int result = real(path);
  if (!result) note('U', path, 0, NULL, 0);
  return result;
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  int result = real(path, mode);
  if (!result && is_ours(path)) note('M', path, 0, NULL, 0);
  return result;
}

// Calls the store is not known to make: a test that missed them would prove nothing.
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  REAL(pwritev);
  if (path_of(fd)) abort();
  return real(fd, parts, count, offset);
}
int fallocate(int fd, int mode, off_t offset, off_t count) {
  REAL(fallocate);
  if (path_of(fd)) abort();
  return real(fd, mode, offset, count);
}
int posix_fallocate(int fd, off_t offset, off_t count) {
  REAL(posix_fallocate);
  if (path_of(fd)) abort();
  return real(fd, offset, count);
}
int posix_fallocate64(int fd, off64_t offset, off64_t count) {
  REAL(posix_fallocate64);
  if (path_of(fd)) abort();
  return real(fd, offset, count);
}
