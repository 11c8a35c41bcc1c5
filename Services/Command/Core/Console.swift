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
      guard case .count(let count) = Syscalls.write(number: number, bytes, from: offset), count > 0
      else { return false }
      offset += count
    }
    return true
  }
}
