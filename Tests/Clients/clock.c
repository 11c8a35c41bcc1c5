/* LD_PRELOAD: a process whose wall clock is CLOCK_AHEAD seconds ahead of the machine's. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
  int done = (int)syscall(SYS_clock_gettime, clock, now);
  const char *ahead = getenv("CLOCK_AHEAD");
  if (done == 0 && clock == CLOCK_REALTIME && ahead) now->tv_sec += atoi(ahead);
  return done;
}
