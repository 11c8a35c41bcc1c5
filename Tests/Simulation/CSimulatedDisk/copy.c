// A second disk with what the first holds.
#include "internal.h"

#include <string.h>

static sd_inode *counterpart(const sd_disk *copy, const sd_inode *inode) {
  sd_inode *found = inode ? copy->inodes : NULL;
  while (found && found->id != inode->id) found = found->next;
  return found;
}

static void copy_inode(sd_disk *copy, const sd_inode *inode) {
  copy->next_id = inode->id - 1;
  sd_inode *made = sd_make_inode(copy);
  sd_image_copy(&made->now, &inode->synced);
  sd_image_copy(&made->synced, &inode->synced);
  for (const sd_change *change = inode->first; change; change = change->next) {
    if (change->is_truncation) sd_change_count(copy, made, change->offset);
    else sd_change_bytes(copy, made, change->offset, change->bytes, change->count);
  }
  // A failed sync may have left readers with what is neither durable nor pending.
  sd_image_copy(&made->now, &inode->now);
  // Held until its names are there.
  sd_hold(made, false);
}

static void copy_entries(sd_disk *copy, const sd_disk *disk) {
  sd_entry **at = &copy->entries;
  for (const sd_entry *entry = disk->entries; entry; entry = entry->next, at = &(*at)->next) {
    *at = sd_allocate(sizeof **at + strlen(entry->path) + 1);
    strcpy((*at)->path, entry->path);
    (*at)->now = counterpart(copy, entry->now);
    (*at)->synced = counterpart(copy, entry->synced);
    if ((*at)->now) sd_hold((*at)->now, true);
    if ((*at)->synced) sd_hold((*at)->synced, false);
  }
  sd_entry_change **last = &copy->entry_changes;
  for (const sd_entry_change *change = disk->entry_changes; change; change = change->next) {
    *last = sd_allocate(sizeof **last);
    (*last)->entry = sd_find(copy, change->entry->path);
    (*last)->entry->changes++;
    if (change->source) ((*last)->source = sd_find(copy, change->source->path))->changes++;
    (*last)->inode = counterpart(copy, change->inode);
    if ((*last)->inode) sd_hold((*last)->inode, false);
    last = &(*last)->next;
  }
  copy->entry_change_count = disk->entry_change_count;
}

sd_disk *sd_copy(const sd_disk *disk, uint64_t seed) {
  sd_options options = disk->options;
  options.seed = seed;
  options.clock_us = disk->clock_us;
  sd_disk *copy = sd_create(&options);
  for (const sd_inode *inode = disk->inodes; inode; inode = inode->next) copy_inode(copy, inode);
  copy_entries(copy, disk);
  copy->next_id = disk->next_id;
  for (sd_inode *inode = copy->inodes; inode;) {
    sd_inode *next = inode->next;
    sd_let_go(copy, inode, false);
    inode = next;
  }
  copy->counts.written_back = 0;
  return copy;
}
