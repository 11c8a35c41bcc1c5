// Crashes under SQLite: commits of known rows, a crash at a random change in a random mode, and a look at
// what is there. Rows 1, 2, 3 … have bodies that follow from their number.
#include "disk_test.h"

typedef struct setting {
  const char *journal, *synchronous;
  bool promises_powersafe;
  uint32_t sector_bytes;
  sd_faults faults;
  int crashes;
} setting;

typedef struct tally {
  int crashes, losses, damaged, commits;
  int64_t rows_lost;
  sd_counts counts;
  uint64_t trace;
} tally;

typedef struct world {
  sd_disk *disk;
  sqlite3 *writer, *reader;
  uint64_t random;
  /// The last row whose commit was told to have succeeded, and the last that was tried.
  int64_t acknowledged, tried;
} world;

static int body_of(int64_t row, unsigned char body[3000]) {
  uint64_t state = (uint64_t)row;
  int count = 1 + (int)below(&state, row % 5 ? 200 : 3000);
  for (int i = 0; i < count; i++) body[i] = (unsigned char)draw(&state);
  return count;
}

static bool insert(sqlite3 *database, int64_t row) {
  unsigned char body[3000];
  int count = body_of(row, body);
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2(database, "INSERT INTO t VALUES(?1, ?2)", -1, &statement, NULL)) return false;
  sqlite3_bind_int64(statement, 1, row);
  sqlite3_bind_blob(statement, 2, body, count, SQLITE_STATIC);
  sqlite3_step(statement);
  return sqlite3_finalize(statement) == SQLITE_OK;
}

/// How many rows there are, from 1 on without a gap; -1 where something is wrong with them.
static int64_t rows_in(sqlite3 *database) {
  sqlite3_stmt *statement = NULL;
  int64_t found = 0;
  if (sqlite3_prepare_v2(database, "SELECT id, body FROM t ORDER BY id", -1, &statement, NULL)) {
    // There was no commit yet.
    return is_intact(database) ? 0 : -1;
  }
  while (sqlite3_step(statement) == SQLITE_ROW) {
    unsigned char body[3000];
    int count = body_of(++found, body);
    if (sqlite3_column_int64(statement, 0) != found || sqlite3_column_bytes(statement, 1) != count
        || memcmp(sqlite3_column_blob(statement, 1), body, (size_t)count)) {
      sqlite3_finalize(statement);
      return -1;
    }
  }
  return sqlite3_finalize(statement) == SQLITE_OK && is_intact(database) ? found : -1;
}

static void close_both(world *world) {
  sqlite3_close(world->writer);
  sqlite3_close(world->reader);
  world->writer = world->reader = NULL;
}

static bool open_both(world *world, const setting *setting) {
  world->writer = opened("/data/test.db", "simulated");
  if (!world->writer) return false;
  char sql[300];
  snprintf(sql, sizeof sql,
           "PRAGMA journal_mode = %s; PRAGMA synchronous = %s; PRAGMA wal_autocheckpoint = %d;"
           "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, body)",
           setting->journal, setting->synchronous, 5 + (int)below(&world->random, 30));
  if (run(world->writer, sql) != SQLITE_OK) return false;
  // Without a log readers keep the writer out.
  if (strcmp(setting->journal, "WAL")) return true;
  if (below(&world->random, 2)) world->reader = opened("/data/test.db", "simulated");
  return true;
}

/// Commits until the crash comes.
static void commit_rows(world *world, int64_t next, tally *tally) {
  while (!sd_is_off(world->disk)) {
    int count = 1 + (int)below(&world->random, 6);
    bool is_fine = run(world->writer, "BEGIN IMMEDIATE") == SQLITE_OK;
    for (int i = 0; is_fine && i < count; i++) is_fine = insert(world->writer, next + i);
    if (!is_fine) return;
    if (world->tried < next + count - 1) world->tried = next + count - 1;
    if (run(world->writer, "COMMIT") != SQLITE_OK) return;
    next += count;
    tally->commits++;
    world->acknowledged = next - 1;
    if (world->reader) {
      if (below(&world->random, 5) == 0) run(world->reader, "BEGIN");
      EXPECT(number(world->reader, "SELECT max(id) FROM t") <= world->acknowledged);
      if (below(&world->random, 5) == 0) run(world->reader, "COMMIT");
    }
  }
}

