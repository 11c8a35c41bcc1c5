// Crashes: which changes are left, and what of them.
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static bool is_power_failure(sd_crash_mode mode) { return mode != SD_CRASH_PROCESS; }
static bool is_random(sd_crash_mode mode) { return mode == SD_CRASH_KEEPS_SOME || mode == SD_CRASH_TEARS; }

static bool keeps(sd_disk *disk, sd_crash_mode mode) {
  return mode == SD_CRASH_KEEPS_ALL || (is_random(mode) && (sd_random(&disk->crash_random) & 1));
}

/// Keeps some sectors of a write.
static void tear(sd_disk *disk, sd_inode *inode, const sd_change *change) {
  bool has_kept = false, has_lost = false;
  for (uint64_t at = 0; at < change->count;) {
    uint64_t step = SD_TEAR_BYTES - (change->offset + at) % SD_TEAR_BYTES;
    if (step > change->count - at) step = change->count - at;
    if (keeps(disk, SD_CRASH_TEARS)) {
      sd_image_write(&inode->synced, change->offset + at, change->bytes + at, step);
      has_kept = true;
    } else {
      has_lost = true;
    }
    at += step;
  }
  if (has_kept && has_lost) disk->counts.changes_torn++;
  else if (has_kept) disk->counts.changes_kept++;
  else disk->counts.changes_lost++;
}

/// Fills the sector around `offset` with what is not there.
static void damage(sd_disk *disk, sd_inode *inode, uint64_t offset) {
  uint64_t start = offset / disk->options.sector_bytes * disk->options.sector_bytes;
  uint64_t end = start + disk->options.sector_bytes;
  if (end > inode->synced.count) end = inode->synced.count;
  for (uint64_t at = start; at < end; at++) inode->synced.start[at] = (uint8_t)sd_random(&disk->crash_random);
  disk->counts.sectors_damaged++;
}

static void damage_neighbours(sd_disk *disk, sd_inode *inode, const sd_change *change) {
  uint64_t sector = disk->options.sector_bytes, end = change->offset + change->count;
  if (change->is_truncation) return;
  if (change->offset % sector && sd_strikes(&disk->crash_random, disk->faults.neighbour_damage)) {
    damage(disk, inode, change->offset);
  }
  if (end % sector && sd_strikes(&disk->crash_random, disk->faults.neighbour_damage)) {
    damage(disk, inode, end);
  }
}

static void settle_changes(sd_disk *disk, sd_inode *inode, sd_crash_mode mode) {
  while (inode->first) {
    sd_change *change = sd_take_change(disk, inode);
    if (mode == SD_CRASH_TEARS && !change->is_truncation) {
      tear(disk, inode, change);
    } else if (keeps(disk, mode)) {
      sd_apply(&inode->synced, change);
      disk->counts.changes_kept++;
    } else {
      disk->counts.changes_lost++;
    }
    if (is_random(mode)) damage_neighbours(disk, inode, change);
    free(change);
  }
  sd_image_copy(&inode->now, &inode->synced);
}

static void settle_entries(sd_disk *disk, sd_crash_mode mode) {
  while (disk->entry_changes) {
    bool is_kept = keeps(disk, mode);
    if (is_kept) disk->counts.entries_kept++;
    else disk->counts.entries_lost++;
    sd_settle_entry(disk, sd_take_entry_change(disk), is_kept);
  }
  sd_entry **at = &disk->entries;
  while (*at) {
    sd_entry *entry = *at;
    sd_set_now(disk, entry, entry->synced);
    if (entry->now) {
      at = &entry->next;
      continue;
    }
    *at = entry->next;
    free(entry);
  }
}

static void kill_handles(sd_disk *disk) {
  for (sd_inode *inode = disk->inodes; inode; inode = inode->next) sd_detach_shm(inode);
  for (sd_file *file = disk->files; file; file = file->next) {
    if (!file->inode) continue;
    sd_let_go(disk, file->inode, true);
    file->inode = NULL;
    file->holds_flock = false;
    file->lock = 0;
  }
}

void sd_crash(sd_disk *disk, sd_crash_mode mode) {
  disk->counts.crashes++;
  disk->crash_after = 0;
  disk->is_off = false;
  kill_handles(disk);
  if (is_power_failure(mode)) {
    for (sd_inode *inode = disk->inodes; inode; inode = inode->next) settle_changes(disk, inode, mode);
    settle_entries(disk, mode);
  }
  // The generator's state stands for every choice that was made.
  sd_note(disk, SD_TRACE_CRASH, disk->crash_random, disk->counts.changes_kept, disk->counts.changes_lost,
          mode, 0);
}

void sd_crash_after(sd_disk *disk, uint64_t nth, sd_crash_mode mode) {
  disk->crash_after = nth;
  disk->crash_mode = mode;
}

bool sd_is_off(const sd_disk *disk) { return disk->is_off; }
void sd_power_on(sd_disk *disk) { disk->is_off = false; }

int sd_dead_handles(const sd_disk *disk) {
  int count = 0;
  for (const sd_file *file = disk->files; file; file = file->next) count += !file->inode;
  return count;
}
