// Errors under SQLite: at every single call, at random, and on a disk that is full.
#include "disk_test.h"

enum { COMMITS = 40 };

static int commit(sqlite3 *database, int row) {
  char sql[100];
  snprintf(sql, sizeof sql, "INSERT INTO t VALUES(%d, zeroblob(%d))", row, 100 + row * 37 % 2000);
  return run(database, sql);
}

static sqlite3 *prepared(void) {
  sqlite3 *database = opened("/d/test.db", "simulated");
  int result = !database ? SQLITE_CANTOPEN
                         : run(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                         "PRAGMA wal_autocheckpoint = 12; PRAGMA cache_size = 10;"
                                         "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, body)");
  if (result == SQLITE_OK) return database;
  sqlite3_close(database);
  return NULL;
}

/// Whether every row of which a commit was told is there, and the database whole.
static bool has_all(const bool told[COMMITS], int *unknown) {
  sqlite3 *database = prepared();
  bool answer = database && is_intact(database);
  for (int row = 0; answer && row < COMMITS; row++) {
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM t WHERE id = %d AND length(body) = %d", row,
             100 + row * 37 % 2000);
    bool is_there = number(database, sql) == 1;
    if (told[row] && !is_there) answer = false;
    *unknown += !told[row] && is_there;
  }
  sqlite3_close(database);
  return answer;
}

static sd_disk *disk_with_vfs(uint64_t seed) {
  sd_disk *disk = new_disk(seed);
  EXPECT(sd_register_vfs(disk, "simulated", false) == 0 && sd_seed_sqlite(disk) == 0);
  return disk;
}

typedef struct sweep {
  uint32_t calls;
  int error;
  bool for_ever, fails_stop;
  sd_sync_failure failure;
} sweep;

/// One run with the `nth` call failing; false once there is no such call.
static bool fail_at(const sweep *sweep, uint64_t nth, int *refused, int *unknown) {
  sd_disk *disk = disk_with_vfs(test_seed + nth);
  sd_set_sync_failure(disk, sweep->failure);
  bool told[COMMITS] = {false};
  sd_fail_after(disk, sweep->calls, nth, sweep->error, sweep->for_ever);
  sqlite3 *database = prepared();
  for (int row = 0; row < COMMITS; row++) {
    // A failed opening is tried again, as its caller would.
    if (!database) database = prepared();
    if (!database) continue;
    told[row] = commit(database, row) == SQLITE_OK;
    *refused += !told[row];
    if (!told[row] && sweep->fails_stop) break;
  }
  bool has_failed = sd_get_counts(disk).scripted_errors > 0;
  sd_heal(disk);
  if (!sweep->fails_stop && !sweep->for_ever && database && commit(database, COMMITS) != SQLITE_OK) {
    // A connection that could not write may go on only after it was opened anew.
    sqlite3_close(database);
    database = prepared();
    EXPECT(database && commit(database, COMMITS) == SQLITE_OK);
  }
  if (sweep->fails_stop) sd_crash(disk, SD_CRASH_KEEPS_NONE);
  sqlite3_close(database);
  EXPECT(has_all(told, unknown));
  sd_crash(disk, SD_CRASH_KEEPS_NONE);
  EXPECT(has_all(told, unknown));
  end_disk(disk);
  return has_failed;
}

static void sweeps(const sweep *sweep) {
  uint64_t nth = 1;
  int refused = 0, unknown = 0;
  while (fail_at(sweep, nth, &refused, &unknown)) nth++;
  EXPECT(nth > 20 && refused > 0);
  figures("%llu failing calls, %d commits refused, %d of them there afterwards", (unsigned long long)nth - 1,
          refused, unknown / 2);
}

enum {
  WRITING = SD_CALL_WRITE | SD_CALL_TRUNCATE,
  ANY_BUT_SYNCS = SD_CALL_ANY & ~(SD_CALL_SYNC | SD_CALL_SYNC_DIRECTORY),
};

static void each_call_fails_once(void) {
  sweeps(&(sweep){ANY_BUT_SYNCS, EIO, false, false, SD_SYNC_FAILURE_KEEPS});
}
/// SQLite does not tell of a directory that can't be synced: the log's name goes with the power, and what was
/// told to be committed with it.
static void a_directory_that_fails_is_not_told(void) {
  sd_disk *disk = disk_with_vfs(test_seed);
  sd_fail_after(disk, SD_CALL_SYNC_DIRECTORY, 1, EIO, true);
  sqlite3 *database = prepared();
  for (int row = 0; row < 5; row++) EXPECT(commit(database, row) == SQLITE_OK);
  EXPECT(sd_get_counts(disk).scripted_errors > 0);
  sd_heal(disk);
  sd_crash(disk, SD_CRASH_KEEPS_NONE);
  sqlite3_close(database);
  database = prepared();
  EXPECT(number(database, "SELECT count(*) FROM t") == 0);
  sqlite3_close(database);
  end_disk(disk);
}
static void each_sync_fails_once(void) {
  sweeps(&(sweep){SD_CALL_SYNC, EIO, false, true, SD_SYNC_FAILURE_FORGETS});
}
static void each_call_fails_for_ever(void) {
  sweeps(&(sweep){SD_CALL_ANY, EIO, true, true, SD_SYNC_FAILURE_FORGETS});
}
static void each_write_finds_no_space(void) {
  sweeps(&(sweep){WRITING, ENOSPC, false, false, SD_SYNC_FAILURE_KEEPS});
}

