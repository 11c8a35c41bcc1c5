// What the parts of the simulated disk share.
#pragma once
#include "simulated_disk.h"

struct sqlite3_vfs;

enum {
  SD_PATH_BYTES_MAX = 512,
  SD_TEAR_BYTES = 512,
  SD_BLOCK_BYTES = 4096,
  SD_INODES_MAX = 4096,
  SD_HANDLES_MAX = 1024,
  SD_ENTRY_CHANGES_MAX = 1024,
};

/// What is traced beside the kinds of calls in the public header.
enum {
  SD_TRACE_SIZE = 300,
  SD_TRACE_FLOCK,
  SD_TRACE_EXISTS,
  SD_TRACE_CRASH,
  SD_TRACE_LOCK,
  SD_TRACE_SHM_MAP,
  SD_TRACE_SHM_LOCK,
};

typedef struct sd_image {
  uint8_t *start;
  uint64_t count, capacity;
} sd_image;

/// A write or a truncation that was not synced.
typedef struct sd_change {
  struct sd_change *next;
  /// Where the bytes go, or the new length.
  uint64_t offset;
  uint64_t count;
  bool is_truncation;
  uint8_t bytes[];
} sd_change;

/// Shared memory of the connections to one database. Outlives its inode where dead connections hold it.
typedef struct sd_shm {
  uint8_t **regions;
  int region_count, region_bytes;
  int holders;
  struct sd_disk *disk;
  struct sd_shm_handle *handles;
} sd_shm;

typedef struct sd_inode {
  struct sd_inode *next;
  uint64_t id;
  /// What readers see, and what is durable.
  sd_image now, synced;
  sd_change *first, *last;
  uint64_t pending_bytes;
  /// Names now and open handles: it takes space while there are any.
  int users;
  /// Users, durable names and directory changes: it is freed with the last.
  int holders;
  sd_shm *shm;
} sd_inode;

/// A name that is there, is durable or is changing.
typedef struct sd_entry {
  struct sd_entry *next;
  sd_inode *now, *synced;
  int changes;
  char path[];
} sd_entry;

/// A change of a directory that was not synced: `entry` becomes `inode`, and `source` goes.
typedef struct sd_entry_change {
  struct sd_entry_change *next;
  sd_entry *entry, *source;
  sd_inode *inode;
} sd_entry_change;

struct sd_file {
  sd_file *next;
  sd_disk *disk;
  /// NULL: a crash has killed the handle.
  sd_inode *inode;
  bool is_writable, holds_flock;
  /// SQLite's lock of the database file: SQLITE_LOCK_NONE to SQLITE_LOCK_EXCLUSIVE.
  int lock;
};

struct sd_disk {
  sd_options options;
  sd_faults faults;
  sd_sync_failure sync_failure;
  uint32_t script_calls;
  uint64_t script_after;
  int script_error;
  bool script_lasts;
  uint64_t crash_after;
  sd_crash_mode crash_mode;
  bool crash_is_due, is_off;
  /// One generator for each use, so that one does not shift another.
  uint64_t fault_random, crash_random, sqlite_random;
  int64_t clock_us;
  uint64_t trace;
  sd_counts counts;
  uint64_t next_id, pending_bytes, shm_bytes;
  int inode_count, file_count, entry_change_count;
  sd_inode *inodes;
  sd_entry *entries;
  sd_entry_change *entry_changes;
  sd_file *files;
  struct sqlite3_vfs *vfs;
  int last_error;
};

// disk.c
void *sd_allocate(size_t bytes);
uint64_t sd_random(uint64_t *state);
/// Whether a fault of this rate comes now; draws nothing where the rate is 0.
bool sd_strikes(uint64_t *state, uint32_t per_million);
uint32_t sd_crc(uint32_t crc, const void *bytes, size_t count);
/// Adds one call to the trace.
void sd_note(sd_disk *disk, int call, uint64_t id, uint64_t offset, uint64_t count, int64_t result,
             uint32_t crc);

// inode.c
sd_inode *sd_make_inode(sd_disk *disk);
void sd_hold(sd_inode *inode, bool as_user);
void sd_let_go(sd_disk *disk, sd_inode *inode, bool as_user);
void sd_image_write(sd_image *image, uint64_t offset, const void *bytes, uint64_t count);
void sd_image_truncate(sd_image *image, uint64_t count);
void sd_image_copy(sd_image *to, const sd_image *from);
/// Changes what readers see and remembers the change.
void sd_change_bytes(sd_disk *disk, sd_inode *inode, uint64_t offset, const void *bytes, uint64_t count);
void sd_change_count(sd_disk *disk, sd_inode *inode, uint64_t count);
void sd_apply(sd_image *image, const sd_change *change);
/// Takes the oldest change out of the list; the caller frees it.
sd_change *sd_take_change(sd_disk *disk, sd_inode *inode);
void sd_sync_inode(sd_disk *disk, sd_inode *inode);
/// What a sync that failed leaves.
void sd_fail_sync(sd_disk *disk, sd_inode *inode);
/// The length that the file can grow to with what room there is.
uint64_t sd_room(const sd_disk *disk, const sd_inode *inode);

// entries.c
/// Absolute, without empty, `.` and `..` parts. 0, -ENOENT or -ENAMETOOLONG.
int sd_normal_path(const char *path, char normal[SD_PATH_BYTES_MAX]);
sd_entry *sd_find(const sd_disk *disk, const char *normal);
void sd_set_entry(sd_disk *disk, const char *normal, sd_inode *inode, sd_entry *source);
void sd_sync_entries(sd_disk *disk, const char *normal_directory);
/// Takes the oldest change; the caller settles it with `sd_settle_entry`.
sd_entry_change *sd_take_entry_change(sd_disk *disk);
/// Makes a change durable or forgets it, and frees it.
void sd_settle_entry(sd_disk *disk, sd_entry_change *change, bool is_kept);
void sd_set_now(sd_disk *disk, sd_entry *entry, sd_inode *inode);
void sd_drop_entries(sd_disk *disk);

// calls.c
/// Opens a file without a name, gone when it is closed.
int sd_open_nameless(sd_disk *disk, sd_file **file);
/// Ends every call: traces it and lets a crash come that is due.
int64_t sd_finish(sd_disk *disk, int call, uint64_t id, uint64_t offset, uint64_t count, int64_t result,
                  uint32_t crc);

// vfs.c, vfs_shm.c
void sd_unregister_vfs(sd_disk *disk);
/// A crash: whoever opens the database next gets new shared memory.
void sd_detach_shm(sd_inode *inode);
