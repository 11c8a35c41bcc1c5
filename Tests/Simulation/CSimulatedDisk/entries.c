// Names: those that are seen, those that are durable, and the changes between the two.
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sd_normal_path(const char *path, char normal[SD_PATH_BYTES_MAX]) {
  size_t count = 0;
  if (!*path) return -ENOENT;
  while (*path) {
    size_t part = strcspn(path, "/");
    if (part == 2 && !memcmp(path, "..", 2)) {
      while (count && normal[--count] != '/') {}
    } else if (part && !(part == 1 && *path == '.')) {
      if (count + part + 2 > SD_PATH_BYTES_MAX) return -ENAMETOOLONG;
      normal[count++] = '/';
      memcpy(normal + count, path, part);
      count += part;
    }
    path += part;
    while (*path == '/') path++;
  }
  if (!count) normal[count++] = '/';
  normal[count] = 0;
  return 0;
}

sd_entry *sd_find(const sd_disk *disk, const char *normal) {
  for (sd_entry *entry = disk->entries; entry; entry = entry->next) {
    if (!strcmp(entry->path, normal)) return entry;
  }
  return NULL;
}

static sd_entry *made(sd_disk *disk, const char *normal) {
  sd_entry **at = &disk->entries;
  for (; *at; at = &(*at)->next) {
    if (!strcmp((*at)->path, normal)) return *at;
  }
  sd_entry *entry = sd_allocate(sizeof *entry + strlen(normal) + 1);
  strcpy(entry->path, normal);
  return *at = entry;
}

/// Frees a name that stands for nothing any more.
static void tidy(sd_disk *disk, sd_entry *entry) {
  if (entry->now || entry->synced || entry->changes) return;
  sd_entry **at = &disk->entries;
  while (*at != entry) at = &(*at)->next;
  *at = entry->next;
  free(entry);
}

void sd_set_now(sd_disk *disk, sd_entry *entry, sd_inode *inode) {
  if (inode) sd_hold(inode, true);
  sd_inode *old = entry->now;
  entry->now = inode;
  if (old) sd_let_go(disk, old, true);
}

static void set_synced(sd_disk *disk, sd_entry *entry, sd_inode *inode) {
  if (inode) sd_hold(inode, false);
  sd_inode *old = entry->synced;
  entry->synced = inode;
  if (old) sd_let_go(disk, old, false);
}

sd_entry_change *sd_take_entry_change(sd_disk *disk) {
  sd_entry_change *change = disk->entry_changes;
  disk->entry_changes = change->next;
  disk->entry_change_count--;
  return change;
}

void sd_settle_entry(sd_disk *disk, sd_entry_change *change, bool is_kept) {
  if (is_kept) {
    if (change->source) set_synced(disk, change->source, NULL);
    set_synced(disk, change->entry, change->inode);
  }
  if (change->inode) sd_let_go(disk, change->inode, false);
  change->entry->changes--;
  if (change->source) change->source->changes--;
  if (change->source && change->source != change->entry) tidy(disk, change->source);
  tidy(disk, change->entry);
  free(change);
}

/// All that is held in memory: names that went and are durable still hold their files.
static uint64_t held(const sd_disk *disk) {
  uint64_t bytes = 0;
  for (const sd_inode *inode = disk->inodes; inode; inode = inode->next) {
    bytes += inode->now.count + inode->synced.count;
  }
  return bytes;
}

void sd_set_entry(sd_disk *disk, const char *normal, sd_inode *inode, sd_entry *source) {
  sd_entry_change *change = sd_allocate(sizeof *change);
  change->entry = made(disk, normal);
  change->source = source;
  change->inode = inode;
  change->entry->changes++;
  if (inode) sd_hold(inode, false);
  if (source) source->changes++;
  sd_set_now(disk, change->entry, inode);
  if (source) sd_set_now(disk, source, NULL);
  sd_entry_change **at = &disk->entry_changes;
  while (*at) at = &(*at)->next;
  *at = change;
  disk->entry_change_count++;
  while (disk->entry_changes && (disk->entry_change_count > SD_ENTRY_CHANGES_MAX
                                 || held(disk) > 4 * disk->options.capacity_bytes)) {
    sd_settle_entry(disk, sd_take_entry_change(disk), true);
    disk->counts.written_back++;
  }
}

static bool is_in(const char *path, const char *directory) {
  size_t parent = (size_t)(strrchr(path, '/') - path);
  if (!parent) return !strcmp(directory, "/");
  return strlen(directory) == parent && !memcmp(path, directory, parent);
}

void sd_sync_entries(sd_disk *disk, const char *normal_directory) {
  sd_entry_change **at = &disk->entry_changes;
  while (*at) {
    sd_entry_change *change = *at;
    if (!is_in(change->entry->path, normal_directory)) {
      at = &change->next;
      continue;
    }
    *at = change->next;
    disk->entry_change_count--;
    sd_settle_entry(disk, change, true);
  }
}

void sd_drop_entries(sd_disk *disk) {
  while (disk->entries) {
    sd_entry *entry = disk->entries;
    disk->entries = entry->next;
    if (entry->now) sd_let_go(disk, entry->now, true);
    if (entry->synced) sd_let_go(disk, entry->synced, false);
    free(entry);
  }
}
