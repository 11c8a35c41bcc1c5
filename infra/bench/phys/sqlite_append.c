// Raw SQLite append, WAL: sqlite_append FILE full|normal|off BATCH SECONDS [BYTES [STREAMS [noindex]]]
// Table of an event store: (stream, seq) unique, position by rowid. One transaction holds BATCH events.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}
static int cmp(const void *a, const void *b) {
  double d = *(double *)a - *(double *)b;
  return d < 0 ? -1 : d > 0;
}
static sqlite3 *db;
static void ex(const char *s) {
  char *e = 0;
  if (sqlite3_exec(db, s, 0, 0, &e)) {
    fprintf(stderr, "%s: %s\n", s, e);
    exit(1);
  }
}
int main(int c, char **v) {
  if (c < 5)
    return 2;
  int batch = atoi(v[3]);
  double sec = atof(v[4]);
  int bytes = c > 5 ? atoi(v[5]) : 200, streams = c > 6 ? atoi(v[6]) : 100;
  char b[400];
  for (int i = 0; i < 3; i++) {
    snprintf(b, 400, "%s%s", v[1], (const char *[]){"", "-wal", "-shm"}[i]);
    unlink(b);
  }
  sqlite3_open(v[1], &db);
  ex("pragma page_size=4096");
  ex("pragma journal_mode=wal");
  snprintf(b, 400, "pragma synchronous=%s", v[2]);
  ex(b);
  ex("pragma wal_autocheckpoint=4000");
  ex("pragma cache_size=-65536");
  ex("create table event(pos integer primary key, stream integer not null, seq integer not null, ts integer "
     "not null, body blob not null)");
  if (c <= 7)
    ex("create unique index event_stream on event(stream,seq)");
  sqlite3_stmt *in, *be, *co;
  sqlite3_prepare_v2(db, "insert into event(stream,seq,ts,body) values(?,?,?,?)", -1, &in, 0);
  sqlite3_prepare_v2(db, "begin immediate", -1, &be, 0);
  sqlite3_prepare_v2(db, "commit", -1, &co, 0);
  char *body = malloc(bytes);
  memset(body, 'x', bytes);
  long *seq = calloc(streams, sizeof(long)), n = 0, tx = 0;
  double *lat = malloc(4000000 * sizeof(double));
  double t0 = now(), t;
  struct rusage r0, r1;
  getrusage(RUSAGE_SELF, &r0);
  while ((t = now()) - t0 < sec && tx < 4000000) {
    sqlite3_step(be);
    sqlite3_reset(be);
    for (int i = 0; i < batch; i++) {
      int s = n % streams;
      sqlite3_bind_int(in, 1, s);
      sqlite3_bind_int64(in, 2, ++seq[s]);
      sqlite3_bind_int64(in, 3, (long)(t * 1e6));
      sqlite3_bind_blob(in, 4, body, bytes, SQLITE_STATIC);
      if (sqlite3_step(in) != SQLITE_DONE) {
        fprintf(stderr, "%s\n", sqlite3_errmsg(db));
        return 1;
      }
      sqlite3_reset(in);
      n++;
    }
    sqlite3_step(co);
    sqlite3_reset(co);
    lat[tx++] = (now() - t) * 1e6;
  }
  double s = now() - t0;
  getrusage(RUSAGE_SELF, &r1);
  double cpu = r1.ru_utime.tv_sec + r1.ru_stime.tv_sec - r0.ru_utime.tv_sec - r0.ru_stime.tv_sec +
               (r1.ru_utime.tv_usec + r1.ru_stime.tv_usec - r0.ru_utime.tv_usec - r0.ru_stime.tv_usec) / 1e6;
  qsort(lat, tx, sizeof *lat, cmp);
  printf(
      "{\"mode\":\"sqlite_append\",\"sync\":\"%s\",\"index\":%d,\"batch\":%d,\"bytes\":%d,\"events_per_s\":%."
      "0f,\"commits_per_s\":%.0f,\"cpu_s_per_M\":%.3f,\"lat_us\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}}\n",
      v[2], c <= 7, batch, bytes, n / s, tx / s, cpu / n * 1e6, lat[tx / 2], lat[tx * 99 / 100], lat[tx - 1]);
  sqlite3_close(db);
  return 0;
}
