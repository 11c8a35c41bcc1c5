// One file: what readers see, what is durable, and the changes between the two.
#include "internal.h"

#include <stdlib.h>
#include <string.h>

sd_inode *sd_make_inode(sd_disk *disk) {
  sd_inode *inode = sd_allocate(sizeof *inode);
  inode->id = ++disk->next_id;
  // In order of their ids, so that walks are the same in every run.
  sd_inode **at = &disk->inodes;
  while (*at) at = &(*at)->next;
  *at = inode;
  disk->inode_count++;
  return inode;
}

void sd_hold(sd_inode *inode, bool as_user) {
  inode->holders++;
  if (as_user) inode->users++;
}

void sd_let_go(sd_disk *disk, sd_inode *inode, bool as_user) {
  if (as_user) inode->users--;
  if (--inode->holders) return;
  while (inode->first) free(sd_take_change(disk, inode));
  sd_detach_shm(inode);
  sd_inode **at = &disk->inodes;
  while (*at != inode) at = &(*at)->next;
  *at = inode->next;
  disk->inode_count--;
  free(inode->now.start);
  free(inode->synced.start);
  free(inode);
}

static void grow(sd_image *image, uint64_t count) {
  if (count <= image->count) return;
  if (count > image->capacity) {
    uint64_t capacity = image->capacity * 2 > count ? image->capacity * 2 : count;
    uint8_t *start = realloc(image->start, capacity);
    if (!start) abort();
    image->start = start;
    image->capacity = capacity;
  }
  memset(image->start + image->count, 0, count - image->count);
  image->count = count;
}

void sd_image_write(sd_image *image, uint64_t offset, const void *bytes, uint64_t count) {
  if (!count) return;
  grow(image, offset + count);
  memcpy(image->start + offset, bytes, count);
}

void sd_image_truncate(sd_image *image, uint64_t count) {
  if (count < image->count) image->count = count;
  grow(image, count);
}

void sd_image_copy(sd_image *to, const sd_image *from) {
  to->count = 0;
  sd_image_write(to, 0, from->start, from->count);
}

void sd_apply(sd_image *image, const sd_change *change) {
  if (change->is_truncation) {
    sd_image_truncate(image, change->offset);
  } else {
    sd_image_write(image, change->offset, change->bytes, change->count);
  }
}

static uint64_t weight(const sd_change *change) { return sizeof *change + change->count; }

sd_change *sd_take_change(sd_disk *disk, sd_inode *inode) {
  sd_change *change = inode->first;
  inode->first = change->next;
  if (!inode->first) inode->last = NULL;
  inode->pending_bytes -= weight(change);
  disk->pending_bytes -= weight(change);
  return change;
}

static void remember(sd_disk *disk, sd_inode *inode, sd_change *change) {
  if (inode->last) inode->last->next = change;
  else inode->first = change;
  inode->last = change;
  inode->pending_bytes += weight(change);
  disk->pending_bytes += weight(change);
  // A kernel with too much to write writes it unasked. Only this file has grown, so the bound holds.
  while (disk->pending_bytes > disk->options.pending_bytes_max && inode->first) {
    sd_change *oldest = sd_take_change(disk, inode);
    sd_apply(&inode->synced, oldest);
    free(oldest);
    disk->counts.written_back++;
  }
}

void sd_change_bytes(sd_disk *disk, sd_inode *inode, uint64_t offset, const void *bytes, uint64_t count) {
  if (!count) return;
  sd_change *change = sd_allocate(sizeof *change + count);
  change->offset = offset;
  change->count = count;
  memcpy(change->bytes, bytes, count);
  sd_apply(&inode->now, change);
  remember(disk, inode, change);
}

void sd_change_count(sd_disk *disk, sd_inode *inode, uint64_t count) {
  sd_change *change = sd_allocate(sizeof *change);
  change->offset = count;
  change->is_truncation = true;
  sd_apply(&inode->now, change);
  remember(disk, inode, change);
}

void sd_sync_inode(sd_disk *disk, sd_inode *inode) {
  while (inode->first) {
    sd_change *change = sd_take_change(disk, inode);
    sd_apply(&inode->synced, change);
    free(change);
  }
}

void sd_fail_sync(sd_disk *disk, sd_inode *inode) {
  if (disk->sync_failure == SD_SYNC_FAILURE_KEEPS) return;
  while (inode->first) {
    sd_change *change = sd_take_change(disk, inode);
    if (sd_random(&disk->fault_random) & 1) sd_apply(&inode->synced, change);
    free(change);
  }
  if (disk->sync_failure == SD_SYNC_FAILURE_REVERTS) sd_image_copy(&inode->now, &inode->synced);
}

/// What so many bytes take.
static uint64_t blocks(uint64_t bytes) {
  return (bytes + SD_BLOCK_BYTES - 1) / SD_BLOCK_BYTES * SD_BLOCK_BYTES;
}

uint64_t sd_used_bytes(const sd_disk *disk) {
  uint64_t used = disk->shm_bytes;
  for (const sd_inode *inode = disk->inodes; inode; inode = inode->next) {
    if (inode->users) used += blocks(inode->now.count);
  }
  return used;
}

uint64_t sd_room(const sd_disk *disk, const sd_inode *inode) {
  uint64_t used = sd_used_bytes(disk), capacity = disk->options.capacity_bytes;
  uint64_t left = capacity > used ? (capacity - used) / SD_BLOCK_BYTES * SD_BLOCK_BYTES : 0;
  return blocks(inode->now.count) + left;
}
