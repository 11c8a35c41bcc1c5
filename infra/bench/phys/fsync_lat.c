// Physical limit of the disk: append BYTES, fdatasync, N times. fsync_lat FILE BYTES N [prealloc]
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}
static int cmp(const void *a, const void *b) {
  double d = *(double *)a - *(double *)b;
  return d < 0 ? -1 : d > 0;
}
int main(int c, char **v) {
  if (c < 4)
    return 2;
  int n = atoi(v[3]);
  long b = atol(v[2]);
  char *p = malloc(b);
  memset(p, 'x', b);
  double *d = malloc(n * sizeof *d);
  int f = open(v[1], O_CREAT | O_TRUNC | O_WRONLY, 0644);
  if (f < 0) {
    perror(v[1]);
    return 1;
  }
  if (c > 4) {
    char z[65536] = {0};
    for (long k = 0; k < b * n; k += sizeof z)
      if (write(f, z, sizeof z) < 0)
        return 1;
    fsync(f);
    lseek(f, 0, SEEK_SET);
  }
  double t0 = now();
  for (int i = 0; i < n; i++) {
    double t = now();
    if (write(f, p, b) != b || fdatasync(f)) {
      perror("write");
      return 1;
    }
    d[i] = now() - t;
  }
  double s = now() - t0;
  qsort(d, n, sizeof *d, cmp);
  printf("{\"mode\":\"fdatasync\",\"prealloc\":%d,\"bytes\":%ld,\"per_s\":%.0f,\"p50_us\":%.1f,\"p90_us\":%."
         "1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n",
         c > 4, b, n / s * 1e6, d[n / 2], d[n * 9 / 10], d[n * 99 / 100], d[n - 1]);
  unlink(v[1]);
  return 0;
}
