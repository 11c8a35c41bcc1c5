// SQLite on the simulated disk and on the real one, statement by statement.
#include "disk_test.h"

#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 3, STATEMENTS = 4000 };

typedef struct side {
  sqlite3 *connections[CONNECTIONS];
} side;

/// What a statement gives: its rows and its result code, as one number.
static uint64_t digest(sqlite3 *database, const char *sql, const void *blob, int bytes) {
  sqlite3_stmt *statement = NULL;
  int result = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
  uint64_t hash = 1;
  if (result == SQLITE_OK) {
    sqlite3_bind_blob(statement, 1, blob, bytes, SQLITE_STATIC);
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
      for (int column = 0; column < sqlite3_column_count(statement); column++) {
        const unsigned char *at = sqlite3_column_blob(statement, column);
        int count = sqlite3_column_bytes(statement, column);
        hash += (uint64_t)sqlite3_column_type(statement, column);
        for (int i = 0; i < count; i++) hash = (hash ^ at[i]) * 0x100000001b3u;
        draw(&hash);
      }
    }
  }
  sqlite3_finalize(statement);
  return draw(&hash) ^ (uint64_t)result ^ (uint64_t)sqlite3_total_changes(database) << 32;
}

static void random_statement(uint64_t *random, int *connection, char sql[300]) {
  static const char *const writes[] = {
      "INSERT OR REPLACE INTO a VALUES(%llu, %llu, ?1)", "INSERT OR REPLACE INTO a VALUES(%llu, %llu, ?1)",
      "INSERT OR IGNORE INTO b VALUES(%llu, %llu)", "UPDATE a SET n = n + %2$llu WHERE k = %1$llu",
      "UPDATE a SET v = ?1 WHERE k BETWEEN %1$llu AND %1$llu + 3", "DELETE FROM a WHERE k = %llu",
      "DELETE FROM b WHERE k > %llu AND n < %llu", "BEGIN", "BEGIN IMMEDIATE", "COMMIT", "COMMIT", "ROLLBACK",
      "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s"};
  static const char *const reads[] = {
      "SELECT count(*), sum(n), sum(length(v)) FROM a", "SELECT * FROM a WHERE k = %llu",
      "SELECT k, n FROM a ORDER BY n, k LIMIT 20", "SELECT a.k, b.n FROM a JOIN b USING(k) ORDER BY 1, 2",
      "SELECT v FROM a WHERE n > %llu ORDER BY k", "BEGIN", "COMMIT", "PRAGMA page_count",
      "SELECT name, sql FROM sqlite_schema ORDER BY name", "SELECT date('now'), typeof(random())"};
  static const char *const rare[] = {
      "CREATE INDEX IF NOT EXISTS i ON a(n, v)", "DROP INDEX IF EXISTS i", "VACUUM", "PRAGMA integrity_check",
      "PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint(RESTART)",
      "CREATE TEMP TABLE IF NOT EXISTS t AS SELECT * FROM a", "DROP TABLE IF EXISTS temp.t"};
  uint64_t kind = below(random, 100), key = below(random, 200), n = below(random, 50);
  const char *format;
  *connection = kind < 55 || kind >= 96 ? 0 : 1 + (int)below(random, CONNECTIONS - 1);
  if (kind < 55) format = writes[below(random, sizeof writes / sizeof *writes)];
  else if (kind < 96) format = reads[below(random, sizeof reads / sizeof *reads)];
  else format = rare[below(random, sizeof rare / sizeof *rare)];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  snprintf(sql, 300, format, (unsigned long long)key, (unsigned long long)n);
#pragma GCC diagnostic pop
}

static void prepare(side *side, const char *path, const char *vfs, const char *journal) {
  for (int i = 0; i < CONNECTIONS; i++) {
    side->connections[i] = opened(path, vfs);
    if (!EXPECT(side->connections[i] != NULL)) exit(1);
    char sql[300];
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode = %s; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 40;"
             "PRAGMA cache_size = 20; PRAGMA busy_timeout = 5;"
             "CREATE TABLE IF NOT EXISTS a(k INTEGER PRIMARY KEY, n, v);"
             "CREATE TABLE IF NOT EXISTS b(k, n, PRIMARY KEY(k, n)) WITHOUT ROWID", journal);
    EXPECT(run(side->connections[i], sql) == SQLITE_OK);
  }
}

static bool same_bytes(sd_disk *disk, const char *path) {
  int64_t count = sd_peek_bytes(disk, "/test.db", true);
  char *ours = malloc((size_t)count + 1), *theirs = malloc((size_t)count + 1);
  FILE *file = fopen(path, "rb");
  bool same = file && fread(theirs, 1, (size_t)count + 1, file) == (size_t)count
              && sd_peek(disk, "/test.db", true, ours, (size_t)count, 0) == count
              && !memcmp(ours, theirs, (size_t)count);
  if (file) fclose(file);
  free(ours);
  free(theirs);
  return same;
}

