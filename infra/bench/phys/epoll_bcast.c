// Physical limit, epoll: WebSocket broadcast with one thread and no features. epoll_bcast PORT [nobatch]
// GET /c<N> subscribes to channel N; a frame "c<N>:text" from anyone goes to the channel; a frame on /e is
// echoed. Frames of one loop turn are gathered per channel and go out with one send() per subscriber
// (nobatch: one per message).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "wsmini.h"
struct conn {
  int fd, chan, up, echo;
  uint8_t *in;
  int ilen;
  uint8_t *bl;
  int blen;
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
static int ep, batch = 1;
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
static void out(struct conn *c, const uint8_t *p, long n) {
  if (!c->blen) {
    ssize_t r = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (r == n)
      return;
    if (r < 0)
      r = 0;
    p += r;
    n -= r;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
  }
  c->bl = realloc(c->bl, c->blen + n);
  memcpy(c->bl + c->blen, p, n);
  c->blen += n;
}
static void flush_chan(int i) {
  struct chan *h = &ch[i];
  for (int k = 0; k < h->n; k++)
    if (h->s[k]->fd >= 0)
      out(h->s[k], h->buf, h->len);
  h->len = 0;
  h->dirty = 0;
}
int main(int argc, char **argv) {
  int port = atoi(argv[1]);
  batch = argc < 3;
  struct rlimit rl = {1048576, 1048576};
  setrlimit(RLIMIT_NOFILE, &rl);
  int ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, 4);
  struct sockaddr_in a = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(ls, (void *)&a, sizeof a) || listen(ls, 4096)) {
    perror("bind");
    return 1;
  }
  ep = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN};
  epoll_ctl(ep, EPOLL_CTL_ADD, ls, &e);
  static struct epoll_event ev[1024];
  static uint8_t rb[1 << 18];
  getc_(16);
  for (;;) {
    int k = epoll_wait(ep, ev, 1024, -1);
    for (int i = 0; i < k; i++) {
      struct conn *c = ev[i].data.ptr;
      if (!c) {
        for (int fd, j = 0; j < 64 && (fd = accept4(ls, 0, 0, SOCK_NONBLOCK)) >= 0; j++) {
          setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, 4);
          c = calloc(1, sizeof *c);
          c->fd = fd;
          c->chan = -1;
          e.events = EPOLLIN;
          e.data.ptr = c;
          epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
        }
        continue;
      }
      if (ev[i].events & EPOLLOUT && c->blen) {
        ssize_t r = send(c->fd, c->bl, c->blen, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (r > 0) {
          memmove(c->bl, c->bl + r, c->blen - r);
          c->blen -= r;
        }
        if (!c->blen) {
          free(c->bl);
          c->bl = 0;
          e.events = EPOLLIN;
          e.data.ptr = c;
          epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
        }
      }
      if (!(ev[i].events & ~EPOLLOUT))
        continue;
      if (c->ilen)
        memcpy(rb, c->in, c->ilen);
      long n = recv(c->fd, rb + c->ilen, sizeof rb - c->ilen - 1, MSG_DONTWAIT);
      if (n < 0 && errno == EAGAIN)
        continue;
      if (n <= 0) {
        close(c->fd);
        c->fd = -1;
        c->blen = 0;
        continue;
      }
      n += c->ilen;
      rb[n] = 0;
      long o = 0;
      if (!c->up) {
        char r[300];
        int u;
        int l = ws_accept((char *)rb, n, r, &u, &c->chan);
        if (l > 0) {
          c->echo = !strncmp((char *)rb, "GET /e", 6);
          o = u;
          c->up = 1;
          out(c, (uint8_t *)r, l);
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
      long l, u;
      uint8_t eb[1 << 16];
      long el = 0;
      while (c->up && (u = ws_frame(rb + o, n - o, &op, &p, &l))) {
        o += u;
        if (op != 1 && op != 2)
          continue;
        if (c->echo) {
          if (el + l + 14 > (long)sizeof eb) {
            out(c, eb, el);
            el = 0;
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
        if (!batch)
          flush_chan(cn);
        else if (!h->dirty) {
          h->dirty = 1;
          dirty[ndirty++] = cn;
        }
      }
      if (el)
        out(c, eb, el);
      c->ilen = n - o;
      if (c->ilen) {
        c->in = realloc(c->in, c->ilen);
        memcpy(c->in, rb + o, c->ilen);
      }
    }
    for (int i = 0; i < ndirty; i++)
      flush_chan(dirty[i]);
    ndirty = 0;
  }
}
