// What the parts of the VFS share.
#pragma once
#include "internal.h"

#include <sqlite3.h>

/// One connection's hold of the shared memory of a database.
typedef struct sd_shm_handle {
  struct sd_shm_handle *next;
  sd_shm *shm;
  /// Bits of the eight locks.
  unsigned shared, exclusive;
} sd_shm_handle;

/// What SQLite allocates for an open file.
typedef struct sd_vfs_file {
  sqlite3_file base;
  sd_file *file;
  /// SQLite's own copy, which outlives the file; NULL for one without a name.
  const char *path;
  /// A journal that was just made: its first sync makes its name durable, too.
  bool syncs_directory;
  bool keeps_wal, powersafe_overwrite;
  sd_shm_handle *shm;
} sd_vfs_file;

extern const sqlite3_io_methods sd_io_methods;

bool sd_is_usable(const sd_vfs_file *file);
/// The directory of a normal path, in place.
void sd_cut_to_directory(char *normal);

int sd_shm_map(sqlite3_file *base, int region, int bytes, int extends, void volatile **start);
int sd_shm_lock(sqlite3_file *base, int first, int count, int flags);
void sd_shm_barrier(sqlite3_file *base);
int sd_shm_unmap(sqlite3_file *base, int deletes);
