// What the tests of the simulated disk share.
#pragma once
#include "CSimulatedDisk/include/simulated_disk.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern uint64_t test_seed;
extern int test_crashes;

/// Prints what does not hold; the test it stands in has failed.
#define EXPECT(condition) expect((condition), #condition, __FILE__, __LINE__)
bool expect(bool holds, const char *what, const char *file, int line);
/// Runs one test and prints how it ended.
void test(const char *name, void (*body)(void));
/// Adds figures to the line of the running test.
void figures(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// SplitMix64.
uint64_t draw(uint64_t *state);
uint64_t below(uint64_t *state, uint64_t bound);

sd_disk *new_disk(uint64_t seed);
void end_disk(sd_disk *disk);
sqlite3 *opened(const char *path, const char *vfs);
/// Runs SQL; its result code.
int run(sqlite3 *database, const char *sql);
/// The first column of the first row, -1 where there is none or an error.
int64_t number(sqlite3 *database, const char *sql);
bool is_intact(sqlite3 *database);

void test_files(void);
void test_sqlite(void);
void test_crash_cycles(void);
void test_fault_sweeps(void);
