#include "figures.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

typedef uint64_t u64;
typedef unsigned char u8;

// ---- histogram: log-linear, 64 steps in each power of two (<=1.6% error)
static u64 hist[64 * 64], hn, hmax;
static double hsum;
void hadd(u64 v) {
  hn++;
  hsum += v;
  if (v > hmax)
    hmax = v;
  int b;
  if (v < 64)
    b = v;
  else {
    int e = 63 - __builtin_clzll(v);
    b = (e - 5) * 64 + ((v >> (e - 6)) & 63);
  }
  hist[b]++;
}
static double hq(double q) {
  if (!hn)
    return 0;
  u64 want = (u64)(q * hn);
  if (want >= hn)
    want = hn - 1;
  u64 s = 0;
  for (int b = 0; b < 64 * 64; b++) {
    s += hist[b];
    if (s > want) {
      if (b < 64)
        return b / 1e3;
      int e = b / 64 + 5;
      return (double)((64ull + (b & 63)) << (e - 6)) / 1e3;
    }
  }
  return hmax / 1e3;
}

void lat(void) {
  printf("\"lat_us\":{\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}",
         hn ? hsum / hn / 1e3 : 0, hq(.5), hq(.9), hq(.99), hq(.999), hmax / 1e3);
}

// ---- process accounting (given pids and all their descendants)
static int pids[64], npids;
void usage_of(int pid) {
  if (npids < 64)
    pids[npids++] = pid;
}
static int rdfile(const char *p, char *b, int n) {
  int f = open(p, O_RDONLY);
  if (f < 0)
    return -1;
  int r = read(f, b, n - 1);
  close(f);
  if (r < 0)
    r = 0;
  b[r] = 0;
  return r;
}
struct usage usage_now(void) {
  struct usage u = {0};
  if (!npids)
    return u;
  static int all[65536], par[65536];
  int n = 0;
  char p[300], b[4096];
  DIR *d = opendir("/proc");
  struct dirent *e;
  while ((e = readdir(d)) && n < 65536)
    if (isdigit((u8)e->d_name[0])) {
      snprintf(p, sizeof p, "/proc/%s/stat", e->d_name);
      if (rdfile(p, b, sizeof b) <= 0)
        continue;
      char *q = strrchr(b, ')');
      if (!q)
        continue;
      char st;
      int pp;
      if (sscanf(q + 2, "%c %d", &st, &pp) != 2)
        continue;
      all[n] = atoi(e->d_name);
      par[n++] = pp;
    }
  closedir(d);
  char *in = calloc(n, 1);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < npids; k++)
      if (all[i] == pids[k])
        in[i] = 1;
  for (int again = 1; again;) {
    again = 0;
    for (int i = 0; i < n; i++)
      if (!in[i])
        for (int k = 0; k < n; k++)
          if (in[k] && all[k] == par[i]) {
            in[i] = 1;
            again = 1;
            break;
          }
  }
  long hz = sysconf(_SC_CLK_TCK), pg = sysconf(_SC_PAGESIZE);
  for (int i = 0; i < n; i++)
    if (in[i]) {
      u.n++;
      snprintf(p, sizeof p, "/proc/%d/stat", all[i]);
      if (rdfile(p, b, sizeof b) <= 0)
        continue;
      char *q = strrchr(b, ')');
      unsigned long ut = 0, stt = 0;
      sscanf(q + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ut, &stt);
      u.user += (double)ut / hz;
      u.sys += (double)stt / hz;
      double ns = 0;
      snprintf(p, sizeof p, "/proc/%d/task", all[i]);
      DIR *t = opendir(p);
      struct dirent *te;
      if (t) {
        while ((te = readdir(t)))
          if (isdigit((u8)te->d_name[0])) {
            char p2[400];
            snprintf(p2, sizeof p2, "/proc/%d/task/%s/schedstat", all[i], te->d_name);
            double a = 0;
            if (rdfile(p2, b, sizeof b) > 0) {
              sscanf(b, "%lf", &a);
              ns += a;
            }
            snprintf(p2, sizeof p2, "/proc/%d/task/%s/status", all[i], te->d_name);
            if (rdfile(p2, b, sizeof b) > 0) {
              char *v = strstr(b, "voluntary_ctxt_switches:");
              if (v)
                u.csw += strtoull(v + 24, 0, 10);
            }
          }
        closedir(t);
      }
      u.cpu += ns / 1e9;
      snprintf(p, sizeof p, "/proc/%d/statm", all[i]);
      unsigned long sz, rs;
      if (rdfile(p, b, sizeof b) > 0 && sscanf(b, "%lu %lu", &sz, &rs) == 2)
        u.rss += (u64)rs * pg;
    }
  free(in);
  return u;
}
double self_cpu(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}
u64 tcp_mem_bytes(void) {
  char b[4096];
  if (rdfile("/proc/net/sockstat", b, sizeof b) <= 0)
    return 0;
  char *q = strstr(b, "TCP: ");
  if (!q)
    return 0;
  q = strstr(q, "mem ");
  return q ? strtoull(q + 4, 0, 10) * 4096 : 0;
}
u64 slab_bytes(void) {
  char b[8192];
  if (rdfile("/proc/meminfo", b, sizeof b) <= 0)
    return 0;
  char *q = strstr(b, "Slab:");
  return q ? strtoull(q + 5, 0, 10) * 1024 : 0;
}
void cpus(struct usage a, struct usage b, double sec, u64 units) {
  double c = b.cpu - a.cpu;
  if (c <= 0)
    c = b.user + b.sys - a.user - a.sys;
  double us = b.user - a.user, sy = b.sys - a.sys, f = us + sy > 0 ? sy / (us + sy) : 0;
  printf("\"server_cpu_s\":%.4f,\"server_cores\":%.3f,\"sys_share\":%.2f,\"cpu_s_per_M\":%.3f,\"server_"
         "wakeups\":%llu,\"server_rss_mb\":%.1f,\"procs\":%d,",
         c, c / sec, f, units ? c / units * 1e6 : 0, (unsigned long long)(b.csw - a.csw), b.rss / 1048576.0,
         b.n);
}