/// Judges what a crash left; the row to go on with, or 0 where nothing can be done with the database.
static int64_t judge(world *world, tally *tally) {
  sqlite3 *database = opened("/data/test.db", "simulated");
  int64_t found = database ? rows_in(database) : -1;
  EXPECT(sqlite3_close(database) == SQLITE_OK);
  if (found < 0) {
    tally->damaged++;
    return 0;
  }
  EXPECT(found <= world->tried);
  if (found < world->acknowledged) {
    tally->losses++;
    tally->rows_lost += world->acknowledged - found;
    world->acknowledged = found;
  }
  return found + 1;
}

static sd_disk *disk_for(const setting *setting, uint64_t seed) {
  sd_options options = sd_default_options();
  options.seed = seed;
  options.powersafe_overwrite = setting->promises_powersafe;
  options.sector_bytes = setting->sector_bytes;
  sd_disk *disk = sd_create(&options);
  EXPECT(sd_register_vfs(disk, "simulated", false) == 0 && sd_seed_sqlite(disk) == 0);
  sd_set_faults(disk, &setting->faults);
  return disk;
}

static void add_counts(tally *tally, sd_disk *disk) {
  sd_counts counts = sd_get_counts(disk);
  for (size_t i = 0; i < sizeof counts / sizeof(uint64_t); i++) {
    ((uint64_t *)&tally->counts)[i] += ((uint64_t *)&counts)[i];
  }
  tally->trace = (tally->trace ^ sd_trace(disk)) * 0x100000001b3u;
}

/// A new disk and a run of crashes on it.
static void live(const setting *setting, uint64_t seed, int crashes, tally *tally) {
  world world = {.disk = disk_for(setting, seed), .random = seed};
  int64_t next = 1;
  for (int i = 0; i < crashes && next; i++) {
    sd_crash_mode mode = (sd_crash_mode)below(&world.random, 5);
    bool is_early = below(&world.random, 3) == 0;
    uint64_t nth = 1 + below(&world.random, below(&world.random, 2) ? 12 : 120);
    if (is_early) sd_crash_after(world.disk, nth, mode);
    if (open_both(&world, setting)) {
      if (!is_early) sd_crash_after(world.disk, nth, mode);
      commit_rows(&world, next, tally);
    }
    EXPECT(sd_is_off(world.disk));
    close_both(&world);
    EXPECT(sd_dead_handles(world.disk) == 0);
    sd_power_on(world.disk);
    tally->crashes++;
    next = judge(&world, tally);
  }
  add_counts(tally, world.disk);
  end_disk(world.disk);
}

static tally crashes_with(const setting *setting) {
  tally tally = {0};
  for (uint64_t seed = test_seed; tally.crashes < setting->crashes; seed++) live(setting, seed, 10, &tally);
  figures("%d crashes, %d commits, %d times rows lost (%lld), %d times damaged; "
          "changes kept %llu, torn %llu, lost %llu",
          tally.crashes, tally.commits, tally.losses, (long long)tally.rows_lost, tally.damaged,
          (unsigned long long)tally.counts.changes_kept, (unsigned long long)tally.counts.changes_torn,
          (unsigned long long)tally.counts.changes_lost);
  return tally;
}

static void loses_nothing(setting setting) {
  setting.crashes = test_crashes;
  tally tally = crashes_with(&setting);
  EXPECT(tally.losses == 0 && tally.damaged == 0 && tally.commits > tally.crashes / 2);
}

static void loses(setting setting) {
  setting.crashes = test_crashes / 4 > 100 ? test_crashes / 4 : 100;
  tally tally = crashes_with(&setting);
  EXPECT(tally.losses + tally.damaged > 0);
}

