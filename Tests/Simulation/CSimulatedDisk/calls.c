// The calls on files and names, with their faults. The VFS is built on them.
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGING = SD_CALL_ANY & ~(SD_CALL_OPEN | SD_CALL_READ) };

/// Begins a call: 0, or the error it fails with.
static int begin(sd_disk *disk, uint32_t call, bool is_changing) {
  if (disk->is_off) return -EIO;
  if (is_changing) {
    disk->counts.changes++;
    if (disk->crash_after && !--disk->crash_after) disk->crash_is_due = true;
  }
  if (!(disk->script_calls & call) || !disk->script_after) return 0;
  if (disk->script_after > 1) {
    disk->script_after--;
    return 0;
  }
  if (!disk->script_lasts) disk->script_after = 0;
  disk->counts.scripted_errors++;
  return -disk->script_error;
}

static int begin_on(sd_file *file, uint32_t call) {
  int result = begin(file->disk, call, file->inode && (call & CHANGING));
  return file->inode ? result : -EIO;
}

/// Whether a fault comes; counts it.
static bool fault(sd_disk *disk, uint32_t per_million, uint64_t *count) {
  if (!sd_strikes(&disk->fault_random, per_million)) return false;
  ++*count;
  return true;
}

int64_t sd_finish(sd_disk *disk, int call, uint64_t id, uint64_t offset, uint64_t count, int64_t result,
                  uint32_t crc) {
  if (disk->crash_is_due) {
    disk->crash_is_due = false;
    sd_crash(disk, disk->crash_mode);
    disk->is_off = true;
    result = -EIO;
  }
  if (result < 0) disk->last_error = (int)-result;
  sd_note(disk, call, id, offset, count, result, crc);
  return result;
}

static uint64_t id_of(const sd_file *file) { return file->inode ? file->inode->id : 0; }
static uint32_t crc_of(const char *path) { return sd_crc(0, path, strlen(path)); }

static int made_handle(sd_disk *disk, sd_inode *inode, bool is_writable, sd_file **file) {
  sd_file *made = sd_allocate(sizeof *made);
  made->disk = disk;
  made->inode = inode;
  made->is_writable = is_writable;
  made->next = disk->files;
  disk->files = made;
  disk->file_count++;
  sd_hold(inode, true);
  *file = made;
  return 0;
}

static int opened(sd_disk *disk, const char *normal, uint32_t flags, sd_entry *entry, sd_file **file) {
  bool is_there = entry && entry->now;
  if (!is_there && !(flags & SD_OPEN_CREATE)) return -ENOENT;
  if (is_there && (flags & SD_OPEN_CREATE) && (flags & SD_OPEN_EXCLUSIVE)) return -EEXIST;
  if (disk->file_count >= SD_HANDLES_MAX) return -EMFILE;
  if (fault(disk, disk->faults.open_error, &disk->counts.open_errors)) return -EIO;
  sd_inode *inode = is_there ? entry->now : NULL;
  if (!inode) {
    if (disk->inode_count >= SD_INODES_MAX) return -ENOSPC;
    inode = sd_make_inode(disk);
    sd_set_entry(disk, normal, inode, NULL);
  } else if ((flags & SD_OPEN_TRUNCATE) && inode->now.count) {
    sd_change_count(disk, inode, 0);
  }
  return made_handle(disk, inode, flags & SD_OPEN_WRITE, file);
}

int sd_open(sd_disk *disk, const char *path, uint32_t flags, sd_file **file) {
  char normal[SD_PATH_BYTES_MAX];
  *file = NULL;
  int result = sd_normal_path(path, normal);
  if (result) return result;
  sd_entry *entry = sd_find(disk, normal);
  bool is_there = entry && entry->now;
  bool is_changing = is_there ? (flags & SD_OPEN_TRUNCATE) != 0 : (flags & SD_OPEN_CREATE) != 0;
  disk->counts.opens++;
  result = begin(disk, SD_CALL_OPEN, is_changing);
  if (!result) result = opened(disk, normal, flags, entry, file);
  uint64_t id = *file ? id_of(*file) : 0;
  result = (int)sd_finish(disk, SD_CALL_OPEN, id, flags, 0, result, crc_of(normal));
  if (result && *file) {
    sd_close(*file);
    *file = NULL;
  }
  return result;
}

int sd_open_nameless(sd_disk *disk, sd_file **file) {
  *file = NULL;
  if (disk->is_off) return -EIO;
  if (disk->file_count >= SD_HANDLES_MAX) return -EMFILE;
  return made_handle(disk, sd_make_inode(disk), true, file);
}