/// What goes on after a failed sync loses what it was told of: the next sync succeeds without it.
static void going_on_after_a_failed_sync_loses(void) {
  int losses[3] = {0}, runs = 0, unknown = 0;
  for (uint64_t nth = 1; nth < 40; nth++, runs++) {
    for (int failure = SD_SYNC_FAILURE_KEEPS; failure <= SD_SYNC_FAILURE_REVERTS; failure++) {
      sd_disk *disk = disk_with_vfs(test_seed + nth);
      bool told[COMMITS] = {false};
      sqlite3 *database = prepared();
      // With a sync for each checkpoint only, the log is what a failed one forgets.
      run(database, "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 30");
      sd_set_sync_failure(disk, (sd_sync_failure)failure);
      sd_fail_after(disk, SD_CALL_SYNC, 1 + nth % 4, EIO, false);
      for (int row = 0; row < COMMITS; row++) told[row] = commit(database, row) == SQLITE_OK;
      run(database, "PRAGMA wal_checkpoint");
      EXPECT(run(database, "PRAGMA wal_checkpoint") == SQLITE_OK);
      sd_crash(disk, SD_CRASH_KEEPS_NONE);
      sqlite3_close(database);
      losses[failure] += !has_all(told, &unknown);
      end_disk(disk);
    }
  }
  EXPECT(losses[0] == 0 && losses[1] + losses[2] > 0);
  figures("of %d runs each lost rows where a failed sync keeps %d, forgets %d, reverts %d", runs, losses[0],
          losses[1], losses[2]);
}

/// Every capacity from next to nothing: refused while it is full, all there once it isn't.
static void full_disk_heals(void) {
  int refused = 0, unknown = 0, in_memory = 0;
  for (uint64_t blocks = 4; blocks < 60; blocks++) {
    sd_disk *disk = disk_with_vfs(test_seed + blocks);
    bool told[COMMITS] = {false};
    sqlite3 *database = prepared();
    sd_set_capacity(disk, blocks * 4096);
    for (int row = 0; row < COMMITS / 2; row++) {
      int result = commit(database, row);
      told[row] = result == SQLITE_OK;
      refused += !told[row];
      in_memory += result == SQLITE_IOERR_SHMSIZE;
      EXPECT(told[row] || result == SQLITE_FULL || result == SQLITE_IOERR_SHMSIZE);
    }
    sd_set_capacity(disk, 1 << 20);
    for (int row = COMMITS / 2; row < COMMITS; row++) {
      told[row] = commit(database, row) == SQLITE_OK;
      EXPECT(told[row]);
    }
    sd_crash(disk, SD_CRASH_KEEPS_NONE);
    sqlite3_close(database);
    EXPECT(has_all(told, &unknown));
    end_disk(disk);
  }
  EXPECT(refused > 100);
  figures("%d commits refused", refused);
}

static void random_errors_heal(void) {
  int refused = 0, unknown = 0;
  uint64_t given = 0;
  for (uint64_t seed = 0; seed < 200; seed++) {
    sd_disk *disk = disk_with_vfs(test_seed + seed);
    bool told[COMMITS] = {false};
    sd_faults faults = {.write_error = 10000, .sync_error = 10000, .read_error = 10000, .open_error = 10000,
                        .no_space = 10000, .short_read = 100000, .short_write = 100000};
    sqlite3 *database = prepared();
    sd_set_faults(disk, &faults);
    for (int row = 0; row < COMMITS; row++) {
      told[row] = commit(database, row) == SQLITE_OK;
      refused += !told[row];
    }
    sd_heal(disk);
    sd_counts counts = sd_get_counts(disk);
    given += counts.write_errors + counts.sync_errors + counts.read_errors + counts.no_space;
    sd_crash(disk, (sd_crash_mode)(seed % 5));
    sqlite3_close(database);
    EXPECT(has_all(told, &unknown));
    end_disk(disk);
  }
  EXPECT(refused > 100);
  figures("%llu errors given, %d commits refused, %d of them there afterwards", (unsigned long long)given,
          refused, unknown);
}

/// A bit that is wrong in the database is noticed or does not matter; rows are not checked, so only
/// SQLite's own structures are.
static void flips_are_given(void) {
  int noticed = 0;
  for (uint64_t seed = 0; seed < 100; seed++) {
    sd_disk *disk = disk_with_vfs(test_seed + seed);
    sqlite3 *database = prepared();
    for (int row = 0; row < COMMITS; row++) commit(database, row);
    sqlite3_close(database);
    uint64_t random = seed;
    for (int i = 0; i < 20; i++) EXPECT(sd_flip_bit(disk, "/d/test.db", below(&random, 8 * 8192)) == 0);
    database = opened("/d/test.db", "simulated");
    noticed += !is_intact(database) || number(database, "SELECT count(*) FROM t") != COMMITS;
    sqlite3_close(database);
    end_disk(disk);
  }
  EXPECT(noticed > 10);
  figures("noticed %d of 100", noticed);
}

void test_fault_sweeps(void) {
  test("each call fails once", each_call_fails_once);
  test("a directory that fails is not told", a_directory_that_fails_is_not_told);
  test("each sync fails once, the process ends, the power fails", each_sync_fails_once);
  test("going on after a failed sync loses", going_on_after_a_failed_sync_loses);
  test("each call and all after it fail", each_call_fails_for_ever);
  test("each write finds no space", each_write_finds_no_space);
  test("a full disk heals", full_disk_heals);
  test("random errors heal", random_errors_heal);
  test("flips are given", flips_are_given);
}
