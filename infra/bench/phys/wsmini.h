// Smallest WebSocket server parts for the physical-limit servers: handshake, frame parse, frame head.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void sha1(const uint8_t *d, size_t n, uint8_t out[20]) {
  uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  uint8_t b[256] = {0};
  memcpy(b, d, n);
  b[n] = 0x80;
  size_t tot = (n + 9 + 63) / 64 * 64;
  for (int i = 0; i < 8; i++)
    b[tot - 1 - i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
  for (size_t o = 0; o < tot; o += 64) {
    uint32_t w[80];
    for (int i = 0; i < 16; i++)
      w[i] = b[o + 4 * i] << 24 | b[o + 4 * i + 1] << 16 | b[o + 4 * i + 2] << 8 | b[o + 4 * i + 3];
    for (int i = 16; i < 80; i++) {
      uint32_t x = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
      w[i] = x << 1 | x >> 31;
    }
    uint32_t a = h[0], B = h[1], c = h[2], D = h[3], e = h[4];
    for (int i = 0; i < 80; i++) {
      uint32_t f, k;
      if (i < 20)
        f = (B & c) | (~B & D), k = 0x5A827999;
      else if (i < 40)
        f = B ^ c ^ D, k = 0x6ED9EBA1;
      else if (i < 60)
        f = (B & c) | (B & D) | (c & D), k = 0x8F1BBCDC;
      else
        f = B ^ c ^ D, k = 0xCA62C1D6;
      uint32_t t = (a << 5 | a >> 27) + f + e + k + w[i];
      e = D;
      D = c;
      c = B << 30 | B >> 2;
      B = a;
      a = t;
    }
    h[0] += a;
    h[1] += B;
    h[2] += c;
    h[3] += D;
    h[4] += e;
  }
  for (int i = 0; i < 20; i++)
    out[i] = h[i / 4] >> (24 - 8 * (i % 4));
}
// A complete HTTP upgrade in p[0,n): writes the answer to o, returns its length; *used = bytes taken, *chan
// from "/c<N>" or -1.
static int ws_accept(const char *p, int n, char *o, int *used, int *chan) {
  const char *e = memmem(p, n, "\r\n\r\n", 4);
  if (!e)
    return 0;
  *used = e + 4 - p;
  *chan = !strncmp(p, "GET /c", 6) ? atoi(p + 6) : -1;
  const char *k = strcasestr(p, "sec-websocket-key:");
  if (!k || k > e)
    return -1;
  for (k += 18; *k == ' '; k++)
    ;
  char b[100];
  int l = 0;
  while (k[l] > ' ' && l < 40)
    b[l] = k[l], l++;
  strcpy(b + l, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
  uint8_t d[21] = {0};
  sha1((uint8_t *)b, l + 36, d);
  static const char t[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char a[32];
  int m = 0;
  for (int i = 0; i < 20; i += 3) {
    uint32_t v = d[i] << 16 | d[i + 1] << 8 | (i + 2 < 20 ? d[i + 2] : 0);
    a[m++] = t[v >> 18];
    a[m++] = t[v >> 12 & 63];
    a[m++] = t[v >> 6 & 63];
    a[m++] = i + 2 < 20 ? t[v & 63] : '=';
  }
  a[m] = 0;
  return sprintf(o,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                 "Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                 a);
}
// One client frame in p[0,n): unmasks in place. Returns bytes taken or 0; *op, *pl, *pn.
static long ws_frame(uint8_t *p, long n, int *op, uint8_t **pl, long *pn) {
  if (n < 2)
    return 0;
  long h = 2, l = p[1] & 127;
  if (l == 126) {
    if (n < 4)
      return 0;
    l = p[2] << 8 | p[3];
    h = 4;
  } else if (l == 127) {
    if (n < 10)
      return 0;
    l = 0;
    for (int i = 2; i < 10; i++)
      l = l << 8 | p[i];
    h = 10;
  }
  int m = p[1] >> 7;
  if (n < h + 4 * m + l)
    return 0;
  if (m) {
    uint8_t *k = p + h;
    h += 4;
    for (long i = 0; i < l; i++)
      p[h + i] ^= k[i & 3];
  }
  *op = p[0] & 15;
  *pl = p + h;
  *pn = l;
  return h + l;
}
static int ws_head(uint8_t *h, int op, long l) {
  h[0] = 0x80 | op;
  if (l < 126) {
    h[1] = l;
    return 2;
  }
  if (l < 65536) {
    h[1] = 126;
    h[2] = l >> 8;
    h[3] = l;
    return 4;
  }
  h[1] = 127;
  for (int i = 0; i < 8; i++)
    h[2 + i] = (uint64_t)l >> (56 - 8 * i);
  return 10;
}