void sd_close(sd_file *file) {
  sd_disk *disk = file->disk;
  sd_file **at = &disk->files;
  while (*at != file) at = &(*at)->next;
  *at = file->next;
  disk->file_count--;
  if (file->inode) sd_let_go(disk, file->inode, true);
  free(file);
}

static int64_t read_bytes(sd_file *file, uint8_t *bytes, size_t count, int64_t offset) {
  sd_disk *disk = file->disk;
  const sd_image *image = &file->inode->now;
  if (offset < 0) return -EINVAL;
  if (fault(disk, disk->faults.read_error, &disk->counts.read_errors)) return -EIO;
  if ((uint64_t)offset >= image->count) return 0;
  if (count > image->count - (uint64_t)offset) count = image->count - (uint64_t)offset;
  if (count > 1 && fault(disk, disk->faults.short_read, &disk->counts.short_reads)) {
    count = 1 + sd_random(&disk->fault_random) % (count - 1);
  }
  if (!count) return 0;
  memcpy(bytes, image->start + offset, count);
  if (fault(disk, disk->faults.read_flip, &disk->counts.read_flips)) {
    uint64_t bit = sd_random(&disk->fault_random) % (count * 8);
    bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  disk->counts.bytes_read += count;
  return (int64_t)count;
}

int64_t sd_pread(sd_file *file, void *bytes, size_t count, int64_t offset) {
  int64_t result = begin_on(file, SD_CALL_READ);
  file->disk->counts.reads++;
  if (!result) result = read_bytes(file, bytes, count, offset);
  uint32_t crc = result > 0 ? sd_crc(0, bytes, (size_t)result) : 0;
  return sd_finish(file->disk, SD_CALL_READ, id_of(file), (uint64_t)offset, count, result, crc);
}

/// A write that fails may have reached the disk in part.
static void write_prefix(sd_file *file, const void *bytes, size_t count, uint64_t offset) {
  sd_disk *disk = file->disk;
  uint64_t prefix = sd_random(&disk->fault_random) % (count / SD_TEAR_BYTES + 1) * SD_TEAR_BYTES;
  sd_change_bytes(disk, file->inode, offset, bytes, prefix);
}

static int64_t write_bytes(sd_file *file, const void *bytes, size_t count, int64_t offset) {
  sd_disk *disk = file->disk;
  if (offset < 0) return -EINVAL;
  if (!count) return 0;
  uint64_t room = sd_room(disk, file->inode);
  if (room <= (uint64_t)offset) return -ENOSPC;
  if (fault(disk, disk->faults.no_space, &disk->counts.no_space)) return -ENOSPC;
  if (count > room - (uint64_t)offset) count = room - (uint64_t)offset;
  if (fault(disk, disk->faults.write_error, &disk->counts.write_errors)) {
    write_prefix(file, bytes, count, (uint64_t)offset);
    return -EIO;
  }
  if (count > 1 && fault(disk, disk->faults.short_write, &disk->counts.short_writes)) {
    count = 1 + sd_random(&disk->fault_random) % (count - 1);
  }
  sd_change_bytes(disk, file->inode, (uint64_t)offset, bytes, count);
  disk->counts.bytes_written += count;
  return (int64_t)count;
}

int64_t sd_pwrite(sd_file *file, const void *bytes, size_t count, int64_t offset) {
  int64_t result = begin_on(file, SD_CALL_WRITE);
  file->disk->counts.writes++;
  if (!result && !file->is_writable) result = -EBADF;
  if (!result) result = write_bytes(file, bytes, count, offset);
  uint64_t id = id_of(file);
  return sd_finish(file->disk, SD_CALL_WRITE, id, (uint64_t)offset, count, result, sd_crc(0, bytes, count));
}

int sd_ftruncate(sd_file *file, int64_t count) {
  int result = begin_on(file, SD_CALL_TRUNCATE);
  file->disk->counts.truncations++;
  if (!result && !file->is_writable) result = -EBADF;
  if (!result && count < 0) result = -EINVAL;
  if (!result && (uint64_t)count > file->inode->now.count
      && (uint64_t)count > sd_room(file->disk, file->inode)) {
    result = -ENOSPC;
  }
  uint64_t id = id_of(file);
  if (!result) sd_change_count(file->disk, file->inode, (uint64_t)count);
  return (int)sd_finish(file->disk, SD_CALL_TRUNCATE, id, (uint64_t)count, 0, result, 0);
}

static void flip_at_rest(sd_disk *disk, sd_inode *inode) {
  if (!inode->synced.count || inode->synced.count != inode->now.count) return;
  if (!fault(disk, disk->faults.rest_flip, &disk->counts.rest_flips)) return;
  uint64_t bit = sd_random(&disk->fault_random) % (inode->synced.count * 8);
  inode->synced.start[bit / 8] ^= (uint8_t)(1 << bit % 8);
  inode->now.start[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static int synced(sd_disk *disk, sd_inode *inode) {
  if (fault(disk, disk->faults.sync_delay, &disk->counts.sync_delays)) {
    disk->clock_us += disk->faults.sync_delay_us;
  }
  if (fault(disk, disk->faults.sync_error, &disk->counts.sync_errors)) return -EIO;
  if (fault(disk, disk->faults.sync_lie, &disk->counts.sync_lies)) return 0;
  sd_sync_inode(disk, inode);
  flip_at_rest(disk, inode);
  return 0;
}

int sd_fdatasync(sd_file *file) {
  sd_disk *disk = file->disk;
  int result = begin_on(file, SD_CALL_SYNC);
  disk->counts.syncs++;
  uint64_t id = id_of(file);
  if (!disk->crash_is_due) {
    if (!result) result = synced(disk, file->inode);
    if (result && file->inode && !disk->is_off) sd_fail_sync(disk, file->inode);
  }
  return (int)sd_finish(disk, SD_CALL_SYNC, id, 0, 0, result, 0);
}

int64_t sd_file_bytes(sd_file *file) {
  int64_t result = file->inode && !file->disk->is_off ? (int64_t)file->inode->now.count : -EIO;
  sd_note(file->disk, SD_TRACE_SIZE, id_of(file), 0, 0, result, 0);
  return result;
}

int sd_flock(sd_file *file) {
  int result = file->inode && !file->disk->is_off ? 0 : -EIO;
  for (sd_file *other = file->disk->files; !result && other; other = other->next) {
    if (other != file && other->inode == file->inode && other->holds_flock) result = -EWOULDBLOCK;
  }
  if (!result) file->holds_flock = true;
  sd_note(file->disk, SD_TRACE_FLOCK, id_of(file), 0, 0, result, 0);
  return result;
}

void sd_funlock(sd_file *file) { file->holds_flock = false; }

int sd_fsync_dir(sd_disk *disk, const char *path) {
  char normal[SD_PATH_BYTES_MAX];
  int result = sd_normal_path(path, normal);
  if (result) return result;
  result = begin(disk, SD_CALL_SYNC_DIRECTORY, true);
  disk->counts.directory_syncs++;
  if (!result && fault(disk, disk->faults.sync_error, &disk->counts.sync_errors)) result = -EIO;
  // What a failed sync of a directory leaves is there for the next: a journal is not half forgotten.
  if (!result && !disk->crash_is_due
      && !fault(disk, disk->faults.sync_lie, &disk->counts.sync_lies)) {
    sd_sync_entries(disk, normal);
  }
  return (int)sd_finish(disk, SD_CALL_SYNC_DIRECTORY, 0, 0, 0, result, crc_of(normal));
}

int sd_rename(sd_disk *disk, const char *from, const char *to) {
  char source[SD_PATH_BYTES_MAX], target[SD_PATH_BYTES_MAX];
  int result = sd_normal_path(from, source);
  if (!result) result = sd_normal_path(to, target);
  if (result) return result;
  result = begin(disk, SD_CALL_RENAME, true);
  disk->counts.renames++;
  sd_entry *entry = sd_find(disk, source);
  if (!result && !(entry && entry->now)) result = -ENOENT;
  uint64_t id = result ? 0 : entry->now->id;
  if (!result && strcmp(source, target)) sd_set_entry(disk, target, entry->now, entry);
  return (int)sd_finish(disk, SD_CALL_RENAME, id, crc_of(source), 0, result, crc_of(target));
}

int sd_unlink(sd_disk *disk, const char *path) {
  char normal[SD_PATH_BYTES_MAX];
  int result = sd_normal_path(path, normal);
  if (result) return result;
  result = begin(disk, SD_CALL_UNLINK, true);
  disk->counts.unlinks++;
  sd_entry *entry = sd_find(disk, normal);
  if (!result && !(entry && entry->now)) result = -ENOENT;
  uint64_t id = result ? 0 : entry->now->id;
  if (!result) sd_set_entry(disk, normal, NULL, NULL);
  return (int)sd_finish(disk, SD_CALL_UNLINK, id, 0, 0, result, crc_of(normal));
}

int sd_exists(sd_disk *disk, const char *path) {
  char normal[SD_PATH_BYTES_MAX];
  if (disk->is_off || sd_normal_path(path, normal)) return 0;
  sd_entry *entry = sd_find(disk, normal);
  int result = entry && entry->now;
  sd_note(disk, SD_TRACE_EXISTS, 0, 0, 0, result, crc_of(normal));
  return result;
}
