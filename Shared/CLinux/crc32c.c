#include "clinux.h"

#include <string.h>

static uint32_t by_table(uint32_t crc, const uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1u)));
  }
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2")))
static uint32_t by_instruction(uint32_t crc, const uint8_t *bytes, size_t count) {
  uint64_t wide = crc;
  for (; count >= 8; count -= 8, bytes += 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  crc = (uint32_t)wide;
  for (; count > 0; count--, bytes++) crc = __builtin_ia32_crc32qi(crc, *bytes);
  return crc;
}
static int has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }
#else
static uint32_t by_instruction(uint32_t crc, const uint8_t *bytes, size_t count) {
  return by_table(crc, bytes, count);
}
static int has_instruction(void) { return 0; }
#endif

uint32_t clinux_crc32c(uint32_t crc, const void *bytes, size_t count) {
  crc = ~crc;
  crc = has_instruction() ? by_instruction(crc, bytes, count) : by_table(crc, bytes, count);
  return ~crc;
}
