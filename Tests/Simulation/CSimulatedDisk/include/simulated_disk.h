// A disk in memory for simulations: files, a SQLite VFS over them, faults by a seed, and crashes that lose
// what was not synced.
//
// What it models is Linux with a file system that promises what POSIX does and no more:
//   - a write is seen by every reader at once, and is durable after a sync of its file;
//   - a name made, changed or removed is durable after a sync of its directory;
//   - a crash keeps any part of what was not synced.
// A file has a synced image and the list of changes since; a crash chooses among the changes.
//
// Deterministic: one seed and the same calls give the same results, errors and trace. No clock, no thread
// and no generator of the process is used. One thread at a time may use a disk and what stems from it.
// Memory is bounded by the capacity and by `pending_bytes_max`; without memory the process aborts.
// Calls give 0 or a count, or -errno.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#define SD_CLOSED __attribute__((enum_extensibility(closed)))
#define SD_NAME(name) __attribute__((swift_name(#name)))
#else
#define SD_CLOSED
#define SD_NAME(name)
#endif

/// A disk. Owns its files, its open handles and its VFS.
typedef struct sd_disk sd_disk;
/// An open file. Dies with a crash; must be closed even then.
typedef struct sd_file sd_file;

/// What a crash leaves of the changes that were not synced. The choice is drawn from the seed.
typedef enum SD_CLOSED sd_crash_mode {
  /// Power failure: nothing is left.
  SD_CRASH_KEEPS_NONE SD_NAME(keepsNone) = 0,
  /// Power failure after everything had been written by chance.
  SD_CRASH_KEEPS_ALL SD_NAME(keepsAll) = 1,
  /// Power failure: each write, truncation and directory change is left with probability 1/2, in order.
  SD_CRASH_KEEPS_SOME SD_NAME(keepsSome) = 2,
  /// The same for each 512-byte sector of each write.
  SD_CRASH_TEARS SD_NAME(tears) = 3,
  /// The process ends and the machine lives: everything is left, and what was not synced still isn't.
  SD_CRASH_PROCESS SD_NAME(process) = 4,
} sd_crash_mode;

/// What a sync that fails does to the changes it should have made durable.
typedef enum SD_CLOSED sd_sync_failure {
  /// They stay to be synced by a later one.
  SD_SYNC_FAILURE_KEEPS SD_NAME(keeps) = 0,
  /// As Linux does: half of them reach the disk, the others count as clean. They are read as before until
  /// a crash, and a later sync succeeds without them.
  SD_SYNC_FAILURE_FORGETS SD_NAME(forgets) = 1,
  /// The same, and the others are gone from the cache too: reads give what the disk has.
  SD_SYNC_FAILURE_REVERTS SD_NAME(reverts) = 2,
} sd_sync_failure;

/// The settings of a disk that stay.
typedef struct sd_options {
  /// Decides every fault, every crash and the random bytes that SQLite is given.
  uint64_t seed;
  /// Files may take so much, in blocks of 4,096 bytes; shared memory of SQLite counts too.
  uint64_t capacity_bytes;
  /// Changes that are not synced are kept up to so many bytes; beyond, the oldest of the file are written
  /// to the disk, as a kernel does. Also bounds memory.
  uint64_t pending_bytes_max;
  /// The clock at the beginning: microseconds since 1970.
  int64_t clock_us;
  /// What SQLite is told, and what is lost whole where `neighbour_damage` strikes: 512 or 4,096.
  uint32_t sector_bytes;
  /// Whether SQLite is told that a write which is cut off leaves the bytes beside it alone
  /// (SQLITE_IOCAP_POWERSAFE_OVERWRITE). True is what SQLite assumes on Unix, so what the store runs with.
  bool powersafe_overwrite;
} sd_options;

/// Seed 1, 64 MiB, 16 MiB of pending changes, sectors of 4,096 bytes, powersafe overwrite, and a clock that
/// begins at 2024-01-01.
sd_options sd_default_options(void);

