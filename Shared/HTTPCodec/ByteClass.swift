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
}

/// Whether `bytes[range]` spells `name`, which is in lower case, in any case.
func equalsIgnoringCase(_ bytes: [UInt8], _ range: Range<Int>, _ name: String) -> Bool {
  guard range.count == name.utf8.count else { return false }
  var index = range.lowerBound
  for byte in name.utf8 {
    if ByteClass.lower(bytes[index]) != byte { return false }
    index &+= 1
  }
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
  var start = range.lowerBound
  for index in range where bytes[index] == UInt8(ascii: ",") {
    let element = trimmed(bytes, start..<index)
    if !element.isEmpty { elements.append(element) }
    start = index + 1
  }
  let last = trimmed(bytes, start..<range.upperBound)
  if !last.isEmpty { elements.append(last) }
  return elements
}
