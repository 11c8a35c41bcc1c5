// The SQLite calls that Swift can't make itself: variadic ones and macro destructors.
#pragma once
#include <sqlite3.h>

/// Keeps a connection from checkpointing when it is closed.
static inline int csqlite_no_checkpoint_on_close(sqlite3 *database) {
  return sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}

/// Makes the schema's own SQL unable to reach unsafe functions.
static inline int csqlite_defensive(sqlite3 *database) {
  return sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)0);
}

/// Binds bytes that SQLite copies; never NULL, even where count is 0.
static inline int csqlite_bind_copy(sqlite3_stmt *statement, int index, const void *bytes, int count) {
  if (count == 0) return sqlite3_bind_zeroblob(statement, index, 0);
  return sqlite3_bind_blob(statement, index, bytes, count, SQLITE_TRANSIENT);
}

/// Binds bytes that the caller keeps until the statement has been stepped and its bindings cleared.
static inline int csqlite_bind_lent(sqlite3_stmt *statement, int index, const void *bytes, int count) {
  if (count == 0) return sqlite3_bind_zeroblob(statement, index, 0);
  return sqlite3_bind_blob(statement, index, bytes, count, SQLITE_STATIC);
}

/// Binds UTF-8 that SQLite copies.
static inline int csqlite_bind_text(sqlite3_stmt *statement, int index, const void *text, int count) {
  return sqlite3_bind_text(statement, index, count ? (const char *)text : "", count, SQLITE_TRANSIENT);
}

/// Keeps the number of frames in the write-ahead log, as of the last commit, in `*frames`.
static int csqlite_remember_frames(void *frames, sqlite3 *database, const char *name, int count) {
  (void)database;
  (void)name;
  *(int *)frames = count;
  return SQLITE_OK;
}
static inline void csqlite_count_wal_frames(sqlite3 *database, int *frames) {
  sqlite3_wal_hook(database, csqlite_remember_frames, frames);
}
