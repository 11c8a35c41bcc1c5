/* Tells the thread sanitizer what a contended Swift `Mutex` does; preloaded into the test process.
 *
 * The fast paths of `Mutex` are inlined into our code and instrumented with it. The slow ones are in
 * libswiftSynchronization, which is not: they wait and wake by futex, and the sanitizer sees neither,
 * so what a mutex protects would look like a race whenever two threads met at it. Here the slow paths
 * are the library's own, with the two words that the sanitizer misses: what the unlocking thread did
 * before is known to the one that locks after. Nothing is hidden: an access without the lock is
 * still reported.
 *
 * `_MutexHandle` is one 32-bit word, and its methods get its address as Swift's self. The fast path
 * works on that same word, so both paths meet in one place.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self

/* In the runtime of the sanitizer, which is part of the test executable; absent everywhere else. */
extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

static void *next(const char *symbol) {
  void *found = dlsym(RTLD_NEXT, symbol);
  if (found == NULL) {
    fprintf(stderr, "Tests/Sanitizers/mutex.c: no %s: this Swift has another Mutex\n", symbol);
    abort();
  }
  return found;
}

/* Synchronization._MutexHandle._lockSlow(Swift.UInt32) -> () */
SWIFT void lock_slow(uint32_t thread, SELF) __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
SWIFT void lock_slow(uint32_t thread, SELF) {
  static SWIFT void (*original)(uint32_t, SELF);
  if (original == NULL) original = next("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
  original(thread, self);
  if (__tsan_acquire != NULL) __tsan_acquire(self);
}

/* Synchronization._MutexHandle._tryLockSlow() -> Swift.Bool */
SWIFT bool try_lock_slow(SELF) __asm__("$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF");
SWIFT bool try_lock_slow(SELF) {
  static SWIFT bool (*original)(SELF);
  if (original == NULL) original = next("$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF");
  bool locked = original(self);
  if (locked && __tsan_acquire != NULL) __tsan_acquire(self);
  return locked;
}

/* Synchronization._MutexHandle._unlockSlow() -> () */
SWIFT void unlock_slow(SELF) __asm__("$s15Synchronization12_MutexHandleV11_unlockSlowyyF");
SWIFT void unlock_slow(SELF) {
  static SWIFT void (*original)(SELF);
  if (original == NULL) original = next("$s15Synchronization12_MutexHandleV11_unlockSlowyyF");
  if (__tsan_release != NULL) __tsan_release(self);
  original(self);
}
