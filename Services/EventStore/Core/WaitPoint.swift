// INVARIANTS:
// - Both ends of the pipe live as long as the object; nobody else has their numbers.
// - At most one byte is in the pipe: `wake` writes only when `isSet` goes from false to true, and
//   `wait` takes it out when it sets it back.

internal import Glibc
internal import Synchronization

/// Where one thread waits, with a time limit, until another wakes it. A wake before the wait counts.
final class WaitPoint: Sendable {
  private let reading: Int32
  private let writing: Int32
  private let isSet = Atomic<Bool>(false)

  init() throws(StoreFailure) {
    var pair: [Int32] = [-1, -1]
    // SAFE BECAUSE the array holds the two integers that pipe fills.
    let result = unsafe pair.withUnsafeMutableBufferPointer { buffer -> Int32 in
      guard let base = buffer.baseAddress else { return -1 }
      return unsafe pipe(base)
    }
    guard result == 0 else { throw .files("can't make a pipe") }
    reading = pair[0]
    writing = pair[1]
    _ = fcntl(reading, F_SETFD, FD_CLOEXEC)
    _ = fcntl(writing, F_SETFD, FD_CLOEXEC)
  }

  deinit {
    _ = close(reading)
    _ = close(writing)
  }

  /// Wakes the waiting thread, or keeps it from waiting next. Any thread.
  func wake() {
    guard !isSet.exchange(true, ordering: .acquiringAndReleasing) else { return }
    var byte: UInt8 = 1
    // SAFE BECAUSE one byte is written from a variable of one byte.
    while unsafe write(writing, &byte, 1) < 0, errno == EINTR {}
  }

  /// Waits for a wake, at most so many milliseconds; nil waits for ever. One thread.
  func wait(milliseconds: Int64?) {
    var about = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
    let limit = milliseconds.map { Int32(clamping: max(0, $0)) } ?? -1
    // SAFE BECAUSE one descriptor is passed and counted; the byte read fits the variable.
    guard unsafe poll(&about, 1, limit) > 0 else { return }
    var byte: UInt8 = 0
    while unsafe read(reading, &byte, 1) < 0, errno == EINTR {}
    isSet.store(false, ordering: .sequentiallyConsistent)
  }
}
