internal import Platform

/// Standard output and standard error. Every call writes at once; nothing is kept back.
///
/// Blocks while the reader of a pipe does not read; a reader that is gone is told by `false`.
struct Console: Sendable {
  /// One line on standard output.
  @discardableResult
  func line(_ text: String) -> Bool { write(1, [UInt8](text.utf8) + [UInt8(ascii: "\n")]) }

  /// Bytes on standard output as they are.
  @discardableResult
  func write(_ bytes: [UInt8]) -> Bool { write(1, bytes) }

  /// One line on standard error, with the program's name before it.
  func report(_ text: String) {
    _ = write(2, [UInt8]("sapphire: \(text)\n".utf8))
  }

  private func write(_ number: Int32, _ bytes: [UInt8]) -> Bool {
    var offset = 0
    while offset < bytes.count {
      switch Syscalls.write(number: number, bytes, from: offset) {
      case .count(let count) where count > 0: offset += count
      // A terminal that another program has made non-blocking.
      case .wouldBlock: SystemClock.pause(.milliseconds(1))
      default: return false
      }
    }
    return true
  }
}
