#define _GNU_SOURCE
#include "dialect.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const struct {
  const char *name, *path;
  int opcode;
} facts[] = {
    [D_SOCKETIO] = {"socketio", "/socket.io/?EIO=4&transport=websocket", 1},
    [D_CENTRIFUGE_JSON] = {"centrifuge-json", "/connection/websocket", 1},
    [D_CENTRIFUGE_PROTOBUF] = {"centrifuge-protobuf", "/connection/websocket?format=protobuf", 2},
};

enum dialect dialect_named(const char *name) {
  for (size_t i = D_SOCKETIO; i < sizeof facts / sizeof *facts; i++)
    if (!strcmp(facts[i].name, name))
      return i;
  return D_NONE;
}
const char *dialect_path(enum dialect d) { return facts[d].path; }
int dialect_opcode(enum dialect d) { return facts[d].opcode; }

// ---- Protobuf: a message within another is written behind its length, so it is made first
struct message {
  uint8_t bytes[512];
  size_t n;
};
static void varint(struct message *m, uint64_t value) {
  for (; value > 127; value >>= 7)
    m->bytes[m->n++] = value | 128;
  m->bytes[m->n++] = value;
}
static void number(struct message *m, int field, uint64_t value) {
  varint(m, field << 3);
  varint(m, value);
}
static void bytes_of(struct message *m, int field, const void *bytes, size_t n) {
  varint(m, field << 3 | 2);
  varint(m, n);
  memcpy(m->bytes + m->n, bytes, n);
  m->n += n;
}
// A command of that number whose one message is `inner`, followed by `more` bytes that belong to it.
static size_t command(int id, int field, const struct message *inner, const char *more, size_t n, char *out) {
  struct message head = {.n = 0}, length = {.n = 0};
  number(&head, 1, id);
  varint(&head, field << 3 | 2);
  varint(&head, inner->n + n);
  varint(&length, head.n + inner->n + n);
  size_t at = 0;
  memcpy(out, length.bytes, length.n);
  at += length.n;
  memcpy(out + at, head.bytes, head.n);
  at += head.n;
  memcpy(out + at, inner->bytes, inner->n);
  at += inner->n;
  memcpy(out + at, more, n);
  return at + n;
}
static struct message with_channel(int channel) {
  struct message m = {.n = 0};
  char name[16];
  bytes_of(&m, 1, name, sprintf(name, "c%d", channel));
  return m;
}

// ---- what a client says
int dialect_replies_wanted(enum dialect d, int subscribes) {
  // Engine.IO's own greeting is one more.
  return (d == D_SOCKETIO ? 2 : 1) + (subscribes ? 1 : 0);
}
size_t dialect_comes_in(enum dialect d, int replies, int channel, char *out) {
  struct message m = {.n = 0};
  switch (d) {
  case D_SOCKETIO:
    if (replies == 1)
      return sprintf(out, "40");
    return replies == 2 ? sprintf(out, "421[\"subscribe\",{\"channel\":\"c%d\"}]", channel) : 0;
  case D_CENTRIFUGE_JSON:
    if (replies == 0)
      return sprintf(out, "{\"id\":1,\"connect\":{}}");
    return replies == 1 ? sprintf(out, "{\"id\":2,\"subscribe\":{\"channel\":\"c%d\"}}", channel) : 0;
  case D_CENTRIFUGE_PROTOBUF:
    if (replies == 0)
      return command(1, 4, &m, "", 0, out);
    m = with_channel(channel);
    return replies == 1 ? command(2, 5, &m, "", 0, out) : 0;
  default: return 0;
  }
}
size_t dialect_publishes(enum dialect d, int channel, const char *payload, size_t n, char *out) {
  switch (d) {
  case D_SOCKETIO:
    return sprintf(out, "42[\"publish\",{\"channel\":\"c%d\",\"data\":\"%.*s\"}]", channel, (int)n, payload);
  case D_CENTRIFUGE_JSON:
    return sprintf(out, "{\"id\":3,\"publish\":{\"channel\":\"c%d\",\"data\":\"%.*s\"}}", channel, (int)n, payload);
  case D_CENTRIFUGE_PROTOBUF: {
    struct message m = with_channel(channel);
    varint(&m, 2 << 3 | 2);
    varint(&m, n);
    return command(3, 7, &m, payload, n, out);
  }
  default: return 0;
  }
}
size_t dialect_pong(enum dialect d, char *out) {
  switch (d) {
  case D_SOCKETIO: return sprintf(out, "3");
  case D_CENTRIFUGE_JSON: return sprintf(out, "{}");
  default: out[0] = 0; return 1;
  }
}

// ---- what it hears
static int begins(const char *bytes, size_t n, const char *with) {
  size_t k = strlen(with);
  return n >= k && !memcmp(bytes, with, k);
}
static int ends(const char *bytes, size_t n, const char *with) {
  size_t k = strlen(with);
  return n >= k && !memcmp(bytes + n - k, with, k);
}
static int holds(const char *bytes, size_t n, const char *what) { return memmem(bytes, n, what, strlen(what)) != NULL; }

