// Files and names without SQLite: what is durable when, and every fault.
#include "disk_test.h"

static sd_file *open_file(sd_disk *disk, const char *path) {
  sd_file *file = NULL;
  EXPECT(sd_open(disk, path, SD_OPEN_WRITE | SD_OPEN_CREATE, &file) == 0);
  return file;
}

static void put(sd_disk *disk, const char *path, const char *text) {
  sd_file *file = open_file(disk, path);
  EXPECT(sd_pwrite(file, text, strlen(text), 0) == (int64_t)strlen(text));
  EXPECT(sd_fdatasync(file) == 0);
  sd_close(file);
}

static bool holds(sd_disk *disk, const char *path, const char *text) {
  char found[64] = "";
  return sd_peek(disk, path, false, found, sizeof found - 1, 0) == (int64_t)strlen(text)
         && !strcmp(found, text);
}

static void syncs_make_bytes_durable(void) {
  sd_disk *disk = new_disk(1);
  sd_file *file = open_file(disk, "/a/file");
  EXPECT(sd_pwrite(file, "one", 3, 0) == 3);
  EXPECT(sd_fdatasync(file) == 0 && sd_fsync_dir(disk, "/a") == 0);
  EXPECT(sd_pwrite(file, "TWO", 3, 3) == 3);
  EXPECT(sd_peek_bytes(disk, "/a/file", true) == 3 && sd_file_bytes(file) == 6);
  sd_crash(disk, SD_CRASH_PROCESS);
  EXPECT(holds(disk, "a/./file", "oneTWO") && sd_dead_handles(disk) == 1);
  char byte;
  EXPECT(sd_pread(file, &byte, 1, 0) == -EIO && sd_fdatasync(file) == -EIO && sd_flock(file) == -EIO);
  sd_crash(disk, SD_CRASH_KEEPS_NONE);
  EXPECT(holds(disk, "/b/../a/file", "one"));
  EXPECT(sd_destroy(disk) == -EBUSY);
  sd_close(file);
  end_disk(disk);
}

static void names_are_durable_with_their_directory(void) {
  sd_disk *disk = new_disk(1);
  put(disk, "/a/old", "old");
  sd_crash(disk, SD_CRASH_KEEPS_NONE);
  EXPECT(!sd_exists(disk, "/a/old"));
  put(disk, "/a/old", "old");
  EXPECT(sd_fsync_dir(disk, "/") == 0);
  put(disk, "/a/new", "new");
  EXPECT(sd_fsync_dir(disk, "/a") == 0);
  EXPECT(sd_rename(disk, "/a/new", "/a/old") == 0);
  EXPECT(holds(disk, "/a/old", "new") && !sd_exists(disk, "/a/new"));
  sd_crash(disk, SD_CRASH_KEEPS_NONE);
  EXPECT(holds(disk, "/a/old", "old") && holds(disk, "/a/new", "new"));
  EXPECT(sd_rename(disk, "/a/new", "/a/old") == 0 && sd_fsync_dir(disk, "/a/") == 0);
  EXPECT(sd_unlink(disk, "/a/old") == 0 && sd_unlink(disk, "/a/old") == -ENOENT);
  sd_crash(disk, SD_CRASH_KEEPS_NONE);
  EXPECT(holds(disk, "/a/old", "new") && !sd_exists(disk, "/a/new"));
  EXPECT(sd_unlink(disk, "/a/old") == 0 && sd_fsync_dir(disk, "/a") == 0);
  sd_crash(disk, SD_CRASH_KEEPS_NONE);
  char path[8];
  EXPECT(sd_path_at(disk, 0, path, sizeof path) == -ENOENT && sd_used_bytes(disk) == 0);
  end_disk(disk);
}