static int compare(const char *journal, uint64_t seed) {
  char directory[] = "/tmp/disk-test-XXXXXX", path[64];
  if (!mkdtemp(directory)) exit(1);
  snprintf(path, sizeof path, "%s/test.db", directory);
  sd_disk *disk = new_disk(seed);
  // The clocks agree to the day, which is all that is asked of them.
  sd_set_clock(disk, (int64_t)time(NULL) * 1000000);
  EXPECT(sd_register_vfs(disk, "simulated", false) == 0);
  side real, simulated;
  prepare(&real, path, "unix", journal);
  prepare(&simulated, "/test.db", "simulated", journal);
  uint64_t random = seed;
  int busy = 0;
  for (int i = 0; i < STATEMENTS; i++) {
    char sql[300];
    int connection;
    random_statement(&random, &connection, sql);
    unsigned char blob[6000];
    int bytes = (int)below(&random, below(&random, 4) ? 300 : sizeof blob);
    for (int at = 0; at < bytes; at += 1) blob[at] = (unsigned char)draw(&random);
    uint64_t wanted = digest(real.connections[connection], sql, blob, bytes);
    uint64_t got = digest(simulated.connections[connection], sql, blob, bytes);
    busy += sqlite3_errcode(simulated.connections[connection]) == SQLITE_BUSY;
    if (!EXPECT(wanted == got)) {
      fprintf(stderr, "  statement %d of seed %llu: %s\n", i, (unsigned long long)seed, sql);
    }
  }
  EXPECT(is_intact(simulated.connections[0]) || !sqlite3_get_autocommit(simulated.connections[0]));
  for (int i = CONNECTIONS - 1; i >= 0; i--) {
    EXPECT(sqlite3_close(real.connections[i]) == SQLITE_OK);
    EXPECT(sqlite3_close(simulated.connections[i]) == SQLITE_OK);
  }
  EXPECT(!sd_exists(disk, "/test.db-wal"));
  EXPECT(same_bytes(disk, path));
  const char *const suffixes[] = {"", "-journal"};
  for (int i = 0; i < 2; i++) {
    char name[80];
    snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
    unlink(name);
  }
  EXPECT(rmdir(directory) == 0);
  end_disk(disk);
  return busy;
}

static void gives_what_the_real_disk_gives(void) {
  static const char *const journals[] = {"WAL", "WAL", "DELETE", "TRUNCATE", "PERSIST"};
  int busy = 0;
  for (uint64_t i = 0; i < 5; i++) busy += compare(journals[i], test_seed + i);
  EXPECT(busy > 10);
  figures("5 runs of %d statements, %d refused as busy, files equal", STATEMENTS, busy);
}

static void settings_are_told(void) {
  for (int powersafe = 0; powersafe < 2; powersafe++) {
    sd_options options = sd_default_options();
    options.sector_bytes = powersafe ? 4096 : 512;
    options.powersafe_overwrite = powersafe;
    sd_disk *disk = sd_create(&options);
    EXPECT(sd_register_vfs(disk, "simulated", true) == 0);
    EXPECT(sd_register_vfs(disk, "simulated", true) == -EEXIST);
    sqlite3 *database = opened("file", NULL);
    int bit = -1, moved = -1;
    sqlite3_int64 mapped = -1;
    EXPECT(sqlite3_file_control(database, NULL, SQLITE_FCNTL_POWERSAFE_OVERWRITE, &bit) == SQLITE_OK);
    EXPECT(bit == powersafe);
    EXPECT(sqlite3_file_control(database, NULL, SQLITE_FCNTL_MMAP_SIZE, &mapped) == SQLITE_OK && mapped == 0);
    run(database, "PRAGMA journal_mode = WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    EXPECT(sqlite3_file_control(database, NULL, SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && !moved);
    // Without the promise SQLite fills the log up to the next sector, so that nothing there is written twice.
    int64_t frames = (sd_peek_bytes(disk, "/file-wal", false) - 32) / 4120;
    EXPECT(powersafe ? frames == 3 : frames > 3);
    sd_set_clock(disk, 1000000 * INT64_C(86400));
    EXPECT(number(database, "SELECT strftime('%s', 'now')") == 86400);
    EXPECT(sd_destroy(disk) == -EBUSY);
    EXPECT(sqlite3_close(database) == SQLITE_OK);
    end_disk(disk);
  }
}

void test_sqlite(void) {
  test("gives what the real disk gives", gives_what_the_real_disk_gives);
  test("settings are told", settings_are_told);
}
