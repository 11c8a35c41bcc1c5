// INVARIANTS:
// - Descriptors 1 and 2 are never closed; nothing here owns them.
// - The kernel gets one `pollfd` of our own for the time of a call.

internal import Glibc

/// Standard output and standard error, whole and at once.
public enum Output {
  public static func standardOutput(_ text: String) { write(1, [UInt8](text.utf8)) }
  public static func standardError(_ text: String) { write(2, [UInt8](text.utf8)) }
  public static func standardError(_ bytes: [UInt8]) { write(2, bytes) }
  public static func standardOutput(_ bytes: [UInt8]) { write(1, bytes) }

  /// Blocks while the reader does. A closed descriptor ends the attempt.
  private static func write(_ number: Int32, _ bytes: [UInt8]) {
    var offset = 0
    while offset < bytes.count {
      switch Syscalls.write(number: number, bytes, from: offset) {
      case .count(let count): offset += count
      case .wouldBlock: waitUntilWritable(number)
      case .endOfStream, .failed: return
      }
    }
  }

  private static func waitUntilWritable(_ number: Int32) {
    var entry = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
    // SAFE BECAUSE the entry is a local variable and the count says that there is one.
    _ = unsafe poll(&entry, 1, 1000)
  }
}
