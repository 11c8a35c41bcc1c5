// Thousands of observers in one process, who come back by themselves when their gateway is gone. One thread,
// epoll, OpenSSL with a CA.
//
//   fleet CLIENTS BYSTANDERS CHANNELS PREFIX PORT OTHER_PORT [CA]
//
// CLIENTS begin at 127.0.0.1:PORT and BYSTANDERS at OTHER_PORT, client i in channel PREFIX<i % CHANNELS>. Who
// loses its connection waits 1, 2, 4 … 30 s with jitter of the upper half, or as long as a `reconnect` said,
// and dials the other port with its position and session. Each publication is {"n":N,"t":T} with N its offset
// and T when it was published (CLOCK_MONOTONIC, ns); every client holds each one to the offset after its last.
//
// Commands on stdin, answers as JSON lines on stdout:
//
//   mark T O O …   the storm began at T, with these offsets: counts and times begin anew
//   status         how many are open, resumed, and at the final offsets
//   final O O …    the last offset of each channel
//   report         everything that was counted since the mark
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHANNELS = 10000, DIALING_AT_FIRST = 256, ANSWER_SECONDS = 15, STEPS = 6, BEGUN_AT_ONCE = 32 };
enum { BUFFER = 1 << 18, MESSAGE = 1 << 17 };
static const double ladder[STEPS] = {1, 2, 4, 8, 16, 30};

enum state { WAITING, CONNECTING, SECURING, ASKING, UPGRADED, WELCOMED };

struct client {
  int fd, channel, attempts;
  unsigned char at_other, is_bystander, has_position, wants_write, has_returned, lost_since_mark;
  enum state state;
  SSL *ssl;
  char epoch[32], session[72];
  int64_t offset, target;      // the last publication, and what was published when it was welcomed
  int64_t due, dialed, returned; // ns
  double told;                 // seconds that `reconnect` asked for, or less than 0
  char *kept;                  // what came of an unfinished frame
  size_t kept_bytes;
};

static struct client *clients;
static int count, channel_count, ports[2], poller;
static const char *prefix;
static SSL_CTX *tls;
static int64_t heads[CHANNELS], finals[CHANNELS], mark;
static int has_finals, is_marked;

// What must not happen, and what may.
static struct {
  long gaps, doubles, other_epochs, wrong, unrecoverable, refused, disturbed, broken;
  long attempts, failed_attempts, closes, resets, told, publications;
} counted;

enum { SAMPLES = 1 << 20 };
static int64_t delays[SAMPLES];
static long delay_count;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static double chance(void) { return (double)random() / ((double)RAND_MAX + 1); }

static void complain(const char *format, ...) {
  static int said;
  if (said++ >= 20) return;
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

// ---- one connection's life

static void watch(struct client *c, int adds, int writes) {
  struct epoll_event event = {.events = EPOLLIN | (writes ? EPOLLOUT : 0), .data.ptr = c};
  if (!adds && c->wants_write == writes) return;
  c->wants_write = writes;
  epoll_ctl(poller, adds ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, c->fd, &event);
}

static double next_delay(struct client *c) {
  if (c->told >= 0) {
    double told = c->told;
    c->told = -1;
    return told;
  }
  int step = c->attempts < STEPS ? c->attempts : STEPS - 1;
  return ladder[step] * (0.5 + 0.5 * chance());
}

static void lose(struct client *c, int is_failure) {
  if (c->ssl) SSL_free(c->ssl);
  ERR_clear_error();
  if (c->fd >= 0) close(c->fd);
  free(c->kept);
  if (c->is_bystander && is_marked && c->state == WELCOMED) {
    counted.disturbed++;
    complain("a bystander at the other gateway lost its connection");
  }
  if (c->state != WELCOMED) counted.failed_attempts++;
  c->ssl = NULL;
  c->fd = -1;
  c->kept = NULL;
  c->kept_bytes = 0;
  c->lost_since_mark = 1;
  c->due = now() + (int64_t)(next_delay(c) * 1e9);
  if (is_failure) c->attempts++;
  // Where the storm has begun there is one gateway left.
  if (!c->is_bystander && c->has_position) c->at_other = 1;
  c->state = WAITING;
}

static void dial(struct client *c) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(ports[c->at_other]),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int on = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  c->dialed = now();
  counted.attempts++;
  c->state = CONNECTING;
  if (c->fd < 0) {
    complain("no socket: %s", strerror(errno));
    return lose(c, 1);
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) return lose(c, 1);
  watch(c, 1, 1);
}

