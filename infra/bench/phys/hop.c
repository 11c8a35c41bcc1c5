// Physical limit of one hop between two processes: messages of BYTES over a Unix stream socket, BATCH per
// write, answered by an equal batch. hop BYTES BATCH SECONDS CPU_A CPU_B [spin]   (spin: poll with
// MSG_DONTWAIT for up to 50 us before sleeping)
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}
static double cpu(int who) {
  struct rusage r;
  getrusage(who, &r);
  return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}
static void pin(int c) {
  cpu_set_t s;
  CPU_ZERO(&s);
  CPU_SET(c, &s);
  sched_setaffinity(0, sizeof s, &s);
}
static int spin;
static char buf[1 << 20];
static long get(int f, long want) {
  long n = 0;
  while (n < want) {
    ssize_t r = -1;
    if (spin) {
      double e = now() + 50e-6;
      do
        r = recv(f, buf, sizeof buf, MSG_DONTWAIT);
      while (r < 0 && errno == EAGAIN && now() < e);
    }
    if (r < 0)
      r = recv(f, buf, sizeof buf, 0);
    if (r <= 0)
      return -1;
    n += r;
  }
  return n;
}
int main(int c, char **v) {
  if (c < 6)
    return 2;
  long b = atol(v[1]) * atol(v[2]);
  int batch = atoi(v[2]);
  double sec = atof(v[3]);
  spin = c > 6;
  int s[2];
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  if (b > (long)sizeof buf)
    return 2;
  pid_t p = fork();
  if (!p) {
    close(s[0]);
    pin(atoi(v[5]));
    while (get(s[1], b) > 0)
      if (send(s[1], buf, b, MSG_NOSIGNAL) != b)
        break;
    _exit(0);
  }
  close(s[1]);
  pin(atoi(v[4]));
  long n = 0;
  double t0 = now(), t;
  while ((t = now()) - t0 < sec) {
    if (send(s[0], buf, b, 0) != b || get(s[0], b) < 0)
      break;
    n++;
  }
  close(s[0]);
  waitpid(p, 0, 0);
  double cp = cpu(RUSAGE_SELF) + cpu(RUSAGE_CHILDREN);
  printf("{\"mode\":\"hop\",\"bytes\":%s,\"batch\":%d,\"cores\":\"%s,%s\",\"spin\":%d,\"round_trip_us\":%.2f,"
         "\"messages_per_s\":%.0f,\"cpu_us_per_message_one_way_both_ends\":%.3f}\n",
         v[1], batch, v[4], v[5], spin, (t - t0) / n * 1e6, n * batch * 2 / (t - t0),
         cp / n / batch / 2 * 1e6);
  return 0;
}