static struct heard socketio(const char *p, size_t n) {
  struct heard h = {0};
  if (begins(p, n, "42[\"publication\",{\"channel\":\"c") && ends(p, n, "]"))
    h.publications++;
  else if (n == 1 && *p == '2')
    h.pings++;
  else if (begins(p, n, "0{") || begins(p, n, "40"))
    h.replies++;
  else if (begins(p, n, "44") || begins(p, n, "42[\"error\""))
    h.refusals++;
  else if (begins(p, n, "43"))
    holds(p, n, "\"type\":\"error\"") ? h.refusals++ : h.replies++;
  else
    h.bad += !begins(p, n, "42[");
  return h;
}
static void centrifuge_line(const char *p, size_t n, struct heard *h) {
  if (begins(p, n, "{\"push\":{\"channel\":\"c") && ends(p, n, "}}}")) {
    // The name of a channel is some digits.
    const char *rest = memchr(p + 21, ',', n - 21);
    h->publications += rest && begins(rest, p + n - rest, ",\"pub\":{");
  } else if (n == 2 && begins(p, n, "{}"))
    h->pings++;
  else if (begins(p, n, "{\"id\":") && ends(p, n, "}"))
    holds(p, n, ",\"error\":{\"code\"") ? h->refusals++ : h->replies++;
  else
    h->bad++;
}
static struct heard centrifuge_json(const char *p, size_t n) {
  struct heard h = {0};
  for (const char *end = p + n; p < end;) {
    const char *line = memchr(p, '\n', end - p);
    size_t length = (line ? line : end) - p;
    centrifuge_line(p, length, &h);
    p += length + 1;
  }
  return h;
}

// A reader at fields; 0 once they are all read, -1 where they are none.
struct fields {
  const uint8_t *at, *end;
  int number;
  // Of a field that has a length.
  const uint8_t *bytes;
  size_t n;
};
static int read_varint(struct fields *f, uint64_t *value) {
  *value = 0;
  for (int shift = 0; f->at < f->end && shift < 64; shift += 7) {
    uint8_t byte = *f->at++;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128)
      return 1;
  }
  return 0;
}
static int next_field(struct fields *f) {
  uint64_t tag, value;
  if (f->at == f->end)
    return 0;
  if (!read_varint(f, &tag) || !read_varint(f, &value))
    return -1;
  f->number = tag >> 3;
  f->bytes = f->at;
  f->n = 0;
  if ((tag & 7) == 0)
    return 1;
  if ((tag & 7) != 2 || value > (uint64_t)(f->end - f->at))
    return -1;
  f->n = value;
  f->at += value;
  return 1;
}
static int is_publication(const uint8_t *p, size_t n) {
  struct fields push = {.at = p, .end = p + n};
  int has_channel = 0, has_data = 0, more;
  while ((more = next_field(&push)) > 0) {
    has_channel |= push.number == 2 && push.n > 1 && push.bytes[0] == 'c';
    if (push.number != 4)
      continue;
    struct fields publication = {.at = push.bytes, .end = push.bytes + push.n};
    while ((more = next_field(&publication)) > 0)
      has_data |= publication.number == 4 && publication.n > 0;
    if (more < 0)
      return 0;
  }
  return more == 0 && has_channel && has_data;
}
static void centrifuge_reply(const uint8_t *p, size_t n, struct heard *h) {
  struct fields reply = {.at = p, .end = p + n};
  int id = 0, refused = 0, more;
  while ((more = next_field(&reply)) > 0) {
    id |= reply.number == 1;
    refused |= reply.number == 2;
    if (reply.number == 4)
      h->publications += is_publication(reply.bytes, reply.n);
  }
  if (more < 0)
    h->bad++;
  else if (refused)
    h->refusals++;
  else if (id)
    h->replies++;
}
static struct heard centrifuge_protobuf(const char *p, size_t n) {
  struct heard h = {0};
  struct fields frame = {.at = (const uint8_t *)p, .end = (const uint8_t *)p + n};
  while (frame.at < frame.end) {
    uint64_t length;
    if (!read_varint(&frame, &length) || length > (uint64_t)(frame.end - frame.at)) {
      h.bad++;
      return h;
    }
    if (length == 0)
      h.pings++;
    else
      centrifuge_reply(frame.at, length, &h);
    frame.at += length;
  }
  return h;
}
struct heard dialect_hears(enum dialect d, int opcode, const char *bytes, size_t n) {
  if (opcode != facts[d].opcode)
    return (struct heard){.bad = 1};
  switch (d) {
  case D_SOCKETIO: return socketio(bytes, n);
  case D_CENTRIFUGE_JSON: return centrifuge_json(bytes, n);
  case D_CENTRIFUGE_PROTOBUF: return centrifuge_protobuf(bytes, n);
  default: return (struct heard){.bad = 1};
  }
}
