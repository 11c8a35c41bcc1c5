// The VFS: an open file, and the locks of a database between connections.
#include "vfs.h"

#include <errno.h>
#include <string.h>

static sd_vfs_file *cast(sqlite3_file *base) { return (sd_vfs_file *)base; }

bool sd_is_usable(const sd_vfs_file *file) { return file->file->inode && !file->file->disk->is_off; }

static int file_close(sqlite3_file *base) {
  sd_shm_unmap(base, 0);
  sd_close(cast(base)->file);
  base->pMethods = NULL;
  return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *bytes, int count, sqlite3_int64 offset) {
  int got = 0;
  while (got < count) {
    int64_t result = sd_pread(cast(base)->file, (char *)bytes + got, (size_t)(count - got), offset + got);
    // As on Unix: a device that can't be read counts as a damaged file.
    if (result == -EIO && sd_is_usable(cast(base))) return SQLITE_IOERR_CORRUPTFS;
    if (result < 0) return SQLITE_IOERR_READ;
    if (!result) break;
    got += (int)result;
  }
  if (got == count) return SQLITE_OK;
  memset((char *)bytes + got, 0, (size_t)(count - got));
  return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *bytes, int count, sqlite3_int64 offset) {
  int put = 0;
  while (put < count) {
    int64_t result =
        sd_pwrite(cast(base)->file, (const char *)bytes + put, (size_t)(count - put), offset + put);
    if (result == -ENOSPC) return SQLITE_FULL;
    if (result < 0) return SQLITE_IOERR_WRITE;
    put += (int)result;
  }
  return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 count) {
  return sd_ftruncate(cast(base)->file, count) ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags) {
  (void)flags;
  sd_vfs_file *file = cast(base);
  if (sd_fdatasync(file->file)) return SQLITE_IOERR_FSYNC;
  char directory[SD_PATH_BYTES_MAX];
  if (!file->syncs_directory || !file->path || sd_normal_path(file->path, directory)) return SQLITE_OK;
  sd_cut_to_directory(directory);
  // As on Unix: an error of the directory is not told, and it is not tried again.
  sd_fsync_dir(file->file->disk, directory);
  file->syncs_directory = false;
  return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *count) {
  int64_t result = sd_file_bytes(cast(base)->file);
  if (result < 0) return SQLITE_IOERR_FSTAT;
  // As on Unix, where a file of one byte stands for an empty one.
  *count = result == 1 ? 0 : result;
  return SQLITE_OK;
}

/// The highest lock that another handle has on the same file.
static int others_lock(const sd_file *file) {
  int highest = SQLITE_LOCK_NONE;
  for (const sd_file *other = file->disk->files; other; other = other->next) {
    if (other != file && other->inode == file->inode && other->lock > highest) highest = other->lock;
  }
  return highest;
}

static int locked(sd_file *file, int level) {
  if (file->lock >= level) return SQLITE_OK;
  int others = others_lock(file);
  if (others >= SQLITE_LOCK_PENDING || (others > SQLITE_LOCK_SHARED && level > SQLITE_LOCK_SHARED)) {
    return SQLITE_BUSY;
  }
  if (level == SQLITE_LOCK_EXCLUSIVE && others == SQLITE_LOCK_SHARED) {
    // No new reader comes in while this one waits.
    file->lock = SQLITE_LOCK_PENDING;
    return SQLITE_BUSY;
  }
  file->lock = level;
  return SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int level) {
  sd_file *file = cast(base)->file;
  if (!sd_is_usable(cast(base))) return SQLITE_IOERR_LOCK;
  int result = locked(file, level);
  sd_note(file->disk, SD_TRACE_LOCK, file->inode->id, (uint64_t)level, 0, result, 0);
  return result;
}

static int file_unlock(sqlite3_file *base, int level) {
  sd_file *file = cast(base)->file;
  if (file->lock > level) file->lock = level;
  return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *base, int *answer) {
  sd_file *file = cast(base)->file;
  if (!sd_is_usable(cast(base))) return SQLITE_IOERR_CHECKRESERVEDLOCK;
  *answer = file->lock > SQLITE_LOCK_SHARED || others_lock(file) > SQLITE_LOCK_SHARED;
  return SQLITE_OK;
}

static bool has_moved(const sd_vfs_file *file) {
  char normal[SD_PATH_BYTES_MAX];
  if (!file->path || sd_normal_path(file->path, normal)) return false;
  const sd_entry *entry = sd_find(file->file->disk, normal);
  return !entry || entry->now != file->file->inode;
}

/// A setting that is asked for with -1 and set with 0 or 1.
static void mode_bit(bool *bit, int *value) {
  if (*value < 0) *value = *bit;
  else *bit = *value != 0;
}

static int file_control(sqlite3_file *base, int operation, void *argument) {
  sd_vfs_file *file = cast(base);
  switch (operation) {
    case SQLITE_FCNTL_LOCKSTATE: *(int *)argument = file->file->lock; return SQLITE_OK;
    case SQLITE_FCNTL_LAST_ERRNO: *(int *)argument = file->file->disk->last_error; return SQLITE_OK;
    case SQLITE_FCNTL_PERSIST_WAL: mode_bit(&file->keeps_wal, argument); return SQLITE_OK;
    case SQLITE_FCNTL_POWERSAFE_OVERWRITE: mode_bit(&file->powersafe_overwrite, argument); return SQLITE_OK;
    case SQLITE_FCNTL_HAS_MOVED: *(int *)argument = has_moved(file); return SQLITE_OK;
    case SQLITE_FCNTL_VFSNAME:
      *(char **)argument = sqlite3_mprintf("%s", file->file->disk->vfs->zName);
      return SQLITE_OK;
    // Files are not mapped: the limit is 0, whatever is asked for.
    case SQLITE_FCNTL_MMAP_SIZE: *(sqlite3_int64 *)argument = 0; return SQLITE_OK;
    // Files are not made larger ahead of time, as on Unix without a chunk size.
    case SQLITE_FCNTL_SIZE_HINT: return SQLITE_OK;
    default: return SQLITE_NOTFOUND;
  }
}

static int file_sector(sqlite3_file *base) { return (int)cast(base)->file->disk->options.sector_bytes; }

static int file_characteristics(sqlite3_file *base) {
  return cast(base)->powersafe_overwrite ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0;
}

const sqlite3_io_methods sd_io_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = sd_shm_map,
    .xShmLock = sd_shm_lock,
    .xShmBarrier = sd_shm_barrier,
    .xShmUnmap = sd_shm_unmap,
};
