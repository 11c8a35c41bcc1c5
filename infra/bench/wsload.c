// wsload - black-box load generator for real-time messaging servers (epoll, one thread). What Socket.IO and
// Centrifuge say stands in dialect.c, what is counted in figures.c.
//
//   wsload fanout   S subscribers, P publishers: deliveries/s, loss, order, duplicates, latency, CPU-s/M
//   wsload reqrep   N connections, each keeping D requests open: echo, acknowledged publish (ws, http, redis,
//   nats) wsload connect  N connections: rate, handshake latency, bytes per idle connection of the given pids
//   wsload fill     publishes COUNT events to each of C channels in turns, on one connection, acknowledged
//   wsload replay   one (or N) streams: time from subscribing to the last of COUNT events, again and again
//
// Protocols (--proto, --pub-proto): ws http raw nats natsws redis mqtt mqttws.  Host is an address or
// unix:/path. One JSON line goes to stdout; every latency is in microseconds.  See README.md beside this
// file.
#define _GNU_SOURCE
#include "dialect.h"
#include "figures.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef unsigned char u8;

enum { P_WS, P_HTTP, P_RAW, P_NATS, P_REDIS, P_MQTT, P_MQTTWS, P_NATSWS };
static const char *pname[] = {"ws", "http", "raw", "nats", "redis", "mqtt", "mqttws", "natsws"};
enum { R_SUB, R_PUB, R_REQ };
enum { C_NONE, C_CONNECTING, C_SHAKE, C_SETUP, C_READY, C_DEAD };
enum { M_FANOUT, M_REQREP, M_CONNECT, M_FILL, M_REPLAY };

struct seqst {
  u64 last, map;
};
struct conn {
  int fd, idx, chan;
  u8 proto, state, role, want_out;
  int subs_sent, acks;
  char *out;
  u32 olen, ooff, ocap;
  char *in;
  u32 ilen, icap;
  u64 *fifo;
  u32 fh, ft, fmask;
  struct seqst *ss;
  u64 t0;
  int replies_skip;
  u64 rcount;
};

// ---- options
static int mode;
static const char *host = "127.0.0.1", *pub_host;
static int port = 8080, pub_port;
static int proto = P_WS, pub_proto = -1;
static const char *path = "/", *pub_path;
static const char *subs[8], *hello[8];
static int nsubs, nhello, lockstep, sub_acks, hello_acks;
static const char *pubt = "%p", *ackstr;
static const char *hdrs[16];
static int nhdrs;
static const char *method = "POST", *ctype = "text/plain";
static int S = 100, P = 1, C = 1, B = 128, N = 64, depth = 1, eio, binary, srccount = 1, slow, pubdepth = 1,
           inflight = 128;
static double rate = 0, dur = 5, warm = 1, drain = 3, hold = 2;
static enum dialect dialect;
static int window = 16, settle = 500, cpu = -1, masked = 1, verbose;
static u64 count = 1000, repeat = 1;
static const char *label = "";

// ---- state
static int ep;
static struct conn *cs;
static int ncs;
static int n_ready, n_dead, n_open, n_started;
static u64 sent_total, exp_total, got_unique, got_dup, got_ooo, got_gap, got_bad, acks_total, acks_err,
    frames_in, bytes_in, pub_acks, pub_errs, stalls;
static u64 allowance; // deliveries given up after a stall (window mode only)
static u64 *pseq;     // [publisher][channel]
static int *chan_subs;
static int measuring, stop_requests;
static u64 meas_del, meas_acks, meas_pub, t_last, t_sub;
static volatile sig_atomic_t told_to_end;
static char *rb;
enum { RB = 1 << 20 };
static char pad[1 << 20];

static u64 now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (u64)t.tv_sec * 1000000000ull + t.tv_nsec;
}
static void die(const char *f, ...) {
  va_list a;
  va_start(a, f);
  fprintf(stderr, "wsload: ");
  vfprintf(stderr, f, a);
  fprintf(stderr, "\n");
  va_end(a);
  exit(2);
}

// ---- output buffer
static void reserve(struct conn *c, u32 n) {
  if (c->olen + n <= c->ocap)
    return;
  if (c->ooff) {
    memmove(c->out, c->out + c->ooff, c->olen - c->ooff);
    c->olen -= c->ooff;
    c->ooff = 0;
    if (c->olen + n <= c->ocap)
      return;
  }
  while (c->olen + n > c->ocap)
    c->ocap = c->ocap ? c->ocap * 2 : 512;
  c->out = realloc(c->out, c->ocap);
}
static void put(struct conn *c, const void *p, u32 n) {
  reserve(c, n);
  memcpy(c->out + c->olen, p, n);
  c->olen += n;
}
static void arm(struct conn *c, int out) {
  if (c->want_out == out)
    return;
  c->want_out = out;
  struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}
