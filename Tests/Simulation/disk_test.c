// Tests of the simulated disk: `disk_test [SEED [CRASHES]]`. Ends with `N passed, N failed`.
#include "disk_test.h"

#include <stdarg.h>

uint64_t test_seed = 1;
int test_crashes = 2000;
static int passed, failed, breaches;
static char told[400];

bool expect(bool holds, const char *what, const char *file, int line) {
  if (!holds && breaches++ < 10) fprintf(stderr, "%s:%d: %s\n", file, line, what);
  return holds;
}

void figures(const char *format, ...) {
  va_list rest;
  va_start(rest, format);
  vsnprintf(told, sizeof told, format, rest);
  va_end(rest);
}

void test(const char *name, void (*body)(void)) {
  breaches = 0;
  told[0] = 0;
  body();
  if (breaches) failed++;
  else passed++;
  printf("%s %s%s%s\n", breaches ? "FAILED" : "passed", name, *told ? ": " : "", told);
  fflush(stdout);
}

uint64_t draw(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

uint64_t below(uint64_t *state, uint64_t bound) { return draw(state) % bound; }

sd_disk *new_disk(uint64_t seed) {
  sd_options options = sd_default_options();
  options.seed = seed;
  return sd_create(&options);
}

void end_disk(sd_disk *disk) { EXPECT(sd_destroy(disk) == 0); }

sqlite3 *opened(const char *path, const char *vfs) {
  sqlite3 *database = NULL;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW
              | SQLITE_OPEN_EXRESCODE;
  if (sqlite3_open_v2(path, &database, flags, vfs) == SQLITE_OK) return database;
  sqlite3_close_v2(database);
  return NULL;
}

int run(sqlite3 *database, const char *sql) { return sqlite3_exec(database, sql, NULL, NULL, NULL); }

int64_t number(sqlite3 *database, const char *sql) {
  sqlite3_stmt *statement = NULL;
  int64_t answer = -1;
  if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK
      && sqlite3_step(statement) == SQLITE_ROW) {
    answer = sqlite3_column_int64(statement, 0);
  }
  sqlite3_finalize(statement);
  return answer;
}

bool is_intact(sqlite3 *database) {
  sqlite3_stmt *statement = NULL;
  bool answer = sqlite3_prepare_v2(database, "PRAGMA integrity_check", -1, &statement, NULL) == SQLITE_OK
                && sqlite3_step(statement) == SQLITE_ROW
                && !strcmp((const char *)sqlite3_column_text(statement, 0), "ok");
  sqlite3_finalize(statement);
  return answer;
}

int main(int count, char **arguments) {
  if (count > 1) test_seed = strtoull(arguments[1], NULL, 10);
  if (count > 2) test_crashes = atoi(arguments[2]);
  printf("SQLite %s, seed %llu\n", sqlite3_libversion(), (unsigned long long)test_seed);
  test_files();
  test_sqlite();
  test_crash_cycles();
  test_fault_sweeps();
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
