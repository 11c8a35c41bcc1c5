// The disk as a whole: settings, generators, trace and counts.
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *sd_allocate(size_t bytes) {
  void *made = calloc(1, bytes ? bytes : 1);
  if (!made) abort();
  return made;
}

/// SplitMix64.
uint64_t sd_random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

bool sd_strikes(uint64_t *state, uint32_t per_million) {
  return per_million && sd_random(state) % 1000000 < per_million;
}

/// CRC-32C, eight bytes at a time.
uint32_t sd_crc(uint32_t crc, const void *bytes, size_t count) {
  static uint32_t table[8][256];
  if (!table[0][1]) {
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; bit++) c = (c >> 1) ^ (c & 1 ? 0x82f63b78u : 0);
      table[0][i] = c;
    }
    for (int row = 1; row < 8; row++) {
      for (int i = 0; i < 256; i++) {
        table[row][i] = (table[row - 1][i] >> 8) ^ table[0][table[row - 1][i] & 0xff];
      }
    }
  }
  const uint8_t *at = bytes;
  crc = ~crc;
  for (; count >= 8; count -= 8, at += 8) {
    uint32_t low = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    low ^= crc;
    crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^ table[4][low >> 24]
        ^ table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^ table[0][at[7]];
  }
  for (; count; count--, at++) crc = (crc >> 8) ^ table[0][(crc ^ *at) & 0xff];
  return ~crc;
}

static uint64_t mixed(uint64_t hash, uint64_t word) {
  uint64_t state = hash ^ word;
  return sd_random(&state);
}

void sd_note(sd_disk *disk, int call, uint64_t id, uint64_t offset, uint64_t count, int64_t result,
             uint32_t crc) {
  uint64_t hash = mixed(disk->trace, (uint64_t)call);
  hash = mixed(hash, id);
  hash = mixed(hash, offset);
  hash = mixed(hash, count);
  hash = mixed(hash, (uint64_t)result);
  disk->trace = mixed(hash, crc);
}

sd_options sd_default_options(void) {
  return (sd_options){
      .seed = 1,
      .capacity_bytes = 64 << 20,
      .pending_bytes_max = 16 << 20,
      .clock_us = 1704067200 * INT64_C(1000000),
      .sector_bytes = 4096,
      .powersafe_overwrite = true,
  };
}

sd_disk *sd_create(const sd_options *options) {
  if (options->sector_bytes != 512 && options->sector_bytes != 4096) return NULL;
  if (!options->capacity_bytes || !options->pending_bytes_max || options->clock_us < 0) return NULL;
  sd_disk *disk = sd_allocate(sizeof *disk);
  disk->options = *options;
  disk->clock_us = options->clock_us;
  uint64_t state = options->seed;
  disk->fault_random = sd_random(&state);
  disk->crash_random = sd_random(&state);
  disk->sqlite_random = sd_random(&state);
  return disk;
}

int sd_destroy(sd_disk *disk) {
  if (disk->files) return -EBUSY;
  sd_unregister_vfs(disk);
  while (disk->entry_changes) sd_settle_entry(disk, sd_take_entry_change(disk), false);
  sd_drop_entries(disk);
  // With the last name and handle the last file has gone, too.
  if (disk->inodes || disk->entries) abort();
  free(disk);
  return 0;
}

void sd_set_faults(sd_disk *disk, const sd_faults *faults) { disk->faults = *faults; }

void sd_heal(sd_disk *disk) {
  disk->faults = (sd_faults){0};
  disk->script_after = 0;
  disk->crash_after = 0;
}

void sd_set_sync_failure(sd_disk *disk, sd_sync_failure failure) { disk->sync_failure = failure; }
void sd_set_capacity(sd_disk *disk, uint64_t bytes) { disk->options.capacity_bytes = bytes; }

void sd_fail_after(sd_disk *disk, uint32_t calls, uint64_t nth, int error, bool for_ever) {
  disk->script_calls = calls;
  disk->script_after = nth;
  disk->script_error = error;
  disk->script_lasts = for_ever;
}

int64_t sd_clock(const sd_disk *disk) { return disk->clock_us; }
void sd_set_clock(sd_disk *disk, int64_t unix_us) { disk->clock_us = unix_us; }
sd_counts sd_get_counts(const sd_disk *disk) { return disk->counts; }
void sd_reset_counts(sd_disk *disk) { disk->counts = (sd_counts){0}; }
uint64_t sd_trace(const sd_disk *disk) { return disk->trace; }

int sd_path_at(const sd_disk *disk, int index, char *path, size_t capacity) {
  for (sd_entry *entry = disk->entries; entry; entry = entry->next) {
    if (!entry->now || index--) continue;
    if (strlen(entry->path) >= capacity) return -ERANGE;
    strcpy(path, entry->path);
    return 0;
  }
  return -ENOENT;
}

static sd_inode *peeked(const sd_disk *disk, const char *path, bool durable) {
  char normal[SD_PATH_BYTES_MAX];
  sd_entry *entry = sd_normal_path(path, normal) ? NULL : sd_find(disk, normal);
  return !entry ? NULL : durable ? entry->synced : entry->now;
}

int64_t sd_peek(const sd_disk *disk, const char *path, bool durable, void *bytes, size_t count,
                int64_t offset) {
  const sd_inode *inode = peeked(disk, path, durable);
  if (!inode) return -ENOENT;
  if (offset < 0) return -EINVAL;
  const sd_image *image = durable ? &inode->synced : &inode->now;
  if ((uint64_t)offset >= image->count) return 0;
  if (count > image->count - (uint64_t)offset) count = image->count - (uint64_t)offset;
  if (count) memcpy(bytes, image->start + offset, count);
  return (int64_t)count;
}

int64_t sd_peek_bytes(const sd_disk *disk, const char *path, bool durable) {
  const sd_inode *inode = peeked(disk, path, durable);
  return !inode ? -ENOENT : (int64_t)(durable ? inode->synced.count : inode->now.count);
}

int sd_flip_bit(sd_disk *disk, const char *path, uint64_t bit) {
  sd_inode *inode = peeked(disk, path, false);
  if (!inode) return -ENOENT;
  if (bit / 8 >= inode->now.count) return -ERANGE;
  inode->now.start[bit / 8] ^= (uint8_t)(1 << bit % 8);
  if (bit / 8 < inode->synced.count) inode->synced.start[bit / 8] ^= (uint8_t)(1 << bit % 8);
  return 0;
}