static void every_outcome_of_a_crash_comes(void) {
  int some[4] = {0}, torn = 0, kept_name = 0;
  for (uint64_t seed = 0; seed < 400; seed++) {
    sd_disk *disk = new_disk(test_seed + seed);
    put(disk, "/f", "....");
    sd_fsync_dir(disk, "/");
    sd_file *file = open_file(disk, "/f");
    sd_pwrite(file, "A", 1, 0);
    sd_pwrite(file, "B", 1, 1);
    sd_close(file);
    sd_crash(disk, SD_CRASH_KEEPS_SOME);
    char found[2];
    sd_peek(disk, "/f", false, found, 2, 0);
    some[(found[0] == 'A') + 2 * (found[1] == 'B')]++;
    char wide[2048], got[2048] = "";
    memset(wide, 'w', sizeof wide);
    file = open_file(disk, "/wide");
    sd_pwrite(file, wide, sizeof wide, 0);
    sd_close(file);
    sd_crash(disk, SD_CRASH_TEARS);
    if (sd_exists(disk, "/wide")) {
      kept_name++;
      sd_peek(disk, "/wide", false, got, sizeof got, 0);
      for (int at = 0; at < 2048; at += 512) EXPECT(!memcmp(got + at, got[at] ? wide : got + at, 512));
      torn += !got[0] && got[1536];
    }
    end_disk(disk);
  }
  EXPECT(some[0] > 50 && some[1] > 50 && some[2] > 50 && some[3] > 50);
  EXPECT(kept_name > 100 && kept_name < 300 && torn > 10);
  figures("none, first, second, both of two writes: %d %d %d %d; a name %d of 400", some[0], some[1], some[2],
          some[3], kept_name);
}

static void failed_syncs_do_as_they_are_told(void) {
  for (int mode = SD_SYNC_FAILURE_KEEPS; mode <= SD_SYNC_FAILURE_REVERTS; mode++) {
    int lost = 0, unseen = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
      sd_disk *disk = new_disk(test_seed + seed);
      put(disk, "/f", "old");
      sd_fsync_dir(disk, "/");
      sd_set_sync_failure(disk, (sd_sync_failure)mode);
      sd_file *file = open_file(disk, "/f");
      sd_pwrite(file, "new", 3, 0);
      sd_fail_after(disk, SD_CALL_SYNC, 1, EIO, false);
      EXPECT(sd_fdatasync(file) == -EIO && sd_fdatasync(file) == 0);
      unseen += !holds(disk, "/f", "new");
      sd_crash(disk, SD_CRASH_KEEPS_NONE);
      lost += !holds(disk, "/f", "new");
      sd_close(file);
      end_disk(disk);
    }
    EXPECT(mode == SD_SYNC_FAILURE_KEEPS ? lost == 0 : lost > 5 && lost < 35);
    EXPECT(unseen == (mode == SD_SYNC_FAILURE_REVERTS ? lost : 0));
  }
}

static void full_disks_take_what_fits(void) {
  sd_disk *disk = new_disk(1);
  char bytes[10000];
  memset(bytes, 1, sizeof bytes);
  sd_set_capacity(disk, 8192);
  sd_file *file = open_file(disk, "/f");
  EXPECT(sd_pwrite(file, bytes, 10000, 0) == 8192 && sd_pwrite(file, bytes, 1, 8192) == -ENOSPC);
  EXPECT(sd_pwrite(file, bytes, 100, 50) == 100 && sd_ftruncate(file, 8193) == -ENOSPC);
  EXPECT(sd_unlink(disk, "/f") == 0 && sd_used_bytes(disk) == 8192);
  sd_close(file);
  EXPECT(sd_used_bytes(disk) == 0);
  sd_set_capacity(disk, 4096);
  file = open_file(disk, "/g");
  EXPECT(sd_ftruncate(file, 4096) == 0 && sd_pwrite(file, bytes, 4097, 0) == 4096);
  sd_close(file);
  end_disk(disk);
}

static void pending_changes_are_bounded(void) {
  sd_options options = sd_default_options();
  options.pending_bytes_max = 10000;
  sd_disk *disk = sd_create(&options);
  char bytes[1000] = "";
  sd_file *file = open_file(disk, "/f");
  for (int i = 0; i < 5000; i++) {
    sd_pwrite(file, bytes, sizeof bytes, (i % 20) * 1000);
    char path[32];
    snprintf(path, sizeof path, "/many-%d", i % 7);
    if (sd_exists(disk, path)) sd_unlink(disk, path);
    else put(disk, path, "x");
  }
  sd_counts counts = sd_get_counts(disk);
  EXPECT(counts.written_back > 4900 + 3000 && sd_peek_bytes(disk, "/f", true) == 20000);
  sd_close(file);
  end_disk(disk);
}