/// How often faults come: chances in a million for each call they can strike. 0 is never.
typedef struct sd_faults {
  uint32_t open_error;
  uint32_t read_error;
  /// A prefix of whole sectors may have been written all the same.
  uint32_t write_error;
  /// Of files and of directories; see `sd_set_sync_failure`.
  uint32_t sync_error;
  /// Fewer bytes than asked for, at least 1.
  uint32_t short_read;
  uint32_t short_write;
  /// ENOSPC for a write that fits; nothing is written.
  uint32_t no_space;
  /// The sync is counted and moves the clock by `sync_delay_us`.
  uint32_t sync_delay;
  uint32_t sync_delay_us;
  /// The sync reports success and does nothing: a disk that lies.
  uint32_t sync_lie;
  /// One bit of what is read is wrong this time.
  uint32_t read_flip;
  /// After a sync one bit of the file is wrong for good.
  uint32_t rest_flip;
  /// In a crash that keeps some or tears: a write that covers a sector in part loses the sector whole, with
  /// what was synced in it. Leave 0 where `powersafe_overwrite` is told, unless the disk is to lie.
  uint32_t neighbour_damage;
} sd_faults;

/// What was done so far. Only `sd_reset_counts` sets it back.
typedef struct sd_counts {
  uint64_t opens, reads, writes, truncations, syncs, directory_syncs, renames, unlinks;
  uint64_t bytes_read, bytes_written;
  /// Calls that change or sync something: the points where `sd_crash_after` can strike.
  uint64_t changes;
  uint64_t open_errors, read_errors, write_errors, sync_errors, scripted_errors;
  uint64_t short_reads, short_writes, no_space, sync_delays, sync_lies, read_flips, rest_flips;
  /// Changes that went to the disk unasked, because there were too many.
  uint64_t written_back;
  uint64_t crashes, changes_kept, changes_lost, changes_torn, entries_kept, entries_lost, sectors_damaged;
} sd_counts;

/// Kinds of calls, for `sd_fail_after`; a set of them is the sum.
enum {
  SD_CALL_OPEN = 1,
  SD_CALL_READ = 2,
  SD_CALL_WRITE = 4,
  SD_CALL_TRUNCATE = 8,
  SD_CALL_SYNC = 16,
  SD_CALL_SYNC_DIRECTORY = 32,
  SD_CALL_RENAME = 64,
  SD_CALL_UNLINK = 128,
  SD_CALL_ANY = 255,
};

// MARK: The disk

/// Makes an empty disk. NULL where an option is out of range.
sd_disk *sd_create(const sd_options *options);
/// Frees a disk and takes its VFS from SQLite. -EBUSY, and nothing done, while a handle is open or a
/// connection is.
int sd_destroy(sd_disk *disk);
/// A disk with the same files, pending changes and clock, and with a seed, trace and counts of its own: for
/// several crashes from one point, or for a backup. Has no handles, no VFS and no faults.
sd_disk *sd_copy(const sd_disk *disk, uint64_t seed);

/// Sets the rates of all faults from now on. A disk begins with none.
void sd_set_faults(sd_disk *disk, const sd_faults *faults);
/// Rates 0, no scripted failure and no planned crash from now on. Damage done stays.
void sd_heal(sd_disk *disk);
/// A disk begins with `SD_SYNC_FAILURE_KEEPS`.
void sd_set_sync_failure(sd_disk *disk, sd_sync_failure failure);
/// May be below what is used: files then can't grow.
void sd_set_capacity(sd_disk *disk, uint64_t bytes);
/// What of the capacity is used.
uint64_t sd_used_bytes(const sd_disk *disk);
/// The `nth` call from now on of these kinds fails with `error`, a positive errno; 1 is the next. With
/// `for_ever` every one after it does too, until `sd_heal`. 0 takes it back.
void sd_fail_after(sd_disk *disk, uint32_t calls, uint64_t nth, int error, bool for_ever);

/// The clock: microseconds since 1970. Moves only by `sd_set_clock`, by SQLite's waits and by delays.
int64_t sd_clock(const sd_disk *disk);
void sd_set_clock(sd_disk *disk, int64_t unix_us);