/// Small enough for any socket's buffer: one write or none.
static void put(struct client *c, const char *bytes, size_t length) {
  ssize_t sent = c->ssl ? SSL_write(c->ssl, bytes, (int)length) : send(c->fd, bytes, length, MSG_NOSIGNAL);
  if (sent != (ssize_t)length) lose(c, 1);
}

static void frame(struct client *c, int opcode, const unsigned char *payload, size_t length) {
  char out[160] = {(char)(0x80 | opcode), (char)(0x80 | length), 1, 2, 3, 4};
  if (length > 125) return;
  for (size_t i = 0; i < length; i++) out[6 + i] = (char)(payload[i] ^ (i % 4 + 1));
  put(c, out, 6 + length);
}

static void ask(struct client *c) {
  char head[512];
  int length = snprintf(head, sizeof head, "GET /ws/events/%s%d?envelope=1", prefix, c->channel);
  if (c->has_position)
    length += snprintf(head + length, sizeof head - length, "&since=%s:%lld", c->epoch, (long long)c->offset);
  if (c->session[0]) length += snprintf(head + length, sizeof head - length, "&session=%s", c->session);
  length += snprintf(head + length, sizeof head - length,
                     " HTTP/1.1\r\nHost: localhost:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                     ports[c->at_other]);
  c->state = ASKING;
  watch(c, 0, 0);
  put(c, head, length);
}

static void secure(struct client *c) {
  int result = SSL_connect(c->ssl);
  if (result == 1) return ask(c);
  switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ: watch(c, 0, 0); break;
    case SSL_ERROR_WANT_WRITE: watch(c, 0, 1); break;
    default: lose(c, 1);
  }
}

static void connected(struct client *c) {
  int problem = 0;
  socklen_t size = sizeof problem;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &problem, &size);
  if (problem) return lose(c, 1);
  if (!tls) return ask(c);
  c->state = SECURING;
  c->ssl = SSL_new(tls);
  SSL_set_fd(c->ssl, c->fd);
  SSL_set1_host(c->ssl, "localhost");
  SSL_set_tlsext_host_name(c->ssl, "localhost");
  secure(c);
}

// ---- what comes

static const char *after(const char *text, const char *name) {
  const char *found = strstr(text, name);
  return found ? found + strlen(name) : NULL;
}

static void copy(char *to, size_t size, const char *from) {
  size_t length = strcspn(from, "\"");
  if (length >= size) length = size - 1;
  memcpy(to, from, length);
  to[length] = 0;
}

/// A client is back once it has what had been published when it was let in.
static void look_whether_returned(struct client *c) {
  if (c->state != WELCOMED || c->has_returned || c->offset < c->target) return;
  // What still lay in the socket of a gateway that is gone is no return.
  if (is_marked && !c->lost_since_mark) return;
  c->has_returned = 1;
  c->attempts = 0;
  c->returned = now();
}

