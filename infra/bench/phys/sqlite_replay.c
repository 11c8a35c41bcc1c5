// Physical limit of replay: read COUNT rows of BYTES from SQLite in position order, write each as a WebSocket
// text frame of JSON to one Unix socket with a 64 KiB buffer; another thread reads and counts. sqlite_replay
// FILE COUNT [BYTES]
#define _GNU_SOURCE
#include <pthread.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}
static int sv[2];
static long want;
static double tend;
static void *rd(void *x) {
  (void)x;
  static char b[1 << 18];
  long n = 0;
  ssize_t r;
  while (n < want && (r = read(sv[1], b, sizeof b)) > 0) {
    char *p = b;
    while ((p = memchr(p, '\n', b + r - p))) {
      n++;
      p++;
    }
  }
  tend = now();
  return 0;
}
static double tcpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}
int main(int c, char **v) {
  if (c < 3)
    return 2;
  want = atol(v[2]);
  int bytes = c > 3 ? atoi(v[3]) : 200;
  sqlite3 *db;
  sqlite3_open(v[1], &db);
  sqlite3_exec(db, "pragma journal_mode=wal; pragma synchronous=normal", 0, 0, 0);
  sqlite3_stmt *s;
  long have = 0;
  if (!sqlite3_prepare_v2(db, "select count(*) from event", -1, &s, 0)) {
    sqlite3_step(s);
    have = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
  }
  if (have < want) {
    sqlite3_exec(db,
                 "create table if not exists event(pos integer primary key, stream integer not null, seq "
                 "integer not null, ts integer not null, body blob not null); create unique index if not "
                 "exists event_stream on event(stream,seq); begin",
                 0, 0, 0);
    sqlite3_prepare_v2(db, "insert into event(stream,seq,ts,body) values(1,?,?,?)", -1, &s, 0);
    char *b = malloc(bytes);
    memset(b, 'x', bytes);
    for (long i = have; i < want; i++) {
      sqlite3_bind_int64(s, 1, i);
      sqlite3_bind_int64(s, 2, i);
      sqlite3_bind_blob(s, 3, b, bytes, SQLITE_STATIC);
      sqlite3_step(s);
      sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    sqlite3_exec(db, "commit", 0, 0, 0);
  }
  socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
  int sz = 1 << 20;
  setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &sz, 4);
  pthread_t th;
  pthread_create(&th, 0, rd, 0);
  double t0 = now(), c0 = tcpu();
  sqlite3_prepare_v2(db, "select pos,stream,seq,ts,body from event where pos>? order by pos limit ?", -1, &s,
                     0);
  sqlite3_bind_int64(s, 1, 0);
  sqlite3_bind_int64(s, 2, want);
  static char o[65536 + 8192];
  long n = 0, by = 0;
  while (sqlite3_step(s) == SQLITE_ROW) {
    char j[4096];
    int l = sprintf(j, "{\"pos\":%lld,\"stream\":%lld,\"seq\":%lld,\"ts\":%lld,\"data\":\"",
                    (long long)sqlite3_column_int64(s, 0), (long long)sqlite3_column_int64(s, 1),
                    (long long)sqlite3_column_int64(s, 2), (long long)sqlite3_column_int64(s, 3));
    int bl = sqlite3_column_bytes(s, 4);
    memcpy(j + l, sqlite3_column_blob(s, 4), bl);
    l += bl;
    memcpy(j + l, "\"}\n", 3);
    l += 3;
    o[n++] = 0x81;
    o[n++] = 126;
    o[n++] = l >> 8;
    o[n++] = l;
    memcpy(o + n, j, l);
    n += l;
    if (n > 65536) {
      if (write(sv[0], o, n) != n)
        return 1;
      by += n;
      n = 0;
    }
  }
  if (n && write(sv[0], o, n) != n)
    return 1;
  by += n;
  double c1 = tcpu();
  pthread_join(th, 0);
  double d = tend - t0;
  printf("{\"mode\":\"sqlite_replay\",\"count\":%ld,\"ms\":%.3f,\"events_per_s\":%.0f,\"mb_per_s\":%.1f,"
         "\"cpu_s_per_M\":%.3f}\n",
         want, d * 1e3, want / d, by / d / 1e6, (c1 - c0) / want * 1e6);
  return 0;
}