static void locks_are_the_handles(void) {
  sd_disk *disk = new_disk(1);
  sd_file *one = open_file(disk, "/lock"), *two = open_file(disk, "/lock");
  EXPECT(sd_flock(one) == 0 && sd_flock(one) == 0 && sd_flock(two) == -EWOULDBLOCK);
  sd_funlock(one);
  EXPECT(sd_flock(two) == 0 && sd_flock(one) == -EWOULDBLOCK);
  sd_close(two);
  EXPECT(sd_flock(one) == 0);
  sd_crash(disk, SD_CRASH_PROCESS);
  two = open_file(disk, "/lock");
  EXPECT(sd_flock(two) == 0);
  sd_close(one);
  sd_close(two);
  end_disk(disk);
}

/// One run with every fault; its trace.
static uint64_t faulty_run(uint64_t seed, sd_counts *counts) {
  sd_disk *disk = new_disk(seed);
  sd_faults faults = {
      .open_error = 50000, .read_error = 50000, .write_error = 50000, .sync_error = 50000,
      .short_read = 50000, .short_write = 50000, .no_space = 50000, .sync_delay = 50000,
      .sync_delay_us = 1000, .sync_lie = 50000, .read_flip = 50000, .rest_flip = 50000,
      .neighbour_damage = 500000};
  sd_set_faults(disk, &faults);
  sd_set_sync_failure(disk, SD_SYNC_FAILURE_FORGETS);
  uint64_t random = 7;
  int64_t begin = sd_clock(disk);
  for (int i = 0; i < 4000; i++) {
    sd_file *file = NULL;
    char path[16], bytes[700];
    snprintf(path, sizeof path, "/%llu", (unsigned long long)below(&random, 5));
    memset(bytes, i, sizeof bytes);
    if (sd_open(disk, path, SD_OPEN_WRITE | SD_OPEN_CREATE, &file)) continue;
    sd_pwrite(file, bytes, 1 + below(&random, sizeof bytes), (int64_t)below(&random, 3000));
    sd_pread(file, bytes, sizeof bytes, (int64_t)below(&random, 3000));
    if (below(&random, 3) == 0) sd_fdatasync(file);
    if (below(&random, 9) == 0) sd_ftruncate(file, (int64_t)below(&random, 5000));
    sd_close(file);
    if (below(&random, 9) == 0) sd_fsync_dir(disk, "/");
    if (below(&random, 19) == 0) sd_unlink(disk, path);
    if (below(&random, 19) == 0) sd_rename(disk, path, "/9");
    if (below(&random, 99) == 0) sd_crash(disk, (sd_crash_mode)below(&random, 5));
  }
  *counts = sd_get_counts(disk);
  EXPECT(sd_clock(disk) - begin == (int64_t)counts->sync_delays * 1000);
  uint64_t trace = sd_trace(disk);
  end_disk(disk);
  return trace;
}

static void every_fault_comes_and_one_seed_is_one_run(void) {
  sd_counts one, again, other;
  uint64_t trace = faulty_run(test_seed, &one);
  EXPECT(faulty_run(test_seed, &again) == trace && !memcmp(&one, &again, sizeof one));
  EXPECT(faulty_run(test_seed + 1, &other) != trace);
  EXPECT(one.open_errors > 50 && one.read_errors > 50 && one.write_errors > 50 && one.sync_errors > 20);
  EXPECT(one.short_reads > 50 && one.short_writes > 50 && one.no_space > 50 && one.sync_delays > 20);
  EXPECT(one.sync_lies > 20 && one.read_flips > 50 && one.rest_flips > 20 && one.sectors_damaged > 5);
  EXPECT(one.crashes > 10 && one.changes_kept > 5 && one.changes_lost > 5 && one.entries_lost > 2);
  figures("trace %016llx", (unsigned long long)trace);
}

void test_files(void) {
  test("syncs make bytes durable", syncs_make_bytes_durable);
  test("names are durable with their directory", names_are_durable_with_their_directory);
  test("every outcome of a crash comes", every_outcome_of_a_crash_comes);
  test("failed syncs do as they are told", failed_syncs_do_as_they_are_told);
  test("full disks take what fits", full_disks_take_what_fits);
  test("pending changes are bounded", pending_changes_are_bounded);
  test("locks are the handles'", locks_are_the_handles);
  test("every fault comes and one seed is one run", every_fault_comes_and_one_seed_is_one_run);
}