static void publication(struct client *c, const char *text) {
  const char *epoch = after(text, "\"epoch\":\""), *offset = after(text, "\"offset\":");
  const char *number = after(text, "\"n\":"), *time = after(text, "\"t\":");
  if (!epoch || !offset || !number || !time || c->state != WELCOMED) {
    counted.wrong++;
    return complain("no publication of ours: %.200s", text);
  }
  int64_t at = atoll(offset), sent = atoll(time);
  if (strncmp(epoch, c->epoch, strlen(c->epoch))) counted.other_epochs++;
  if (at <= c->offset) {
    counted.doubles++;
    complain("channel %d: %lld after %lld", c->channel, (long long)at, (long long)c->offset);
  } else if (at > c->offset + 1) {
    counted.gaps += at - c->offset - 1;
    complain("channel %d: %lld after %lld", c->channel, (long long)at, (long long)c->offset);
  }
  if (atoll(number) != at) counted.wrong++;
  c->offset = at;
  if (at > heads[c->channel]) heads[c->channel] = at;
  counted.publications++;
  if (c->is_bystander && is_marked && delay_count < SAMPLES) delays[delay_count++] = now() - sent;
  look_whether_returned(c);
}

static void welcome(struct client *c, const char *text) {
  const char *epoch = after(text, "\"epoch\":\""), *offset = after(text, "\"offset\":");
  const char *session = after(text, "\"session\":\"");
  if (session) copy(c->session, sizeof c->session, session);
  if (!c->has_position) {
    if (!epoch || !offset) {
      counted.wrong++;
      return complain("a welcome without a position: %.200s", text);
    }
    copy(c->epoch, sizeof c->epoch, epoch);
    c->offset = atoll(offset);
    c->has_position = 1;
  }
  c->state = WELCOMED;
  c->target = heads[c->channel];
  look_whether_returned(c);
}

static void message(struct client *c, const char *text) {
  const char *type = after(text, "{\"type\":\"");
  if (!type) return publication(c, text);
  if (!strncmp(type, "connection\"", 11)) return welcome(c, text);
  if (!strncmp(type, "reconnect\"", 10)) {
    const char *wait = after(text, "\"after_ms\":");
    counted.told++;
    if (wait) c->told = atof(wait) / 1000;
  } else if (!strncmp(type, "unrecoverable\"", 14) || !strncmp(type, "gap\"", 4)) {
    counted.unrecoverable++;
    complain("%.200s", text);
  } else if (!strncmp(type, "error\"", 6)) {
    counted.refused++;
    complain("%.200s", text);
  }
}

/// Whole frames of `bytes`; how many bytes they were. The byte behind a text frame is lent for its end.
static size_t frames(struct client *c, unsigned char *bytes, size_t length) {
  size_t at = 0;
  while (c->state >= UPGRADED && length - at >= 2) {
    size_t size = bytes[at + 1] & 127, head = size == 126 ? 4 : size == 127 ? 10 : 2;
    if (length - at < head) break;
    if (size == 126) size = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
    else if (size == 127) size = (size_t)bytes[at + 7] << 16 | (size_t)bytes[at + 8] << 8 | bytes[at + 9];
    if (size > MESSAGE || bytes[at + 1] & 128 || bytes[at] & 0x70) {
      counted.broken++;
      lose(c, 1);
      return at;
    }
    if (length - at < head + size) break;
    unsigned char *payload = bytes + at + head, lent = payload[size];
    int opcode = bytes[at] & 15;
    payload[size] = 0;
    if (opcode == 1) message(c, (char *)payload);
    payload[size] = lent;
    if (opcode == 9) frame(c, 10, payload, size);
    if (opcode == 8) {
      counted.closes++;
      frame(c, 8, payload, size < 2 ? 0 : 2);
      if (c->state != WAITING) lose(c, 0);
      return at;
    }
    at += head + size;
  }
  return at;
}

/// The end of the answer's head, or 0 where it has not come. Whatever is no 101 ends the attempt.
static size_t upgraded(struct client *c, const char *bytes, size_t length) {
  const char *end = memmem(bytes, length, "\r\n\r\n", 4);
  if (!end) return 0;
  if (strncmp(bytes, "HTTP/1.1 101 ", 13)) {
    complain("an answer to a handshake: %.80s", bytes);
    counted.refused++;
    lose(c, 1);
    return 0;
  }
  c->state = UPGRADED;
  return end + 4 - bytes;
}