static void full(void) { loses_nothing((setting){"WAL", "FULL", true, 4096, {0}, 0}); }
static void full_unsafe(void) {
  loses_nothing((setting){"WAL", "FULL", false, 512, {.neighbour_damage = 500000}, 0});
}
static void full_unsafe_wide(void) {
  loses_nothing((setting){"WAL", "FULL", false, 4096, {.neighbour_damage = 500000}, 0});
}
static void rollback_extra(void) { loses_nothing((setting){"DELETE", "EXTRA", true, 4096, {0}, 0}); }
static void normal(void) { loses((setting){"WAL", "NORMAL", true, 4096, {0}, 0}); }
static void off(void) { loses((setting){"WAL", "OFF", true, 4096, {0}, 0}); }
static void rollback_full(void) { loses((setting){"DELETE", "FULL", true, 4096, {0}, 0}); }
static void lying_sync(void) { loses((setting){"WAL", "FULL", true, 4096, {.sync_lie = 100000}, 0}); }
static void lying_sector(void) {
  loses((setting){"WAL", "FULL", true, 4096, {.neighbour_damage = 500000}, 0});
}

static void one_seed_is_one_run(void) {
  setting setting = {"WAL", "FULL", true, 4096, {.sync_delay = 100000, .sync_delay_us = 50}, 0};
  tally runs[3] = {0};
  for (int i = 0; i < 3; i++) {
    for (uint64_t seed = 0; seed < 10; seed++) live(&setting, test_seed + seed + (i == 2), 10, &runs[i]);
  }
  EXPECT(!memcmp(&runs[0], &runs[1], sizeof runs[0]));
  EXPECT(runs[0].trace != runs[2].trace);
  figures("traces %016llx %016llx, another seed %016llx", (unsigned long long)runs[0].trace,
          (unsigned long long)runs[1].trace, (unsigned long long)runs[2].trace);
}

/// One workload, stopped after each commit and in each mode on a copy of the disk.
static void copies_crash_from_one_point(void) {
  setting setting = {"WAL", "FULL", true, 4096, {0}, 0};
  world world = {.disk = disk_for(&setting, test_seed), .random = test_seed};
  int images = 0;
  EXPECT(open_both(&world, &setting));
  for (int64_t row = 1; row <= 60; row++) {
    EXPECT(insert(world.writer, row));
    for (int mode = SD_CRASH_KEEPS_NONE; mode <= SD_CRASH_PROCESS; mode++, images++) {
      sd_disk *copy = sd_copy(world.disk, test_seed + (uint64_t)images);
      EXPECT(sd_used_bytes(copy) < sd_used_bytes(world.disk));
      sd_crash(copy, (sd_crash_mode)mode);
      EXPECT(sd_register_vfs(copy, "copy", false) == 0);
      sqlite3 *database = opened("/data/test.db", "copy");
      EXPECT(rows_in(database) == row);
      EXPECT(sqlite3_close(database) == SQLITE_OK);
      end_disk(copy);
    }
  }
  EXPECT(rows_in(world.writer) == 60);
  close_both(&world);
  end_disk(world.disk);
  figures("%d images", images);
}

void test_crash_cycles(void) {
  test("WAL FULL loses nothing", full);
  test("WAL FULL without powersafe overwrite, 512, loses nothing", full_unsafe);
  test("WAL FULL without powersafe overwrite, 4096, loses nothing", full_unsafe_wide);
  test("DELETE EXTRA loses nothing", rollback_extra);
  test("WAL NORMAL loses", normal);
  test("WAL OFF loses", off);
  test("DELETE FULL loses: the journal's name comes back", rollback_full);
  test("WAL FULL on a disk whose syncs lie loses", lying_sync);
  test("WAL FULL on a disk that lies about powersafe overwrite loses", lying_sector);
  test("one seed is one run", one_seed_is_one_run);
  test("copies crash from one point", copies_crash_from_one_point);
}
