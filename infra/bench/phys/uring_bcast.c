// Physical limit, io_uring: the same server as epoll_bcast.c. uring_bcast PORT
// Multishot accept and recv with one provided-buffer ring; a broadcast is one SQE per subscriber over one
// shared buffer, MSG_DONTWAIT with no completion on success, all submitted by one io_uring_enter per (up to)
// 4096 subscribers.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "wsmini.h"
struct conn {
  int fd, chan, up, echo, dead;
  uint8_t *in;
  int ilen;
  uint8_t *bl;
  int blen, pollout;
};
struct chan {
  struct conn **s;
  int n, cap;
  uint8_t *buf;
  long len, bcap;
  int dirty;
};
static struct chan *ch;
static int nch;
static int *dirty, ndirty;
static struct io_uring R;
enum { NB = 4096, BS = 4096 };
enum { ACC = 1, RECV = 2, SEND = 3, POLL = 4 };
static struct io_uring_buf_ring *br;
static uint8_t *bufs;
static struct chan *getc_(int i) {
  if (i >= nch) {
    int m = (i + 1) * 2;
    ch = realloc(ch, m * sizeof *ch);
    memset(ch + nch, 0, (m - nch) * sizeof *ch);
    dirty = realloc(dirty, m * sizeof(int));
    nch = m;
  }
  return &ch[i];
}
static struct io_uring_sqe *sqe(void) {
  struct io_uring_sqe *s = io_uring_get_sqe(&R);
  if (!s) {
    io_uring_submit(&R);
    s = io_uring_get_sqe(&R);
  }
  return s;
}
static void arm_poll(struct conn *c) {
  if (c->pollout)
    return;
  c->pollout = 1;
  struct io_uring_sqe *s = sqe();
  io_uring_prep_poll_add(s, c->fd, POLLOUT);
  io_uring_sqe_set_data64(s, (uint64_t)c << 3 | POLL);
}
static void backlog(struct conn *c, const uint8_t *p, long n) {
  c->bl = realloc(c->bl, c->blen + n);
  memcpy(c->bl + c->blen, p, n);
  c->blen += n;
  arm_poll(c);
}
// send p (kept by the caller until the next submit returns)
static void out(struct conn *c, const uint8_t *p, long n) {
  if (c->dead)
    return;
  if (c->blen) {
    backlog(c, p, n);
    return;
  }
  struct io_uring_sqe *s = sqe();
  io_uring_prep_send(s, c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
  s->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(s, (uint64_t)c << 3 | SEND);
}
static void arm_recv(struct conn *c) {
  struct io_uring_sqe *s = sqe();
  io_uring_prep_recv_multishot(s, c->fd, NULL, 0, 0);
  s->flags |= IOSQE_BUFFER_SELECT;
  s->buf_group = 0;
  io_uring_sqe_set_data64(s, (uint64_t)c << 3 | RECV);
}
static void take(struct conn *c, uint8_t *d, long n) {
  static uint8_t rb[1 << 18];
  static uint8_t eb[1 << 18];
  static long el;
  if (c->ilen)
    memcpy(rb, c->in, c->ilen);
  memcpy(rb + c->ilen, d, n);
  n += c->ilen;
  rb[n] = 0;
  long o = 0;
  if (!c->up) {
    static char r[4096][160];
    static int ri;
    char *q = r[ri++ & 4095];
    int u;
    int l = ws_accept((char *)rb, n, q, &u, &c->chan);
    if (l > 0) {
      c->echo = !strncmp((char *)rb, "GET /e", 6);
      o = u;
      c->up = 1;
      out(c, (uint8_t *)q, l);
      if (c->chan >= 0) {
        struct chan *h = getc_(c->chan);
        if (h->n == h->cap)
          h->s = realloc(h->s, (h->cap = h->cap ? h->cap * 2 : 1) * sizeof *h->s);
        h->s[h->n++] = c;
      }
    }
  }
  int op;
  uint8_t *p;
  long l, u, e0 = el;
  while (c->up && (u = ws_frame(rb + o, n - o, &op, &p, &l))) {
    o += u;
    if (op != 1 && op != 2)
      continue;
    if (c->echo) {
      if (el + l + 14 > (long)sizeof eb) {
        if (el > e0)
          out(c, eb + e0, el - e0);
        io_uring_submit(&R);
        e0 = el = 0;
      }
      el += ws_head(eb + el, op, l);
      memcpy(eb + el, p, l);
      el += l;
      continue;
    }
    int cn = p[0] == 'c' ? atoi((char *)p + 1) : 0;
    struct chan *h = getc_(cn);
    if (h->len + l + 14 > h->bcap)
      h->buf = realloc(h->buf, h->bcap = (h->len + l + 14) * 2);
    h->len += ws_head(h->buf + h->len, op, l);
    memcpy(h->buf + h->len, p, l);
    h->len += l;
    if (!h->dirty) {
      h->dirty = 1;
      dirty[ndirty++] = cn;
    }
  }
  if (el > e0)
    out(c, eb + e0, el - e0);
  if (el > (long)sizeof eb / 2) {
    io_uring_submit(&R);
    el = 0;
  }
  c->ilen = n - o;
  if (c->ilen) {
    c->in = realloc(c->in, c->ilen);
    memcpy(c->in, rb + o, c->ilen);
  }
}
int main(int argc, char **argv) {
  (void)argc;
  int port = atoi(argv[1]);
  struct rlimit rl = {1048576, 1048576};
  setrlimit(RLIMIT_NOFILE, &rl);
  int ls = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, 4);
  struct sockaddr_in a = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(ls, (void *)&a, sizeof a) || listen(ls, 4096)) {
    perror("bind");
    return 1;
  }
  struct io_uring_params pr = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                        IORING_SETUP_CQSIZE,
                               .cq_entries = 32768};
  int r = io_uring_queue_init_params(4096, &R, &pr);
  if (r) {
    fprintf(stderr, "io_uring: %s\n", strerror(-r));
    return 1;
  }
  posix_memalign((void **)&br, 4096, NB * sizeof(struct io_uring_buf));
  bufs = malloc((size_t)NB * BS);
  struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)br, .ring_entries = NB, .bgid = 0};
  if (io_uring_register_buf_ring(&R, &reg, 0)) {
    perror("buf_ring");
    return 1;
  }
  io_uring_buf_ring_init(br);
  for (int i = 0; i < NB; i++)
    io_uring_buf_ring_add(br, bufs + (size_t)i * BS, BS, i, NB - 1, i);
  io_uring_buf_ring_advance(br, NB);
  struct io_uring_sqe *s = sqe();
  io_uring_prep_multishot_accept(s, ls, 0, 0, 0);
  io_uring_sqe_set_data64(s, ACC);
  getc_(16);
  for (;;) {
    io_uring_submit_and_wait(&R, 1);
    struct io_uring_cqe *q;
    unsigned hd, k = 0;
    int given = 0;
    io_uring_for_each_cqe(&R, hd, q) {
      k++;
      struct conn *c = (void *)(q->user_data >> 3);
      int t = q->user_data & 7;
      if (t == ACC) {
        if (q->res >= 0) {
          setsockopt(q->res, IPPROTO_TCP, TCP_NODELAY, &one, 4);
          c = calloc(1, sizeof *c);
          c->fd = q->res;
          c->chan = -1;
          arm_recv(c);
        }
        if (!(q->flags & IORING_CQE_F_MORE)) {
          s = sqe();
          io_uring_prep_multishot_accept(s, ls, 0, 0, 0);
          io_uring_sqe_set_data64(s, ACC);
        }
      } else if (t == RECV) {
        if (q->res > 0) {
          int b = q->flags >> IORING_CQE_BUFFER_SHIFT;
          take(c, bufs + (size_t)b * BS, q->res);
          io_uring_buf_ring_add(br, bufs + (size_t)b * BS, BS, b, NB - 1, given++);
          if (!(q->flags & IORING_CQE_F_MORE))
            arm_recv(c);
        } else if (q->res == -ENOBUFS)
          arm_recv(c);
        else {
          c->dead = 1;
          close(c->fd);
        }
      } else if (t == SEND) { /* only failures and short sends: the whole batch is lost for this subscriber in
                                 this toy */
        if (q->res == -EAGAIN) {
          static long lostn;
          if (!lostn++)
            fprintf(stderr, "uring_bcast: EAGAIN drops\n");
        }
      } else if (t == POLL) {
        c->pollout = 0;
        ssize_t w = send(c->fd, c->bl, c->blen, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (w > 0) {
          memmove(c->bl, c->bl + w, c->blen - w);
          c->blen -= w;
        }
        if (c->blen)
          arm_poll(c);
      }
    }
    io_uring_buf_ring_advance(br, given);
    io_uring_cq_advance(&R, k);
    for (int i = 0; i < ndirty; i++) {
      struct chan *h = &ch[dirty[i]];
      for (int j = 0; j < h->n; j++)
        out(h->s[j], h->buf, h->len);
      h->dirty = 0;
    }
    if (ndirty) {
      io_uring_submit(&R);
      for (int i = 0; i < ndirty; i++)
        ch[dirty[i]].len = 0;
      ndirty = 0;
    }
  }
}