/// -1 at the end of the connection, 0 where there is nothing more for now.
static ssize_t get(struct client *c, char *into, size_t room) {
  if (!c->ssl) {
    ssize_t got = recv(c->fd, into, room, 0);
    if (got > 0) return got;
    if (got < 0 && errno == EAGAIN) return 0;
    if (got < 0) counted.resets++;
    return -1;
  }
  int got = SSL_read(c->ssl, into, (int)room);
  if (got > 0) return got;
  int why = SSL_get_error(c->ssl, got);
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return 0;
  return -1;
}

static void readable(struct client *c) {
  static char buffer[BUFFER + 1];
  while (c->state >= ASKING) {
    size_t have = c->kept_bytes, used = 0;
    if (have) memcpy(buffer, c->kept, have);
    ssize_t got = get(c, buffer + have, BUFFER - have);
    if (got == 0) return;
    if (got < 0) return lose(c, c->state != WELCOMED);
    have += (size_t)got;
    free(c->kept);
    c->kept = NULL;
    c->kept_bytes = 0;
    if (c->state == ASKING) {
      used = upgraded(c, buffer, have);
      if (c->state == WAITING) return;
    }
    if (c->state >= UPGRADED) used += frames(c, (unsigned char *)buffer + used, have - used);
    if (c->state == WAITING) return;
    if (have > used) {
      c->kept_bytes = have - used;
      c->kept = malloc(c->kept_bytes);
      memcpy(c->kept, buffer + used, c->kept_bytes);
    }
    if (!c->ssl && (size_t)got < BUFFER / 2) return;
  }
}

static void happened(struct client *c) {
  if (c->fd < 0) return;
  if (c->state == CONNECTING) connected(c);
  else if (c->state == SECURING) secure(c);
  else readable(c);
}

/// Dials who is due and gives up who was not answered; at first only so many at once.
static void tick(void) {
  int64_t time = now();
  int dialing = 0;
  for (int i = 0; i < count; i++) dialing += clients[i].state > WAITING && clients[i].state < WELCOMED;
  for (int i = 0; i < count; i++) {
    struct client *c = &clients[i];
    if (c->state == WAITING && c->due <= time && (c->has_position || dialing < DIALING_AT_FIRST)) {
      dial(c);
      dialing++;
    } else if (c->state > WAITING && c->state < WELCOMED && time - c->dialed > ANSWER_SECONDS * 1000000000LL) {
      complain("no answer in state %d", c->state);
      lose(c, 1);
    }
  }
}

// ---- commands

static void begin_storm(char *rest) {
  memset(&counted, 0, sizeof counted);
  delay_count = 0;
  mark = strtoll(rest, &rest, 10);
  is_marked = 1;
  for (int i = 0; i < channel_count; i++) {
    int64_t published = strtoll(rest, &rest, 10);
    if (published > heads[i]) heads[i] = published;
  }
  for (int i = 0; i < count; i++) {
    clients[i].lost_since_mark = clients[i].state != WELCOMED;
    if (!clients[i].is_bystander) clients[i].has_returned = 0;
  }
}

