internal import Bytes

/// Which bytes may stand where in a message. All are tests of one byte, without tables in memory.
enum ByteClass {
  /// A token's bytes (RFC 9110 §5.6.2), as two sets of 64 bits.
  static func isToken(_ byte: UInt8) -> Bool {
    guard byte < 128 else { return false }
    let set: UInt64 = byte < 64 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
    return set >> UInt64(byte & 63) & 1 == 1
  }

  /// A byte below 32 or DEL.
  static func isControl(_ byte: UInt8) -> Bool { byte < 32 || byte == 127 }

  static func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

  static func isAlphanumeric(_ byte: UInt8) -> Bool {
    isDigit(byte) || (byte | 32) &- 97 < 26
  }

  /// The value of a hexadecimal digit.
  static func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 48...57: byte - 48
    case 65...70: byte - 55
    case 97...102: byte - 87
    default: nil
    }
  }

  /// The same letter in lower case; other bytes as they are.
  static func lower(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 32 : byte }

  /// The same for eight bytes at once: a byte whose high bit is clear is a capital letter where
  /// adding 63 sets that bit and adding 37 does not.
  static func lower(word: UInt64) -> UInt64 {
    let low = word & 0x7F7F_7F7F_7F7F_7F7F
    let isFromA = low &+ 0x3F3F_3F3F_3F3F_3F3F
    let isPastZ = low &+ 0x2525_2525_2525_2525
    let capitals = isFromA & ~isPastZ & ~word & 0x8080_8080_8080_8080
    return word | capitals >> 2
  }
}

/// Whether `bytes[range]` spells `name`, which is in lower case, in any case.
func equalsIgnoringCase(_ bytes: [UInt8], _ range: Range<Int>, _ name: String) -> Bool {
  equalsIgnoringCase(bytes, range, name.utf8Span.span)
}

/// The same for a name at hand as bytes.
func equalsIgnoringCase(_ bytes: [UInt8], _ range: Range<Int>, _ name: [UInt8]) -> Bool {
  equalsIgnoringCase(bytes, range, name.span)
}

/// Eight bytes at a time where there are as many; the last eight may overlap those before.
@inline(__always)
private func equalsIgnoringCase(
  _ bytes: [UInt8], _ range: Range<Int>, _ name: borrowing Span<UInt8>
) -> Bool {
  guard range.count == name.count else { return false }
  let found = bytes.span.extracting(range)
  var index = 0
  if name.count >= 8 {
    while index < name.count {
      let start = min(index, name.count &- 8)
      guard let a = found.word(at: start), let b = name.word(at: start),
        ByteClass.lower(word: a) == b
      else { return false }
      index = start &+ 8
    }
    return true
  }
  while index < name.count {
    if ByteClass.lower(found[index]) != name[index] { return false }
    index &+= 1
  }
  return true
}

/// Whether `bytes[range]` spells `text`.
func spells(_ bytes: [UInt8], _ range: Range<Int>, _ text: String) -> Bool {
  let wanted = text.utf8Span.span
  guard range.count == wanted.count else { return false }
  for index in 0..<wanted.count where bytes[range.lowerBound &+ index] != wanted[index] { return false }
  return true
}

/// `range` without the spaces and tabs at its ends.
func trimmed(_ bytes: [UInt8], _ range: Range<Int>) -> Range<Int> {
  var (start, end) = (range.lowerBound, range.upperBound)
  while start < end, bytes[start] == 32 || bytes[start] == 9 { start &+= 1 }
  while end > start, bytes[end &- 1] == 32 || bytes[end &- 1] == 9 { end &-= 1 }
  return start..<end
}

/// The parts of a comma-separated list, trimmed, without empty ones.
func listElements(_ bytes: [UInt8], _ range: Range<Int>) -> [Range<Int>] {
  var elements: [Range<Int>] = []
  forEachListElement(bytes, range) { elements.append($0) }
  return elements
}

/// The same, one after the other.
func forEachListElement(
  _ bytes: [UInt8], _ range: Range<Int>, _ body: (Range<Int>) -> Void
) {
  var start = range.lowerBound
  for index in range where bytes[index] == UInt8(ascii: ",") {
    let element = trimmed(bytes, start..<index)
    if !element.isEmpty { body(element) }
    start = index + 1
  }
  let last = trimmed(bytes, start..<range.upperBound)
  if !last.isEmpty { body(last) }
}