sd_counts sd_get_counts(const sd_disk *disk);
void sd_reset_counts(sd_disk *disk);
/// A hash over every call so far: what, on which file, where, how much, with what result and which data.
uint64_t sd_trace(const sd_disk *disk);

// MARK: Crashes

/// Crashes now. Open handles and connections are dead: each call on them fails, and all that may be done
/// with them is to close them, which changes nothing. The disk can be used again at once.
void sd_crash(sd_disk *disk, sd_crash_mode mode);
/// Crashes at the `nth` call from now that changes or syncs something; 1 is the next, 0 takes it back. A
/// write of that call counts among those not synced, a sync has not happened; the caller sees -EIO. The
/// disk is off then: every call fails until `sd_power_on`.
void sd_crash_after(sd_disk *disk, uint64_t nth, sd_crash_mode mode);
/// Whether a planned crash has come.
bool sd_is_off(const sd_disk *disk);
void sd_power_on(sd_disk *disk);
/// Handles that a crash killed and nobody has closed yet, those of connections included.
int sd_dead_handles(const sd_disk *disk);

// MARK: SQLite

/// Registers the disk with SQLite under `name`, which no other VFS may have; once for a disk. With
/// `as_default` it serves connections that name no VFS. It stays registered through crashes.
int sd_register_vfs(sd_disk *disk, const char *name, bool as_default);
/// Has SQLite's generator, one for the process, begin anew from the disk's seed. Without it the salts of
/// write-ahead logs differ from run to run, and traces with them. Call it once, before the first connection.
int sd_seed_sqlite(sd_disk *disk);

// MARK: Files

enum {
  SD_OPEN_READ = 0,
  SD_OPEN_WRITE = 1,
  SD_OPEN_CREATE = 2,
  SD_OPEN_EXCLUSIVE = 4,
  SD_OPEN_TRUNCATE = 8,
};

/// Opens `path`: at most 511 bytes, from the root if relative. Directories are there without being made.
int sd_open(sd_disk *disk, const char *path, uint32_t flags, sd_file **file);
/// Closes and frees a handle, a dead one too.
void sd_close(sd_file *file);
/// Fewer bytes than asked for at the end of the file, or where `short_read` strikes.
int64_t sd_pread(sd_file *file, void *bytes, size_t count, int64_t offset);
/// Fewer bytes than given where the disk fills up or `short_write` strikes; -ENOSPC where none fit.
int64_t sd_pwrite(sd_file *file, const void *bytes, size_t count, int64_t offset);
int sd_ftruncate(sd_file *file, int64_t count);
/// Makes writes and the length of a file durable; not its name.
int sd_fdatasync(sd_file *file);
int64_t sd_file_bytes(sd_file *file);
/// An exclusive lock of the whole file, held by the handle; -EWOULDBLOCK where another handle has it. Has
/// nothing to do with SQLite's locks.
int sd_flock(sd_file *file);
void sd_funlock(sd_file *file);

/// Makes the names in one directory durable.
int sd_fsync_dir(sd_disk *disk, const char *path);
/// Puts `from` in place of `to`. Durable with the directory of `to`.
int sd_rename(sd_disk *disk, const char *from, const char *to);
int sd_unlink(sd_disk *disk, const char *path);
/// 1 or 0.
int sd_exists(sd_disk *disk, const char *path);

// MARK: For whoever judges; not traced, not counted, never failing by a fault

/// Copies the path of file `index` in order of creation; -ENOENT past the last, -ERANGE where it doesn't fit.
int sd_path_at(const sd_disk *disk, int index, char *path, size_t capacity);
/// Reads a file as readers see it, or as a crash that keeps nothing would leave it.
int64_t sd_peek(const sd_disk *disk, const char *path, bool durable, void *bytes, size_t count,
                int64_t offset);
int64_t sd_peek_bytes(const sd_disk *disk, const char *path, bool durable);
/// Flips one bit of a file for good; `bit` counts from the first byte's lowest. -ERANGE past the end.
int sd_flip_bit(sd_disk *disk, const char *path, uint64_t bit);