static int ascending(const void *left, const void *right) {
  int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

static double share(int64_t *sorted, long size, double part) {
  return size ? sorted[(long)(part * (double)(size - 1))] / 1e9 : 0;
}

static void tell_status(void) {
  int open = 0, returned = 0, done = 0;
  for (int i = 0; i < count; i++) {
    open += clients[i].state == WELCOMED;
    returned += clients[i].has_returned && !clients[i].is_bystander;
    done += has_finals && clients[i].state == WELCOMED && clients[i].offset == finals[clients[i].channel];
  }
  printf("{\"open\":%d,\"returned\":%d,\"done\":%d}\n", open, returned, done);
}

static void tell_everything(void) {
  int64_t *times = calloc((size_t)count, sizeof *times);
  long returned = 0;
  for (int i = 0; i < count; i++)
    if (!clients[i].is_bystander && clients[i].has_returned) times[returned++] = clients[i].returned - mark;
  qsort(times, (size_t)returned, sizeof *times, ascending);
  qsort(delays, (size_t)delay_count, sizeof *delays, ascending);
  printf("{\"returned\":%ld,\"first_s\":%.2f,\"p50_s\":%.2f,\"p99_s\":%.2f,\"last_s\":%.2f,", returned,
         share(times, returned, 0), share(times, returned, 0.5), share(times, returned, 0.99), share(times, returned, 1));
  printf("\"bystander_p50_s\":%.4f,\"bystander_p99_s\":%.4f,\"bystander_max_s\":%.4f,", share(delays, delay_count, 0.5),
         share(delays, delay_count, 0.99), share(delays, delay_count, 1));
  printf("\"gaps\":%ld,\"doubles\":%ld,\"other_epochs\":%ld,\"wrong\":%ld,\"unrecoverable\":%ld,", counted.gaps,
         counted.doubles, counted.other_epochs, counted.wrong, counted.unrecoverable);
  printf("\"refused\":%ld,\"disturbed\":%ld,\"broken\":%ld,\"attempts\":%ld,\"failed_attempts\":%ld,", counted.refused,
         counted.disturbed, counted.broken, counted.attempts, counted.failed_attempts);
  printf("\"closes\":%ld,\"resets\":%ld,\"told\":%ld,\"publications\":%ld}\n", counted.closes, counted.resets,
         counted.told, counted.publications);
  free(times);
}

static void command(char *line) {
  if (!strncmp(line, "mark ", 5)) begin_storm(line + 5);
  if (!strncmp(line, "status", 6)) tell_status();
  if (!strncmp(line, "report", 6)) tell_everything();
  if (!strncmp(line, "final ", 6)) {
    char *rest = line + 6;
    for (int i = 0; i < channel_count; i++) finals[i] = strtoll(rest, &rest, 10);
    has_finals = 1;
  }
  fflush(stdout);
}

static void commands(void) {
  static char text[1 << 18];
  static size_t length;
  ssize_t got = read(0, text + length, sizeof text - 1 - length);
  if (got <= 0) exit(0);
  length += (size_t)got;
  text[length] = 0;
  char *line = text, *end;
  while ((end = strchr(line, '\n'))) {
    *end = 0;
    command(line);
    line = end + 1;
  }
  length -= (size_t)(line - text);
  memmove(text, line, length);
}

static void prepare(char **words, int has_ca) {
  unsigned seed = 0;
  if (getrandom(&seed, sizeof seed, 0) < 0) seed = (unsigned)now();
  srandom(seed);
  int storming = atoi(words[0]);
  count = storming + atoi(words[1]);
  channel_count = atoi(words[2]);
  prefix = words[3];
  ports[0] = atoi(words[4]);
  ports[1] = atoi(words[5]);
  if (count < 1 || channel_count < 1 || channel_count > CHANNELS) exit(64);
  if (has_ca) {
    tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_load_verify_locations(tls, words[6], NULL) != 1) exit(64);
  }
  clients = calloc((size_t)count, sizeof *clients);
  for (int i = 0; i < count; i++) {
    clients[i] = (struct client){.fd = -1, .channel = i % channel_count, .told = -1};
    clients[i].is_bystander = clients[i].at_other = i >= storming;
  }
}

int main(int argc, char **argv) {
  static struct epoll_event events[1024];
  if (argc < 7) return 64;
  signal(SIGPIPE, SIG_IGN);
  prepare(argv + 1, argc > 7);
  poller = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event);
  for (int64_t ticked = 0;;) {
    int ready = epoll_wait(poller, events, 1024, 10), begun = 0;
    for (int i = 0; i < ready; i++) {
      struct client *c = events[i].data.ptr;
      if (!c) commands();
      // Each of them has a processor of its own, as it were: who has begun is not held up by those to come.
      else if (c->state != CONNECTING || begun++ < BEGUN_AT_ONCE) happened(c);
    }
    if (now() - ticked > 10000000) {
      tick();
      ticked = now();
    }
  }
}
