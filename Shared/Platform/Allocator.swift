internal import CLinux

/// The process's malloc.
public enum Allocator {
  /// Has all threads allocate from one arena. By default each gets one of its own, which grows by a
  /// system call for every page or two; the first grows 128 KiB at a time. For processes in which one
  /// thread does the work; before others are started. Source: mallopt(3), M_ARENA_MAX.
  public static func useOneArena() {
    // If it is refused all stays as it was, and is right.
    _ = clinux_one_arena()
  }

  /// Has the kernel give the pages that the heap has grown by since the last call, all in one step: a
  /// fault for each costs three times as much. Nothing where there are several arenas. Returns their
  /// bytes. Source: madvise(2), MADV_POPULATE_WRITE.
  @discardableResult
  public static func populateGrowth() -> Int { clinux_populate_heap() }
}
