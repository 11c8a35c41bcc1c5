internal import Bytes

/// Cuts bytes into lines as they come. A line longer than `lineBytesMax` is cut there.
struct LineSplitter {
  static let lineBytesMax = 64 * 1024
  private var begun: [UInt8] = []

  /// The lines that `bytes` complete, without their ends; what is not UTF-8 is replaced.
  mutating func split(_ bytes: borrowing Span<UInt8>) -> [String] {
    var lines: [String] = []
    for index in bytes.indices {
      let byte = bytes[index]
      if byte == UInt8(ascii: "\n") || begun.count == Self.lineBytesMax { lines.append(take()) }
      if byte != UInt8(ascii: "\n") { begun.append(byte) }
    }
    return lines
  }

  /// What stands after the last line end, if anything.
  mutating func finish() -> String? { begun.isEmpty ? nil : take() }

  private mutating func take() -> String {
    if begun.last == UInt8(ascii: "\r") { begun.removeLast() }
    let line = String(decoding: begun, as: UTF8.self)
    begun.removeAll(keepingCapacity: true)
    return line
  }
}