static void kill_conn(struct conn *c, const char *why) {
  if (c->state == C_DEAD)
    return;
  if (verbose || c->state != C_READY) {
    static int said;
    if (said++ < 5)
      fprintf(stderr, "wsload: connection %d closed in state %d: %s (errno %s)\n", c->idx, c->state, why,
              strerror(errno));
  }
  if (c->state == C_READY)
    n_ready--;
  if (c->state == C_CONNECTING || c->state == C_SHAKE || c->state == C_SETUP)
    n_open--;
  c->state = C_DEAD;
  n_dead++;
  close(c->fd);
  c->fd = -1;
}
static void flush(struct conn *c) {
  while (c->ooff < c->olen) {
    ssize_t r = send(c->fd, c->out + c->ooff, c->olen - c->ooff, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (r < 0) {
      if (errno == EAGAIN) {
        arm(c, 1);
        return;
      }
      kill_conn(c, "send");
      return;
    }
    c->ooff += r;
  }
  c->ooff = c->olen = 0;
  arm(c, 0);
}

// ---- encoders
static const u8 mkey[4] = {0x37, 0xfa, 0x21, 0x3d};
static void put_ws(struct conn *c, int op, const char *p, u32 n) {
  u8 h[14];
  int k = 2;
  h[0] = 0x80 | op;
  u8 m = masked ? 0x80 : 0;
  if (n < 126)
    h[1] = m | n;
  else if (n < 65536) {
    h[1] = m | 126;
    h[2] = n >> 8;
    h[3] = n;
    k = 4;
  } else {
    h[1] = m | 127;
    memset(h + 2, 0, 4);
    h[6] = n >> 24;
    h[7] = n >> 16;
    h[8] = n >> 8;
    h[9] = n;
    k = 10;
  }
  if (masked) {
    memcpy(h + k, mkey, 4);
    k += 4;
  }
  put(c, h, k);
  reserve(c, n);
  char *o = c->out + c->olen;
  if (masked)
    for (u32 i = 0; i < n; i++)
      o[i] = p[i] ^ mkey[i & 3];
  else
    memcpy(o, p, n);
  c->olen += n;
}
// template: %c channel, %i connection, %s sequence, %p payload, %b payload size, %n newline, %r carriage
// return, %% percent
static u32 expand(char *o, u32 cap, const char *t, int chan, int idx, u64 seq, const char *pl, u32 pln) {
  u32 n = 0;
  for (; *t; t++) {
    if (n + 32 > cap)
      die("template too long");
    if (*t != '%' || !t[1]) {
      o[n++] = *t;
      continue;
    }
    t++;
    switch (*t) {
    case 'c': n += sprintf(o + n, "%d", chan); break;
    case 'i': n += sprintf(o + n, "%d", idx); break;
    case 's': n += sprintf(o + n, "%llu", (unsigned long long)seq); break;
    case 'b': n += sprintf(o + n, "%u", pln); break;
    case 'p':
      if (n + pln > cap)
        die("payload too long");
      memcpy(o + n, pl, pln);
      n += pln;
      break;
    case 'n': o[n++] = '\n'; break;
    case 'r': o[n++] = '\r'; break;
    case '%': o[n++] = '%'; break;
    default: o[n++] = '%'; o[n++] = *t;
    }
  }
  return n;
}
static u32 mqtt_len(u8 *o, u32 n) {
  u32 k = 0;
  do {
    o[k] = n & 127;
    n >>= 7;
    if (n)
      o[k] |= 128;
    k++;
  } while (n);
  return k;
}
static void put_mqtt(struct conn *c, u8 type, const char *body, u32 n) {
  u8 h[6];
  h[0] = type;
  u32 k = 1 + mqtt_len(h + 1, n);
  if (c->proto == P_MQTT) {
    put(c, h, k);
    put(c, body, n);
  } else {
    char *t = malloc(k + n);
    memcpy(t, h, k);
    memcpy(t + k, body, n);
    put_ws(c, 2, t, k + n);
    free(t);
  }
}
static u32 payload(char *o, u64 ts, int p, u64 seq) {
  u32 n = sprintf(o, "ts=%llu;p=%d;s=%llu;", (unsigned long long)ts, p, (unsigned long long)seq);
  if (n < (u32)B) {
    memcpy(o + n, pad, B - n);
    n = B;
  }
  return n;
}
// one publish / request on connection c
static char tb[1 << 20], pb[1 << 20], tb2[1 << 20];
static void put_request(struct conn *c, int chan, int p, u64 seq, u64 ts) {
  u32 pn = payload(pb, ts, p, seq), n;
  const char *pt = c->role == R_PUB && pub_path ? pub_path : path;
  switch (c->proto) {
  case P_WS:
    if (dialect && c->role != R_REQ) {
      n = dialect_publishes(dialect, chan, pb, pn, tb);
      put_ws(c, dialect_opcode(dialect), tb, n);
      break;
    }
    n = expand(tb, sizeof tb, pubt, chan, c->idx, seq, pb, pn);
    put_ws(c, binary ? 2 : 1, tb, n);
    break;
  case P_HTTP: {
    n = expand(tb, sizeof tb, pubt, chan, c->idx, seq, pb, pn);
    char pth[2048];
    pth[expand(pth, sizeof pth - 64, pt, chan, c->idx, seq, "", 0)] = 0;
    int h =
        snprintf(tb2, sizeof tb2, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %u\r\n",
                 method, pth, "localhost", ctype, n);
    put(c, tb2, h);
    for (int i = 0; i < nhdrs; i++) {
      u32 k = expand(tb2, 4096, hdrs[i], chan, c->idx, seq, "", 0);
      put(c, tb2, k);
      put(c, "\r\n", 2);
    }
    put(c, "\r\n", 2);
    put(c, tb, n);
    break;
  }
  case P_RAW:
    n = expand(tb, sizeof tb, pubt, chan, c->idx, seq, pb, pn);
    put(c, tb, n);
    put(c, "\n", 1);
    break;
  case P_NATSWS: {
    n = expand(tb, sizeof tb, pubt, chan, c->idx, seq, pb, pn);
    char sj[512];
    sj[expand(sj, 400, pt, chan, c->idx, seq, "", 0)] = 0;
    int k = sprintf(tb2, "PUB %s %u\r\n", sj, n);
    memcpy(tb2 + k, tb, n);
    memcpy(tb2 + k + n, "\r\n", 2);
    put_ws(c, 2, tb2, k + n + 2);
    break;
  }
  case P_NATS: {
    n = expand(tb, sizeof tb, pubt, chan, c->idx, seq, pb, pn);
    char sj[512];
    sj[expand(sj, 400, pt, chan, c->idx, seq, "", 0)] = 0;
    char h[600];
    int k = c->role == R_REQ ? sprintf(h, "PUB %s _INBOX.w%d.x %u\r\n", sj, c->idx, n)
                             : sprintf(h, "PUB %s %u\r\n", sj, n);
    put(c, h, k);
    put(c, tb, n);
    put(c, "\r\n", 2);
    break;
  }
  case P_REDIS: { // pubt is a command with words separated by |, e.g. "PUBLISH|c%c|%p"
    n = expand(tb, sizeof tb, pubt, chan, c->idx, seq, pb, pn);
    tb[n] = 0;
    int w = 1;
    for (u32 i = 0; i < n; i++)
      w += tb[i] == '|';
    char h[64];
    put(c, h, sprintf(h, "*%d\r\n", w));
    for (char *q = tb; q;) {
      char *e = strchr(q, '|');
      u32 l = e ? (u32)(e - q) : strlen(q);
      put(c, h, sprintf(h, "$%u\r\n", l));
      put(c, q, l);
      put(c, "\r\n", 2);
      q = e ? e + 1 : 0;
    }
    break;
  }
  case P_MQTT:
  case P_MQTTWS: {
    n = expand(tb, sizeof tb, pubt, chan, c->idx, seq, pb, pn);
    char sj[512];
    u32 sl = expand(sj, 400, pt, chan, c->idx, seq, "", 0);
    tb2[0] = sl >> 8;
    tb2[1] = sl;
    memcpy(tb2 + 2, sj, sl);
    memcpy(tb2 + 2 + sl, tb, n);
    put_mqtt(c, 0x30, tb2, 2 + sl + n);
    break;
  }
  }
}
static void send_sub(struct conn *c, const char *t) {
  u32 n;
  switch (c->proto) {
  case P_WS:
    n = expand(tb, sizeof tb, t, c->chan, c->idx, 0, "", 0);
    put_ws(c, binary ? 2 : 1, tb, n);
    break;
  case P_RAW:
    n = expand(tb, sizeof tb, t, c->chan, c->idx, 0, "", 0);
    put(c, tb, n);
    put(c, "\n", 1);
    break;
  }
}
static void ready(struct conn *c) {
  if (c->state == C_READY)
    return;
  c->state = C_READY;
  n_open--;
  n_ready++;
  if (mode == M_CONNECT)
    hadd(now_ns() - c->t0);
}
static void come_in(struct conn *c) { // the same in a dialect: a reply to each step before the next
  char step[512];
  int sub = c->role == R_SUB;
  if (c->acks >= dialect_replies_wanted(dialect, sub)) {
    ready(c);
    return;
  }
  size_t n = dialect_comes_in(dialect, c->acks, c->chan, step);
  if (n)
    put_ws(c, dialect_opcode(dialect), step, n);
}
static void setup_step(struct conn *c) { // ws and raw: send what may be sent, then see whether it is ready
  if (dialect && c->proto == P_WS) {
    come_in(c);
    return;
  }
  int sub = c->role == R_SUB, total = nhello + (sub ? nsubs : 0),
      need = (lockstep ? total : 0) + hello_acks + (sub ? sub_acks : 0);
  while (c->subs_sent < total && (!lockstep || c->acks > c->subs_sent)) {
    const char *t = c->subs_sent < nhello ? hello[c->subs_sent] : subs[c->subs_sent - nhello];
    if (c->subs_sent >= nhello && !t_sub)
      t_sub = now_ns();
    c->subs_sent++;
    send_sub(c, t);
  }
  if (c->subs_sent >= total && c->acks >= need)
    ready(c);
}
static void begin(struct conn *c) { // TCP is connected
  char b[4096];
  switch (c->proto) {
  case P_WS:
  case P_MQTTWS:
  case P_NATSWS: {
    const char *t = c->role == R_PUB && pub_path && c->proto == P_WS ? pub_path : path;
    if (c->proto == P_MQTTWS)
      t = "/mqtt";
    if (c->proto == P_NATSWS)
      t = "/";
    u32 n = sprintf(b, "GET ");
    n += expand(b + n, 2000, t, c->chan, c->idx, 0, "", 0);
    n += sprintf(b + n,
                 " HTTP/1.1\r\nHost: localhost:%d\r\nUpgrade: websocket\r\nConnection: "
                 "Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s",
                 port, c->proto == P_MQTTWS ? "Sec-WebSocket-Protocol: mqtt\r\n" : "");
    for (int i = 0; i < nhdrs; i++) {
      n += expand(b + n, 1000, hdrs[i], c->chan, c->idx, 0, "", 0);
      n += sprintf(b + n, "\r\n");
    }
    n += sprintf(b + n, "\r\n");
    put(c, b, n);
    c->state = C_SHAKE;
    break;
  }
  case P_HTTP:
    c->state = C_SETUP;
    ready(c);
    break;
  case P_RAW:
    c->state = C_SETUP;
    setup_step(c);
    break;
  case P_NATS: {
    c->state = C_SETUP;
    u32 n = sprintf(b, "CONNECT "
                       "{\"verbose\":false,\"pedantic\":false,\"lang\":\"wsload\",\"version\":\"1\","
                       "\"protocol\":1,\"headers\":true,\"no_responders\":true}\r\n");
    if (c->role == R_SUB) {
      n += sprintf(b + n, "SUB ");
      n += expand(b + n, 500, path, c->chan, c->idx, 0, "", 0);
      n += sprintf(b + n, " 1\r\n");
    }
    if (c->role == R_REQ)
      n += sprintf(b + n, "SUB _INBOX.w%d.* 1\r\n", c->idx);
    n += sprintf(b + n, "PING\r\n");
    put(c, b, n);
    break;
  }
  case P_REDIS:
    c->state = C_SETUP;
    if (c->role == R_SUB) {
      char ch[512];
      u32 k = expand(ch, 500, path, c->chan, c->idx, 0, "", 0);
      ch[k] = 0;
      put(c, b, sprintf(b, "*2\r\n$9\r\nSUBSCRIBE\r\n$%u\r\n%s\r\n", k, ch));
    } else
      ready(c);
    break;
  case P_MQTT: c->state = C_SETUP; goto mq;
  }
  flush(c);
  return;
mq : {
  char id[32];
  int k = sprintf(id, "w%d.%d", (int)getpid(), c->idx);
  char m[64] = {0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, (char)k};
  memcpy(m + 12, id, k);
  put_mqtt(c, 0x10, m, 12 + k);
  if (c->role == R_SUB) {
    char s[512];
    u32 l = expand(s + 4, 400, path, c->chan, c->idx, 0, "", 0);
    s[0] = 0;
    s[1] = 1;
    s[2] = l >> 8;
    s[3] = l;
    s[4 + l] = 0;
    put_mqtt(c, 0x82, s, 5 + l);
  }
}
  flush(c);
}

// ---- receiving
static void delivery(struct conn *c, u64 ts, int p, u64 seq, u64 now) {
  if (p < 0 || p >= P || c->role != R_SUB || (mode == M_REPLAY && seq > count)) {
    got_bad++;
    return;
  }
  struct seqst *s = &c->ss[p];
  if (seq > s->last) {
    u64 d = seq - s->last;
    if (d > 1)
      got_gap += d - 1;
    s->map = d < 64 ? (s->map << d) | 1 : 1;
    s->last = seq;
  } else {
    u64 d = s->last - seq;
    if (d < 64) {
      if (s->map >> d & 1) {
        got_dup++;
        return;
      }
      s->map |= 1ull << d;
    }
    got_ooo++;
    got_gap--;
  }
  got_unique++;
  t_last = now;
  if (measuring) {
    meas_del++;
    hadd(now > ts ? now - ts : 0);
  }
}
static u64 num(const char **q, const char *e) {
  u64 v = 0;
  while (*q < e && **q >= '0' && **q <= '9')
    v = v * 10 + (*(*q)++ - '0');
  return v;
}
// every "ts=<ns>;p=<publisher>;s=<sequence>;" in [p,e); returns where a cut-off marker may begin (for byte
// streams)
static const char *scan(struct conn *c, const char *p, const char *e, u64 now) {
  const char *lastend = p;
  while (p < e) {
    const char *m = memmem(p, e - p, "ts=", 3);
    if (!m)
      break;
    const char *q = m + 3;
    u64 ts = num(&q, e);
    if (q >= e)
      return m;
    if (q - m < 12) {
      p = m + 3;
      continue;
    }
    if (e - q < 3)
      return m;
    if (memcmp(q, ";p=", 3)) {
      p = q;
      continue;
    }
    q += 3;
    int pp = num(&q, e);
    if (e - q < 3)
      return m;
    if (memcmp(q, ";s=", 3)) {
      p = q;
      continue;
    }
    q += 3;
    u64 sq = num(&q, e);
    if (q >= e)
      return m;
    delivery(c, ts, pp, sq, now);
    if (mode == M_REPLAY) // the rest of a payload is as long as it was made and holds no other
      q = e - m > B ? m + B : e;
    p = lastend = q;
  }
  return e - lastend > 64 ? e - 2 : e - lastend > 2 ? e - 2 : lastend;
}
static void request_next(struct conn *c, u64 now);
static void one_ack(struct conn *c, int ok, u64 now) {
  if (c->role == R_PUB) {
    pub_acks++;
    if (!ok)
      pub_errs++;
    if (c->fh != c->ft)
      c->fh++;
    return;
  }
  if (c->fh == c->ft) {
    got_bad++;
    return;
  }
  u64 t = c->fifo[c->fh++ & c->fmask];
  acks_total++;
  if (!ok)
    acks_err++;
  if (measuring) {
    meas_acks++;
    hadd(now - t);
  }
  request_next(c, now);
}
static void request_next(struct conn *c, u64 now) {
  if (stop_requests || c->state != C_READY)
    return;
  u64 s = ++c->rcount;
  if (mode == M_FILL) {
    if (s > count * C)
      return;
    c->chan = (s - 1) % C;
    s = (s - 1) / C + 1;
  }
  c->fifo[c->ft++ & c->fmask] = now;
  put_request(c, c->chan, 0, s, now);
  sent_total++;
}
static void hear(struct conn *c, int op, const char *p, u32 n, u64 now) { // a message in a dialect
  struct heard h = dialect_hears(dialect, op, p, n);
  char answer[8];
  for (int i = 0; i < h.pings; i++)
    put_ws(c, dialect_opcode(dialect), answer, dialect_pong(dialect, answer));
  if (h.refusals && c->state == C_SETUP) {
    fprintf(stderr, "wsload: refused: %.*s\n", (int)(n < 200 ? n : 200), p);
    kill_conn(c, "refused");
    return;
  }
  for (; h.replies > 0 && c->state == C_SETUP; h.replies--) {
    c->acks++;
    setup_step(c);
  }
  got_bad += h.bad;
  if (c->role != R_SUB) {
    for (int i = 0; i < h.replies + h.refusals; i++)
      one_ack(c, i < h.replies, now);
    return;
  }
  // Each publication has to hold one message of ours, and nothing else any.
  u64 before = got_unique + got_dup + got_bad;
  scan(c, p, p + n, now);
  if (got_unique + got_dup + got_bad - before != (u64)h.publications)
    got_bad++;
}
static void ws_frame(struct conn *c, int op, const char *p, u32 n, u64 now) {
  if (op == 9) {
    put_ws(c, 10, p, n);
    return;
  }
  if (op == 10)
    return;
  if (op == 8) {
    kill_conn(c, "close frame");
    return;
  }
  frames_in++;
  if (dialect && c->proto == P_WS) {
    hear(c, op, p, n, now);
    return;
  }
  if (c->proto == P_NATSWS) {
    if (c->state != C_READY) {
      if (memmem(p, n, "PONG\r\n", 6))
        ready(c);
      return;
    }
    if (n >= 6 && !memcmp(p + n - 6, "PING\r\n", 6))
      put_ws(c, 2, "PONG\r\n", 6);
    scan(c, p, p + n, now);
    return;
  }
  if (c->proto == P_MQTTWS) {
    if (c->state != C_READY) {
      for (u32 i = 0; i < n; i++)
        c->acks++;
      if (c->acks >= (c->role == R_SUB ? 9 : 4))
        ready(c);
      return;
    }
    scan(c, p, p + n, now);
    return;
  }
  if (eio && n >= 1 && p[0] == '2' && n == 1) {
    put_ws(c, 1, "3", 1);
    return;
  }
  if (c->state == C_SETUP) {
    c->acks++;
    setup_step(c);
    return;
  }
  if (c->role == R_SUB)
    scan(c, p, p + n, now);
  else if (!ackstr || memmem(p, n, ackstr, strlen(ackstr)))
    one_ack(c, 1, now);
}
static int http_head(const char *p, u32 n, u32 *hl, int *st, long *cl, int *chunked) {
  const char *e = memmem(p, n, "\r\n\r\n", 4);
  if (!e)
    return 0;
  *hl = e + 4 - p;
  *st = n > 12 ? atoi(p + 9) : 0;
  *cl = -1;
  *chunked = 0;
  for (const char *l = memchr(p, '\n', *hl); l && l + 1 < e; l = memchr(l + 1, '\n', e - l)) {
    if (!strncasecmp(l + 1, "content-length:", 15))
      *cl = atol(l + 16);
    if (!strncasecmp(l + 1, "transfer-encoding: chunked", 26))
      *chunked = 1;
  }
  return 1;
}
static long resp_len(const char *p, long n) { // length of one RESP value, 0 when incomplete
  const char *e = memmem(p, n, "\r\n", 2);
  if (!e)
    return 0;
  long h = e + 2 - p;
  if (*p == '$') {
    long l = atol(p + 1);
    if (l < 0)
      return h;
    return n >= h + l + 2 ? h + l + 2 : 0;
  }
  if (*p == '*' || *p == '>') {
    long k = atol(p + 1), o = h;
    for (long i = 0; i < k; i++) {
      if (o >= n)
        return 0;
      long l = resp_len(p + o, n - o);
      if (!l)
        return 0;
      o += l;
    }
    return o;
  }
  return h;
}
static void consume(struct conn *c, char *p, u32 n, u64 now) {
  // p..p+n holds leftover and new bytes; what remains is copied to c->in
  u32 o = 0;
again:
  if (c->state == C_DEAD)
    return;
  switch (c->proto) {
  case P_WS:
  case P_MQTTWS:
  case P_NATSWS:
    if (c->state == C_SHAKE) {
      u32 hl;
      int st, ch;
      long cl;
      if (!http_head(p + o, n - o, &hl, &st, &cl, &ch))
        break;
      if (st != 101) {
        p[n < 200 ? n : 200] = 0;
        fprintf(stderr, "wsload: handshake refused: %.120s\n", p);
        kill_conn(c, "handshake");
        return;
      }
      o += hl;
      c->state = C_SETUP;
      if (c->proto == P_NATSWS) {
        char b[1024];
        u32 k = sprintf(b, "CONNECT "
                           "{\"verbose\":false,\"pedantic\":false,\"lang\":\"wsload\",\"version\":\"1\","
                           "\"protocol\":1}\r\n");
        if (c->role == R_SUB) {
          k += sprintf(b + k, "SUB ");
          k += expand(b + k, 500, path, c->chan, c->idx, 0, "", 0);
          k += sprintf(b + k, " 1\r\n");
        }
        k += sprintf(b + k, "PING\r\n");
        put_ws(c, 2, b, k);
      } else if (c->proto == P_MQTTWS) {
        char id[32];
        int k = sprintf(id, "w%d.%d", (int)getpid(), c->idx);
        char m[64] = {0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, (char)k};
        memcpy(m + 12, id, k);
        put_mqtt(c, 0x10, m, 12 + k);
        if (c->role == R_SUB) {
          char s[512];
          u32 l = expand(s + 4, 400, path, c->chan, c->idx, 0, "", 0);
          s[0] = 0;
          s[1] = 1;
          s[2] = l >> 8;
          s[3] = l;
          s[4 + l] = 0;
          put_mqtt(c, 0x82, s, 5 + l);
        }
      } else
        setup_step(c);
      goto again;
    }
    while (n - o >= 2 && c->state != C_DEAD) {
      const u8 *q = (const u8 *)p + o;
      u32 h = 2;
      u64 l = q[1] & 127;
      if (l == 126) {
        if (n - o < 4)
          break;
        l = q[2] << 8 | q[3];
        h = 4;
      } else if (l == 127) {
        if (n - o < 10)
          break;
        l = 0;
        for (int i = 2; i < 10; i++)
          l = l << 8 | q[i];
        h = 10;
      }
      if (q[1] & 128) {
        kill_conn(c, "masked server frame");
        return;
      }
      if (n - o < h + l)
        break;
      ws_frame(c, q[0] & 15, (const char *)q + h, l, now);
      o += h + l;
    }
    break;
  case P_HTTP:
    for (;;) {
      u32 hl, from = o;
      int st, ch;
      long cl;
      if (o >= n || !http_head(p + o, n - o, &hl, &st, &cl, &ch))
        break;
      if (ch) {
        const char *e = memmem(p + o + hl - 2, n - o - hl + 2, "\r\n0\r\n\r\n", 7);
        if (!e)
          break;
        o = e + 7 - p;
      } else {
        if (cl < 0)
          cl = 0;
        if (n - o < hl + cl)
          break;
        o += hl + cl;
      }
      int told = !ackstr || memmem(p + from, o - from, ackstr, strlen(ackstr));
      one_ack(c, st >= 200 && st < 300 && told, now);
    }
    break;
  case P_RAW:
    if (c->state == C_SETUP) {
      c->acks++;
      o = n;
      setup_step(c);
      break;
    }
    if (c->role == R_SUB) {
      const char *r = scan(c, p + o, p + n, now);
      o = r - p;
    } else {
      char *e;
      while (o < n && (e = memchr(p + o, '\n', n - o))) {
        o = e + 1 - p;
        one_ack(c, 1, now);
      }
    }
    break;
  case P_NATS:
    while (o < n) {
      char *e = memchr(p + o, '\n', n - o);
      if (!e)
        break;
      char *l = p + o;
      u32 ll = e + 1 - l;
      if (!strncmp(l, "MSG ", 4) || !strncmp(l, "HMSG ", 5)) {
        char *q = e;
        while (q > l && *q != ' ')
          q--;
        u32 sz = atoi(q + 1);
        if (n - o < ll + sz + 2)
          break;
        if (c->role == R_SUB)
          scan(c, e + 1, e + 1 + sz + 1, now);
        else {
          int ok = !memmem(e + 1, sz, "\"error\"", 7) && l[0] == 'M';
          one_ack(c, ok, now);
        }
        o += ll + sz + 2;
        continue;
      }
      if (!strncmp(l, "PING", 4))
        put(c, "PONG\r\n", 6);
      else if (!strncmp(l, "PONG", 4)) {
        if (c->state == C_SETUP)
          ready(c);
      } else if (!strncmp(l, "-ERR", 4)) {
        fprintf(stderr, "wsload: nats %.*s", (int)ll, l);
      }
      o += ll;
    }
    break;
  case P_REDIS:
    if (c->state == C_SETUP) {
      long l = resp_len(p + o, n - o);
      if (!l)
        break;
      o += l;
      ready(c);
      goto again;
    }
    if (c->role == R_SUB) {
      const char *r = scan(c, p + o, p + n, now);
      o = r - p;
      break;
    }
    while (o < n) {
      long l = resp_len(p + o, n - o);
      if (!l)
        break;
      one_ack(c, p[o] != '-', now);
      o += l;
    }
    break;
  case P_MQTT:
    if (c->state == C_SETUP) {
      c->acks += n - o;
      o = n;
      if (c->acks >= (c->role == R_SUB ? 9 : 4))
        ready(c);
      break;
    }
    {
      const char *r = scan(c, p + o, p + n, now);
      o = r - p;
    }
    break;
  }
  if (c->state == C_DEAD)
    return;
  u32 rest = n - o;
  if (rest) {
    if (rest > c->icap) {
      c->icap = rest * 2;
      c->in = realloc(c->in, c->icap);
    }
    memcpy(c->in, p + o, rest);
  } else if (c->icap > 65536) {
    free(c->in);
    c->in = 0;
    c->icap = 0;
  }
  c->ilen = rest;
}
static void on_read(struct conn *c) {
  for (;;) {
    if (c->ilen + 65536 > RB)
      die("frame larger than %d bytes", RB);
    if (c->ilen)
      memcpy(rb, c->in, c->ilen);
    ssize_t r = recv(c->fd, rb + c->ilen, RB - c->ilen - 1, MSG_DONTWAIT);
    if (r < 0) {
      if (errno == EAGAIN || errno == EINTR)
        return;
      kill_conn(c, "recv");
      return;
    }
    if (r == 0) {
      kill_conn(c, "end of stream");
      return;
    }
    bytes_in += r;
    u64 now = now_ns();
    u32 n = c->ilen + r;
    int full = (u32)r == RB - c->ilen - 1;
    c->ilen = 0;
    consume(c, rb, n, now);
    if (c->state == C_DEAD)
      return;
    if (c->olen > c->ooff)
      flush(c);
    if (!full)
      return;
  }
}
static void start_conn(struct conn *c) {
  const char *h = c->role == R_PUB && pub_host ? pub_host : host;
  int pt = c->role == R_PUB && pub_port ? pub_port : port;
  int un = !strncmp(h, "unix:", 5);
  c->fd = socket(un ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0)
    die("socket: %s", strerror(errno));
  int one = 1, r;
  c->t0 = now_ns();
  c->state = C_CONNECTING;
  n_open++;
  n_started++;
  if (un) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strncpy(a.sun_path, h + 5, sizeof a.sun_path - 1);
    r = connect(c->fd, (void *)&a, sizeof a);
  } else {
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (srccount > 1) {
      setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
      struct sockaddr_in s = {.sin_family = AF_INET};
      s.sin_addr.s_addr = htonl(0x7f000002 + c->idx % srccount);
      if (bind(c->fd, (void *)&s, sizeof s))
        die("bind: %s", strerror(errno));
    }
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(pt)};
    if (inet_pton(AF_INET, h, &a.sin_addr) != 1)
      die("bad host %s", h);
    r = connect(c->fd, (void *)&a, sizeof a);
  }
  if (r < 0 && errno != EINPROGRESS) {
    kill_conn(c, "connect");
    return;
  }
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  c->want_out = 1;
  epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
}
static struct epoll_event evs[1024];
static int poll_once(int64_t ns) {
  struct timespec ts = {ns / 1000000000, ns % 1000000000};
  int k = epoll_pwait2(ep, evs, 1024, ns < 0 ? NULL : &ts, NULL);
  for (int i = 0; i < k; i++) {
    struct conn *c = evs[i].data.ptr;
    if (c->state == C_DEAD)
      continue;
    if (evs[i].events & EPOLLOUT) {
      if (c->state == C_CONNECTING) {
        int er = 0;
        socklen_t l = sizeof er;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &er, &l);
        if (er) {
          errno = er;
          kill_conn(c, "connect");
          continue;
        }
        begin(c);
      } else
        flush(c);
    }
    if (c->state != C_DEAD && c->state != C_CONNECTING && (evs[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
      on_read(c);
  }
  return k;
}
static void open_all(void) {
  int next = 0;
  u64 t = now_ns(), lastp = t;
  int lastr = 0;
  while (n_ready + n_dead < ncs) {
    while (next < ncs && n_open < inflight)
      start_conn(&cs[next++]);
    poll_once(100000000);
    u64 n = now_ns();
    if (n_ready != lastr) {
      lastr = n_ready;
      lastp = n;
    }
    if (n - lastp > 10000000000ull)
      die("set-up stalled: %d ready, %d dead, %d open of %d", n_ready, n_dead, n_open, ncs);
  }
  if (n_dead)
    die("%d of %d connections failed", n_dead, ncs);
}
static void idle(double sec) {
  u64 e = now_ns() + (u64)(sec * 1e9), n;
  while ((n = now_ns()) < e)
    poll_once(e - n);
}
static void common(void) {
  printf("\"label\":\"%s\",\"proto\":\"%s\",", label, pname[proto]);
}
static int run_fanout(void) {
  if (S % C)
    die("--subs must be a multiple of --channels");
  ncs = S + P + slow;
  cs = calloc(ncs, sizeof *cs);
  pseq = calloc((size_t)P * C, 8);
  chan_subs = calloc(C, sizeof(int));
  for (int i = 0; i < ncs; i++) {
    struct conn *c = &cs[i];
    c->idx = i;
    c->role = i < S || i >= S + P ? R_SUB : R_PUB;
    c->proto = c->role == R_SUB ? proto : pub_proto;
    if (c->role == R_SUB) {
      c->chan = i % C;
      c->ss = calloc(P, sizeof(struct seqst));
      if (i < S)
        chan_subs[c->chan]++;
    }
  }
  open_all();
  idle(settle / 1e3);
  for (int i = S + P; i < ncs; i++)
    epoll_ctl(ep, EPOLL_CTL_DEL, cs[i].fd, NULL); // slow ones stop reading for good
  u64 t0 = now_ns(), tw = t0 + warm * 1e9, te = tw + dur * 1e9, now = t0, next = t0, pubn = 0, lastgot = 0,
      tprog = t0, tm0 = 0, tm1 = 0;
  struct usage ua = {0}, ub = {0};
  double sa = 0, sb = 0;
  u64 d0b = 0, pub0 = 0;
  double gap = rate > 0 ? 1e9 / rate : 0;
  double nextf = next;
  int k = S / C;
  int cc = 0, pp = 0;
  u64 late = 0;
  for (;;) {
    now = now_ns();
    if (!measuring && !tm0 && now >= tw) {
      ua = usage_now();
      sa = self_cpu();
      d0b = bytes_in;
      pub0 = sent_total;
      measuring = 1;
      tm0 = now = now_ns();
    }
    if (measuring && now >= te) {
      measuring = 0;
      tm1 = now;
      ub = usage_now();
      sb = self_cpu();
      meas_pub = sent_total - pub0;
      d0b = bytes_in - d0b;
      break;
    }
    int progressed = 0;
    if (rate > 0) {
      while (nextf <= now) {
        struct conn *c = &cs[S + pp];
        if (c->state != C_READY)
          die("publisher %d lost", pp);
        put_request(c, cc, pp, ++pseq[(size_t)pp * C + cc], (u64)nextf);
        sent_total++;
        exp_total += chan_subs[cc];
        if (c->proto == P_HTTP)
          c->ft++;
        if (now - nextf > 1e6)
          late++;
        nextf += gap;
        pp = (pp + 1) % P;
        if (pp == 0)
          cc = (cc + 1) % C;
        progressed = 1;
        if (c->olen > 65536)
          flush(c);
      }
    } else {
      u64 lim = (u64)window * k;
      int tries = 0;
      while (exp_total - got_unique - allowance + k <= lim && tries < P) {
        struct conn *c = &cs[S + pp];
        if (c->state != C_READY)
          die("publisher %d lost", pp);
        if (c->olen - c->ooff > 262144 || (c->proto == P_HTTP && (int)(c->ft - c->fh) >= pubdepth)) {
          tries++;
          pp = (pp + 1) % P;
          continue;
        }
        tries = 0;
        put_request(c, cc, pp, ++pseq[(size_t)pp * C + cc], now_ns());
        sent_total++;
        exp_total += chan_subs[cc];
        if (c->proto == P_HTTP)
          c->ft++;
        pp = (pp + 1) % P;
        if (pp == 0)
          cc = (cc + 1) % C;
        progressed = 1;
        pubn++;
      }
      if (got_unique != lastgot) {
        lastgot = got_unique;
        tprog = now;
      } else if (now - tprog > 1000000000ull) {
        stalls++;
        allowance = exp_total - got_unique;
        tprog = now;
      }
    }
    if (progressed)
      for (int i = S; i < S + P; i++)
        if (cs[i].olen > cs[i].ooff && !cs[i].want_out)
          flush(&cs[i]);
    int64_t w = (int64_t)((tm0 ? te : tw) - now_ns());
    if (rate > 0) {
      int64_t g = (int64_t)(nextf - now_ns());
      if (g < w)
        w = g;
    } else if (w > 100000000)
      w = 100000000;
    if (w < 0)
      w = 0;
    poll_once(w);
  }
  u64 tend = now_ns() + drain * 1e9, tp = now_ns(), lg = got_unique;
  while (got_unique < exp_total && (now = now_ns()) < tend) {
    poll_once(50000000);
    if (got_unique != lg) {
      lg = got_unique;
      tend = now_ns() + drain * 1e9;
      if (now_ns() - tp > 30000000000ull)
        break;
    }
  }
  double sec = (tm1 - tm0) / 1e9;
  int subs_alive = 0;
  for (int i = 0; i < S; i++)
    subs_alive += cs[i].state == C_READY;
  printf("{\"mode\":\"fanout\",");
  common();
  printf("\"subs\":%d,\"slow\":%d,\"pubs\":%d,\"channels\":%d,\"payload\":%d,\"rate\":%g,\"window\":%d,"
         "\"sec\":%.3f,",
         S, slow, P, C, B, rate, rate > 0 ? 0 : window, sec);
  printf("\"published_per_s\":%.0f,\"deliveries\":%llu,\"deliveries_per_s\":%.0f,\"mb_in_per_s\":%.1f,",
         meas_pub / sec, (unsigned long long)meas_del, meas_del / sec, d0b / sec / 1e6);
  cpus(ua, ub, sec, meas_del);
  printf("\"client_cores\":%.2f,\"expected\":%llu,\"received\":%llu,\"lost\":%lld,\"dup\":%llu,\"out_of_"
         "order\":%llu,\"gaps\":%lld,\"bad\":%llu,\"stalls\":%llu,\"late_sends\":%llu,\"pub_errors\":%llu,"
         "\"subs_alive\":%d,",
         (sb - sa) / sec, (unsigned long long)exp_total, (unsigned long long)got_unique,
         (long long)(exp_total - got_unique), (unsigned long long)got_dup, (unsigned long long)got_ooo,
         (long long)got_gap, (unsigned long long)got_bad, (unsigned long long)stalls,
         (unsigned long long)late, (unsigned long long)pub_errs, subs_alive);
  lat();
  printf("}\n");
  return exp_total != got_unique;
}
static int run_reqrep(void) {
  ncs = N;
  cs = calloc(ncs, sizeof *cs);
  u32 cap = 1;
  while (cap < (u32)depth)
    cap *= 2;
  for (int i = 0; i < ncs; i++) {
    struct conn *c = &cs[i];
    c->idx = i;
    c->role = R_REQ;
    c->proto = proto;
    c->chan = i % C;
    c->fifo = calloc(cap, 8);
    c->fmask = cap - 1;
  }
  open_all();
  idle(settle / 1e3);
  for (int i = 0; i < ncs; i++) {
    u64 n = now_ns();
    for (int d = 0; d < depth; d++)
      request_next(&cs[i], n);
    flush(&cs[i]);
  }
  u64 t = now_ns(), tw = t + warm * 1e9, te;
  while ((t = now_ns()) < tw)
    poll_once(tw - t);
  struct usage ua = usage_now();
  double sa = self_cpu();
  u64 tm0 = now_ns();
  measuring = 1;
  te = tm0 + dur * 1e9;
  while ((t = now_ns()) < te)
    poll_once(te - t);
  measuring = 0;
  u64 tm1 = now_ns();
  struct usage ub = usage_now();
  double sb = self_cpu();
  stop_requests = 1;
  u64 td = now_ns() + drain * 1e9;
  while (acks_total < sent_total && (t = now_ns()) < td)
    poll_once(td - t < 50000000 ? td - t : 50000000);
  double sec = (tm1 - tm0) / 1e9;
  printf("{\"mode\":\"reqrep\",");
  common();
  printf("\"conns\":%d,\"depth\":%d,\"payload\":%d,\"sec\":%.3f,\"replies\":%llu,\"replies_per_s\":%.0f,", N,
         depth, B, sec, (unsigned long long)meas_acks, meas_acks / sec);
  cpus(ua, ub, sec, meas_acks);
  printf("\"client_cores\":%.2f,\"unanswered\":%lld,\"errors\":%llu,\"unmatched\":%llu,\"alive\":%d,",
         (sb - sa) / sec, (long long)(sent_total - acks_total), (unsigned long long)acks_err,
         (unsigned long long)got_bad, n_ready);
  lat();
  printf("}\n");
  return acks_total != sent_total || acks_err;
}
static int run_connect(void) {
  ncs = N;
  cs = calloc(ncs, sizeof *cs);
  for (int i = 0; i < ncs; i++) {
    struct conn *c = &cs[i];
    c->idx = i;
    c->role = nsubs ? R_SUB : R_REQ;
    c->proto = proto;
    c->chan = i % C;
    if (nsubs)
      c->ss = calloc(P, sizeof(struct seqst));
  }
  struct usage u0 = usage_now();
  u64 m0 = tcp_mem_bytes(), s0 = slab_bytes();
  u64 t0 = now_ns();
  open_all();
  u64 t1 = now_ns();
  struct usage u1 = usage_now();
  idle(hold);
  struct usage u2 = usage_now();
  u64 m1 = tcp_mem_bytes(), s1 = slab_bytes();
  double sec = (t1 - t0) / 1e9;
  printf("{\"mode\":\"connect\",");
  common();
  printf("\"conns\":%d,\"connects_per_s\":%.0f,\"sec\":%.3f,\"cpu_us_per_connect\":%.1f,\"rss0_mb\":%.1f,"
         "\"rss1_mb\":%.1f,\"rss_per_conn\":%.0f,\"kernel_tcp_mem_per_conn\":%.0f,\"kernel_slab_per_conn_"
         "both_ends\":%.0f,\"idle_cpu_s\":%.3f,\"alive\":%d,",
         N, N / sec, sec, (u1.cpu - u0.cpu) / N * 1e6, u0.rss / 1048576.0, u2.rss / 1048576.0,
         ((double)u2.rss - (double)u0.rss) / N, ((double)m1 - (double)m0) / N, ((double)s1 - (double)s0) / N,
         u2.cpu - u1.cpu, n_ready);
  lat();
  printf("}\n");
  return n_ready != N;
}
static int run_fill(void) {
  ncs = 1;
  cs = calloc(1, sizeof *cs);
  u32 cap = 1;
  while (cap < (u32)depth)
    cap *= 2;
  *cs = (struct conn){.role = R_REQ, .proto = proto, .fifo = calloc(cap, 8), .fmask = cap - 1};
  open_all();
  idle(settle / 1e3);
  u64 t0 = now_ns(), told = t0, before = 0;
  for (int d = 0; d < depth; d++)
    request_next(cs, t0);
  flush(cs);
  while (acks_total < count * C && n_ready && now_ns() - told < 10000000000ull) {
    poll_once(100000000);
    if (acks_total != before)
      told = now_ns();
    before = acks_total;
  }
  double sec = (told - t0) / 1e9;
  u64 missing = count * C - acks_total;
  printf("{\"mode\":\"fill\",");
  common();
  printf("\"count\":%llu,\"channels\":%d,\"payload\":%d,\"sec\":%.3f,\"events_per_s\":%.0f,\"unanswered\":%llu,"
         "\"errors\":%llu}\n",
         (unsigned long long)count, C, B, sec, acks_total / sec, (unsigned long long)missing,
         (unsigned long long)acks_err);
  return missing || acks_err;
}
static void end_conn(struct conn *c) {
  if (c->fd >= 0 && c->state != C_DEAD)
    close(c->fd);
  free(c->in);
  free(c->out);
  free(c->ss);
}
static void ask_http(struct conn *c) { // one GET, then the stream
  char b[4096];
  u32 n = sprintf(b, "GET ");
  n += expand(b + n, 2000, path, c->chan, c->idx, 0, "", 0);
  n += sprintf(b + n, " HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n");
  for (int k = 0; k < nhdrs; k++)
    n += sprintf(b + n, "%s\r\n", hdrs[k]);
  n += sprintf(b + n, "\r\n");
  put(c, b, n);
  flush(c);
}
struct replay {
  double ms, connect_ms, mb;
};
// One replay to each connection. Its time begins with the first subscription that is sent, or with connecting
// where the address is the subscription. What comes too much within `settle` of the last event is seen, too.
static struct replay replay_once(int http) {
  n_ready = n_dead = n_open = 0;
  t_sub = t_last = 0;
  for (int i = 0; i < ncs; i++)
    cs[i] = (struct conn){.fd = -1,
                          .idx = i,
                          .role = R_SUB,
                          .proto = http ? P_RAW : proto,
                          .chan = i % C,
                          .ss = calloc(P, sizeof(struct seqst))};
  u64 got = got_unique, bytes = bytes_in, want = count * ncs, t0 = now_ns(), lim = t0 + dur * 1e9, t;
  open_all();
  u64 begun = t_sub ? t_sub : t0;
  for (int i = 0; http && i < ncs; i++)
    ask_http(&cs[i]);
  while (got_unique - got < want && !told_to_end && (t = now_ns()) < lim && n_dead < ncs)
    poll_once(lim - t);
  u64 end = t_last > begun ? t_last : now_ns();
  struct replay r = {(end - begun) / 1e6, (begun - t0) / 1e6, (bytes_in - bytes) / 1e6};
  if (!told_to_end)
    idle(settle / 1e3);
  for (int i = 0; i < ncs; i++)
    end_conn(&cs[i]);
  return r;
}
static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
static void on_term(int signal) {
  (void)signal;
  told_to_end = 1;
}
static int run_replay(void) {
  enum { KEPT = 100000 };
  static double ms[KEPT], connect_ms[KEPT];
  ncs = N;
  cs = calloc(ncs, sizeof *cs);
  struct sigaction end = {.sa_handler = on_term};
  sigaction(SIGTERM, &end, 0);
  struct usage ua = usage_now();
  double sa = self_cpu(), sec = 0, mb = 0;
  u64 n = 0;
  while ((!repeat || n < repeat) && n < KEPT && !told_to_end) {
    u64 before = got_unique;
    struct replay r = replay_once(proto == P_HTTP);
    if (told_to_end && got_unique - before != count * ncs) { // cut off by us, so no replay
      exp_total += got_unique - before;
      break;
    }
    exp_total += count * ncs;
    ms[n] = r.ms;
    connect_ms[n++] = r.connect_ms;
    sec += (r.ms + r.connect_ms) / 1e3;
    mb += r.mb;
  }
  struct usage ub = usage_now();
  double sb = self_cpu();
  qsort(ms, n, sizeof *ms, by_size);
  qsort(connect_ms, n, sizeof *ms, by_size);
  printf("{\"mode\":\"replay\",");
  common();
  printf("\"streams\":%d,\"count\":%llu,\"payload\":%d,\"replays\":%llu,\"ms\":%.3f,\"ms_least\":%.3f,\"ms_most\":%"
         ".3f,\"connect_ms\":%.3f,\"events_per_s\":%.0f,\"mb_per_s\":%.1f,",
         N, (unsigned long long)count, B, (unsigned long long)n, ms[n / 2], ms[0], ms[n ? n - 1 : 0],
         connect_ms[n / 2], n ? count * ncs / ms[n / 2] * 1e3 : 0, sec > 0 ? mb / sec : 0);
  cpus(ua, ub, sec, got_unique);
  printf("\"client_cores\":%.2f,\"expected\":%llu,\"received\":%llu,\"lost\":%lld,\"dup\":%llu,\"out_of_order\":%"
         "llu,\"bad\":%llu}\n",
         sec > 0 ? (sb - sa) / sec : 0, (unsigned long long)exp_total, (unsigned long long)got_unique,
         (long long)(exp_total - got_unique), (unsigned long long)got_dup, (unsigned long long)got_ooo,
         (unsigned long long)got_bad);
  return exp_total != got_unique || got_dup || got_ooo || got_bad;
}
static int find_proto(const char *s) {
  for (int i = 0; i < 8; i++)
    if (!strcmp(s, pname[i]))
      return i;
  die("unknown protocol %s", s);
  return 0;
}
static void usage(void) {
  fprintf(stderr, "usage: wsload fanout|reqrep|echo|connect|publish-http|fill|replay [options]\n"
                  " where:    --host A|unix:/p --port N --path T --header H... --src-count K (127.0.0.2 and "
                  "up) --proto ws|http|raw|nats|natsws|redis|mqtt|mqttws\n"
                  "           --pub-host A --pub-port N --pub-proto X --pub-path T (a publisher's path, "
                  "subject or topic)\n"
                  " frames:   --hello T... (text frame of every connection) --sub T... (of a subscriber, "
                  "after it) --lockstep (each waits for a frame first)\n"
                  "           --hello-acks K --sub-acks K (frames to wait for, all connections / subscribers "
                  "more) --pub T --ack STR --eio --binary\n"
                  "           --dialect socketio|centrifuge-json|centrifuge-protobuf (instead of hello, sub and "
                  "pub: channel cN is what %%c is)\n"
                  "           T has %%c channel, %%i connection, %%s sequence, %%p payload, %%b its size, "
                  "%%n newline; nats/redis/mqtt: --path is the subject\n"
                  "           redis: --pub is a command with | between words, e.g. 'PUBLISH|c%%c|%%p'\n"
                  " fanout:   --subs S --channels C (S/C subscribers each) --slow K (more that never read) "
                  "--pubs P --payload B --rate R (messages/s; 0 = closed loop) --window W --pub-depth D\n"
                  " reqrep:   --conns N --depth D --payload B --ack STR      connect: --conns N --hold SEC "
                  "--inflight K\n"
                  " fill:     --count N --channels C --depth D --payload B --ack STR (N events to each channel, "
                  "in turns)\n"
                  " replay:   --count N --payload B --repeat R (0 = until SIGTERM) --conns K --dur SEC (the most "
                  "that one may take)\n"
                  " measure:  --warm SEC --dur SEC --drain SEC --settle MS --pids a,b (and descendants) "
                  "--cpu K (pin wsload) --label TEXT --verbose\n");
  exit(2);
}
int main(int argc, char **argv) {
  if (argc < 2)
    usage();
  signal(SIGPIPE, SIG_IGN);
  memset(pad, 'x', sizeof pad);
  const char *m = argv[1];
  if (!strcmp(m, "fanout"))
    mode = M_FANOUT;
  else if (!strcmp(m, "reqrep") || !strcmp(m, "echo"))
    mode = M_REQREP;
  else if (!strcmp(m, "publish-http")) {
    mode = M_REQREP;
    proto = P_HTTP;
  } else if (!strcmp(m, "connect"))
    mode = M_CONNECT;
  else if (!strcmp(m, "replay")) {
    mode = M_REPLAY;
    N = 1;
    dur = 60;
    settle = 50;
  } else if (!strcmp(m, "fill")) {
    mode = M_FILL;
    depth = 1024;
  } else
    usage();
  for (int i = 2; i < argc; i++) {
    const char *o = argv[i];
#define F(n) !strcmp(o, n)
#define V (++i < argc ? argv[i] : (usage(), ""))
    if (F("--host"))
      host = V;
    else if (F("--port"))
      port = atoi(V);
    else if (F("--path"))
      path = V;
    else if (F("--header"))
      hdrs[nhdrs++] = V;
    else if (F("--proto"))
      proto = find_proto(V);
    else if (F("--pub-proto"))
      pub_proto = find_proto(V);
    else if (F("--pub-host"))
      pub_host = V;
    else if (F("--pub-port"))
      pub_port = atoi(V);
    else if (F("--pub-path"))
      pub_path = V;
    else if (F("--sub"))
      subs[nsubs++] = V;
    else if (F("--hello"))
      hello[nhello++] = V;
    else if (F("--hello-acks"))
      hello_acks = atoi(V);
    else if (F("--lockstep"))
      lockstep = 1;
    else if (F("--sub-acks"))
      sub_acks = atoi(V);
    else if (F("--pub"))
      pubt = V;
    else if (F("--ack"))
      ackstr = V;
    else if (F("--dialect")) {
      dialect = dialect_named(V);
      if (!dialect)
        die("unknown dialect %s", argv[i]);
      path = dialect_path(dialect);
    } else if (F("--eio"))
      eio = lockstep = 1;
    else if (F("--binary"))
      binary = 1;
    else if (F("--subs"))
      S = atoi(V);
    else if (F("--channels"))
      C = atoi(V);
    else if (F("--slow"))
      slow = atoi(V);
    else if (F("--pubs"))
      P = atoi(V);
    else if (F("--payload"))
      B = atoi(V);
    else if (F("--rate"))
      rate = atof(V);
    else if (F("--window"))
      window = atoi(V);
    else if (F("--pub-depth"))
      pubdepth = atoi(V);
    else if (F("--conns"))
      N = atoi(V);
    else if (F("--depth"))
      depth = atoi(V);
    else if (F("--hold"))
      hold = atof(V);
    else if (F("--inflight"))
      inflight = atoi(V);
    else if (F("--count"))
      count = strtoull(V, 0, 10);
    else if (F("--repeat"))
      repeat = strtoull(V, 0, 10);
    else if (F("--warm"))
      warm = atof(V);
    else if (F("--dur"))
      dur = atof(V);
    else if (F("--drain"))
      drain = atof(V);
    else if (F("--settle"))
      settle = atoi(V);
    else if (F("--cpu"))
      cpu = atoi(V);
    else if (F("--label"))
      label = V;
    else if (F("--verbose"))
      verbose = 1;
    else if (F("--method"))
      method = V;
    else if (F("--content-type"))
      ctype = V;
    else if (F("--src-count"))
      srccount = atoi(V);
    else if (F("--pids")) {
      char *d = strdup(V);
      for (char *t = strtok(d, ","); t; t = strtok(0, ","))
        usage_of(atoi(t));
    } else {
      fprintf(stderr, "unknown option %s\n", o);
      usage();
    }
  }
  if (pub_proto < 0)
    pub_proto = proto;
  if (B >= (1 << 19))
    die("payload too large");
  struct rlimit rl;
  getrlimit(RLIMIT_NOFILE, &rl);
  rl.rlim_cur = rl.rlim_max = 1048576;
  if (setrlimit(RLIMIT_NOFILE, &rl)) {
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
  }
  if (cpu >= 0) {
    cpu_set_t s;
    CPU_ZERO(&s);
    CPU_SET(cpu, &s);
    sched_setaffinity(0, sizeof s, &s);
  }
  rb = malloc(RB + 64);
  ep = epoll_create1(EPOLL_CLOEXEC);
  switch (mode) {
  case M_FANOUT: return run_fanout();
  case M_REQREP: return run_reqrep();
  case M_CONNECT: return run_connect();
  case M_FILL: return run_fill();
  default: return run_replay();
  }
}
