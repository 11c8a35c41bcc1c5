// What Swift can't call of zlib: macros that pass the version and the size of the stream along. And
// an allocator that says how much a stream holds.
#pragma once
#include <stdlib.h>
#include <zlib.h>

/// malloc that adds to `*held_bytes`; zlib frees nothing of a stream before its end.
static void *czlib_allocate(void *held_bytes, unsigned items, unsigned item_bytes) {
  *(size_t *)held_bytes += (size_t)items * item_bytes;
  return calloc(items, item_bytes);
}

static void czlib_free(void *held_bytes, void *memory) {
  (void)held_bytes;
  free(memory);
}

static inline void czlib_count(z_stream *stream, size_t *held_bytes) {
  stream->zalloc = czlib_allocate;
  stream->zfree = czlib_free;
  stream->opaque = held_bytes;
}

/// A compressor; `window_bits` below 0 stands for raw blocks (RFC 1951), 16 more than a window for gzip.
/// `held_bytes` outlives the stream.
static inline int czlib_deflate_init(
    z_stream *stream, size_t *held_bytes, int level, int window_bits, int memory_level) {
  czlib_count(stream, held_bytes);
  return deflateInit2(stream, level, Z_DEFLATED, window_bits, memory_level, Z_DEFAULT_STRATEGY);
}

/// A raw decompressor. `held_bytes` outlives the stream.
static inline int czlib_inflate_init(z_stream *stream, size_t *held_bytes, int window_bits) {
  czlib_count(stream, held_bytes);
  return inflateInit2(stream, -window_bits);
}
