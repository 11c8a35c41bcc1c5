#include "clinux.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

int clinux_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t slot) {
  struct epoll_event event = {.events = events, .data.u64 = slot};
  return epoll_ctl(epoll, operation, fd, &event) ? -errno : 0;
}

int clinux_epoll_wait(int epoll, clinux_event *events, int capacity, int timeout_ms) {
  struct epoll_event ready[512];
  if (capacity > 512) capacity = 512;
  int count = epoll_wait(epoll, ready, capacity, timeout_ms);
  if (count < 0) return -errno;
  for (int i = 0; i < count; i++) {
    events[i].events = ready[i].events;
    events[i].slot = ready[i].data.u64;
  }
  return count;
}

int clinux_accept(int listener, struct sockaddr_storage *peer, socklen_t *peer_bytes) {
  *peer_bytes = sizeof *peer;
  int fd = accept4(listener, (struct sockaddr *)peer, peer_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int clinux_tcp_progress(int fd, uint64_t *taken, uint64_t *pending) {
  // The kernel's tcp_info goes on where the C library's ends; tcpi_bytes_acked stands at 120.
  struct { unsigned char before[120]; uint64_t bytes_acked; } info;
  socklen_t bytes = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes)) return -errno;
  int queued = 0;
  if (bytes < sizeof info) return -ENOTSUP;
  if (ioctl(fd, TIOCOUTQ, &queued)) return -errno;
  *taken = info.bytes_acked;
  *pending = (uint64_t)queued;
  return 0;
}

int clinux_peer_credentials(int fd, int *pid, unsigned *uid) {
  struct ucred who;
  socklen_t bytes = sizeof who;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes)) return -errno;
  *pid = who.pid;
  *uid = who.uid;
  return 0;
}

int clinux_processors(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set)) return 1;
  int count = CPU_COUNT(&set);
  return count > 0 ? count : 1;
}

int clinux_pipe(int pair[2]) { return pipe2(pair, O_CLOEXEC) ? -errno : 0; }

extern int __xpg_strerror_r(int code, char *text, size_t capacity);
int clinux_error_text(int code, char *text, size_t capacity) {
  return __xpg_strerror_r(code, text, capacity);
}

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

char **clinux_environment(void) { return environ; }

// Between fork and exec only async-signal-safe calls are made. The errno of a failed exec comes
// back through a pipe that a successful exec closes.
int clinux_spawn(const clinux_child *child) {
  int report[2];
  if (pipe2(report, O_CLOEXEC)) return -errno;
  sigset_t every, before;
  sigfillset(&every);
  pthread_sigmask(SIG_BLOCK, &every, &before);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int number = 1; number < 65; number++)
      if (number != SIGKILL && number != SIGSTOP) sigaction(number, &plain, NULL);
    sigset_t none;
    sigemptyset(&none);
    int failed = 0;
    if (setpgid(0, 0)) failed = errno;
    if (!failed && child->death_signal) {
      if (prctl(PR_SET_PDEATHSIG, child->death_signal)) failed = errno;
      else if (getppid() != parent) _exit(111);
    }
    if (!failed && child->stdout_fd >= 0 && dup2(child->stdout_fd, 1) < 0) failed = errno;
    if (!failed && child->stderr_fd >= 0 && dup2(child->stderr_fd, 2) < 0) failed = errno;
    if (!failed) {
      sigprocmask(SIG_SETMASK, &none, NULL);
      execve(child->path, child->argv, child->envp);
      failed = errno;
    }
    ssize_t ignored = write(report[1], &failed, sizeof failed);
    (void)ignored;
    _exit(112);
  }
  int fork_errno = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(report[1]);
  if (pid < 0) {
    close(report[0]);
    return -fork_errno;
  }
  int failed = 0;
  ssize_t got;
  do got = read(report[0], &failed, sizeof failed);
  while (got < 0 && errno == EINTR);
  close(report[0]);
  if (got == (ssize_t)sizeof failed) {
    waitpid(pid, NULL, 0);
    return failed ? -failed : -EINVAL;
  }
  return pid;
}

// The end of the heap when it was looked at last; NULL where there are several arenas.
static _Atomic(uintptr_t) heap_end;

int clinux_one_arena(void) {
  if (mallopt(M_ARENA_MAX, 1) != 1) return 0;
  atomic_store(&heap_end, (uintptr_t)sbrk(0));
  return 1;
}

size_t clinux_populate_heap(void) {
  uintptr_t known = atomic_load_explicit(&heap_end, memory_order_relaxed);
  if (known == 0) return 0;
  uintptr_t end = (uintptr_t)sbrk(0);
  if (end == known) return 0;
  // Another thread that sees the same growth loses here. A heap that has shrunk is noted alone.
  if (!atomic_compare_exchange_strong(&heap_end, &known, end) || end < known) return 0;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t start = (known + page - 1) & ~(page - 1);
  if (start >= end) return 0;
  // A kernel that does not know it, or has no pages left, leaves them to the faults.
  return madvise((void *)start, end - start, MADV_POPULATE_WRITE) == 0 ? end - start : 0;
}
