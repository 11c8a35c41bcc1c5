// The VFS: names, time and chance. Does what SQLite's os_unix.c of 3.40 does, over the calls of the disk.
#include "vfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static sd_disk *disk_of(sqlite3_vfs *vfs) { return vfs->pAppData; }

static uint32_t open_flags(int flags) {
  if (!(flags & SQLITE_OPEN_READWRITE)) return SD_OPEN_READ;
  uint32_t given = SD_OPEN_WRITE;
  if (flags & SQLITE_OPEN_CREATE) given |= SD_OPEN_CREATE;
  if (flags & SQLITE_OPEN_EXCLUSIVE) given |= SD_OPEN_EXCLUSIVE;
  return given;
}

static int open_named(sd_disk *disk, const char *path, int *flags, sd_file **file) {
  int result = sd_open(disk, path, open_flags(*flags), file);
  if (result && (*flags & SQLITE_OPEN_READWRITE)) {
    // As on Unix: who can't write may still read.
    *flags &= ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    *flags |= SQLITE_OPEN_READONLY;
    result = sd_open(disk, path, SD_OPEN_READ, file);
  }
  if (!result && (*flags & SQLITE_OPEN_DELETEONCLOSE)) sd_unlink(disk, path);
  return result;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *given) {
  sd_disk *disk = disk_of(vfs);
  sd_vfs_file *made = (sd_vfs_file *)base;
  memset(made, 0, sizeof *made);
  int journals = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
  bool is_journal = (flags & journals) != 0, creates = (flags & SQLITE_OPEN_CREATE) != 0;
  int result = path ? open_named(disk, path, &flags, &made->file) : sd_open_nameless(disk, &made->file);
  if (result) return SQLITE_CANTOPEN;
  made->path = path;
  made->syncs_directory = is_journal && creates;
  made->powersafe_overwrite = disk->options.powersafe_overwrite;
  base->pMethods = &sd_io_methods;
  if (given) *given = flags;
  return SQLITE_OK;
}

void sd_cut_to_directory(char *normal) {
  char *slash = strrchr(normal, '/');
  slash[slash == normal] = 0;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int syncs_directory) {
  int result = sd_unlink(disk_of(vfs), path);
  if (result) return result == -ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
  char directory[SD_PATH_BYTES_MAX];
  if (!(syncs_directory & 1) || sd_normal_path(path, directory)) return SQLITE_OK;
  sd_cut_to_directory(directory);
  return sd_fsync_dir(disk_of(vfs), directory) ? SQLITE_IOERR_DIR_FSYNC : SQLITE_OK;
}

/// As on Unix an empty file is not there where SQLite asks whether one exists.
static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *answer) {
  *answer = sd_exists(disk_of(vfs), path);
  if (flags == SQLITE_ACCESS_EXISTS && *answer) *answer = sd_peek_bytes(disk_of(vfs), path, false) > 0;
  return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int capacity, char *full) {
  (void)vfs;
  char normal[SD_PATH_BYTES_MAX];
  if (sd_normal_path(path, normal) || (int)strlen(normal) >= capacity) return SQLITE_CANTOPEN;
  strcpy(full, normal);
  return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int count, char *bytes) {
  for (int i = 0; i < count; i++) bytes[i] = (char)sd_random(&disk_of(vfs)->sqlite_random);
  return count;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) {
  disk_of(vfs)->clock_us += microseconds;
  return microseconds;
}

/// Milliseconds of the Julian day.
static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *now) {
  *now = disk_of(vfs)->clock_us / 1000 + INT64_C(210866760000000);
  return SQLITE_OK;
}

static int vfs_days(sqlite3_vfs *vfs, double *now) {
  sqlite3_int64 milliseconds;
  vfs_time(vfs, &milliseconds);
  *now = (double)milliseconds / 86400000.0;
  return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int capacity, char *text) {
  (void)capacity;
  (void)text;
  return disk_of(vfs)->last_error;
}

int sd_register_vfs(sd_disk *disk, const char *name, bool as_default) {
  if (disk->vfs || sqlite3_vfs_find(name)) return -EEXIST;
  char *copy = sd_allocate(strlen(name) + 1);
  strcpy(copy, name);
  sqlite3_vfs *vfs = sd_allocate(sizeof *vfs);
  *vfs = (sqlite3_vfs){
      .iVersion = 2,
      .szOsFile = sizeof(sd_vfs_file),
      .mxPathname = SD_PATH_BYTES_MAX,
      .zName = copy,
      .pAppData = disk,
      .xOpen = vfs_open,
      .xDelete = vfs_delete,
      .xAccess = vfs_access,
      .xFullPathname = vfs_full_path,
      .xRandomness = vfs_randomness,
      .xSleep = vfs_sleep,
      .xCurrentTime = vfs_days,
      .xGetLastError = vfs_last_error,
      .xCurrentTimeInt64 = vfs_time,
  };
  disk->vfs = vfs;
  return sqlite3_vfs_register(vfs, as_default) == SQLITE_OK ? 0 : -ENOMEM;
}

void sd_unregister_vfs(sd_disk *disk) {
  if (!disk->vfs) return;
  sqlite3_vfs_unregister(disk->vfs);
  free((char *)disk->vfs->zName);
  free(disk->vfs);
  disk->vfs = NULL;
}

int sd_seed_sqlite(sd_disk *disk) {
  if (!disk->vfs) return -EINVAL;
  // The generator takes its seed from the default VFS, at the first byte after it was set back.
  sqlite3_vfs *usual = sqlite3_vfs_find(NULL);
  char byte;
  sqlite3_vfs_register(disk->vfs, 1);
  sqlite3_randomness(0, NULL);
  sqlite3_randomness(1, &byte);
  if (usual && usual != disk->vfs) sqlite3_vfs_register(usual, 1);
  return 0;
}
