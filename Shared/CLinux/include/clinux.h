// The Linux calls that Swift's Glibc module does not show, and the two things that must be C:
// starting a child between fork and exec, and CRC-32C by the processor's own instruction.
#pragma once
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

/// One readiness event without the union of epoll_event.
typedef struct { uint32_t events; uint64_t slot; } clinux_event;

/// epoll_ctl; `operation` is EPOLL_CTL_ADD, MOD or DEL. Returns 0 or -errno.
int clinux_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t slot);
/// epoll_wait into `events`. Returns how many, or -errno. Not retried on EINTR.
int clinux_epoll_wait(int epoll, clinux_event *events, int capacity, int timeout_ms);

/// accept4 with NONBLOCK and CLOEXEC. Fills the peer's address. Returns the descriptor or -errno.
int clinux_accept(int listener, struct sockaddr_storage *peer, socklen_t *peer_bytes);
/// SO_PEERCRED. Returns 0 or -errno.
int clinux_peer_credentials(int fd, int *pid, unsigned *uid);

/// What became of the bytes written to a TCP socket: `taken` have been acknowledged by the peer's
/// kernel since the beginning, `pending` not yet. Returns 0 or -errno.
int clinux_tcp_progress(int fd, uint64_t *taken, uint64_t *pending);

/// From now on all threads allocate from one arena (mallopt's M_ARENA_MAX). Returns 1, or 0 if refused.
int clinux_one_arena(void);
/// Where there is one arena: asks for all pages at once that the heap has grown by since the last call,
/// instead of a fault for each (madvise's MADV_POPULATE_WRITE). Returns their bytes. Any thread.
size_t clinux_populate_heap(void);

/// How many processors this process may use by its affinity mask; at least 1.
int clinux_processors(void);

/// What a child gets. `argv` and `envp` end with NULL. `parent` must be the caller's own pid.
typedef struct {
  const char *path;
  char *const *argv;
  char *const *envp;
  int stdout_fd;        ///< becomes descriptor 1, or -1 to inherit
  int stderr_fd;        ///< becomes descriptor 2, or -1 to inherit
  int death_signal;     ///< sent to the child when the calling thread ends; 0 for none
} clinux_child;
/// Starts a program in a process group of its own with default signal handling and an empty mask.
/// Returns its pid, or -errno (also when exec itself failed).
int clinux_spawn(const clinux_child *child);

/// CRC-32C (Castagnoli) of `bytes`, continuing from `crc` (0 to begin).
uint32_t clinux_crc32c(uint32_t crc, const void *bytes, size_t count);

/// pipe2 with CLOEXEC: pair[0] reads, pair[1] writes. Returns 0 or -errno.
int clinux_pipe(int pair[2]);
/// strerror_r, the POSIX form. Returns 0 or an errno.
int clinux_error_text(int code, char *text, size_t capacity);
/// pthread_setname_np of the calling thread; at most 15 bytes.
void clinux_name_thread(const char *name);

/// The process environment, which Swift calls ambiguous.
char **clinux_environment(void);

static inline int clinux_exited(int status) { return (status & 0x7f) == 0; }
static inline int clinux_exit_status(int status) { return (status >> 8) & 0xff; }
static inline int clinux_term_signal(int status) { return status & 0x7f; }
