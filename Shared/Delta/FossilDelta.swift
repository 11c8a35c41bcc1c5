internal import Bytes

/// The difference between two byte strings in Fossil's delta format.
///
/// What Centrifuge clients ask for with `delta: "fossil"`: a publication travels as what changed
/// since the one before it. Source of the format: the page "Fossil Delta Format" of fossil-scm.org.
///
/// ```
/// SIZE \n             bytes of the target
/// COUNT @ OFFSET ,    copy COUNT bytes of the base, from OFFSET on
/// COUNT : BYTES       insert the COUNT bytes that follow
/// SUM ;               checksum of the target; the delta ends here
/// ```
///
/// Numbers are written in base 64 with the digits `0-9A-Z_a-z~`, the highest first, and fit 32 bits.
/// A delta of two texts need not be text itself: an insert may hold half a character. Where it has
/// to travel in a JSON string, ask for `Cut.betweenCharacters`.
///
/// Pure and allocation-bound; any thread. The gateway makes them for Centrifuge clients that ask.
public enum FossilDelta {
  /// Where a copy may begin and end in the target.
  public enum Cut: Sendable {
    case anywhere
    /// Never inside a UTF-8 sequence: of a valid UTF-8 target, the delta is valid UTF-8 as well.
    case betweenCharacters
  }

  /// Longest base and target, in bytes: what the format's numbers can say.
  public static let bytesMax = Int(UInt32.max)

  /// The checksum of `bytes`: the sum of its big-endian 32-bit words, the last one padded with
  /// zeros, without carry.
  public static func checksum(_ bytes: borrowing Span<UInt8>) -> UInt32 {
    var sum: UInt32 = 0
    var index = 0
    // Two words at once: a sum without carry doesn't mind the order.
    while let pair = bytes.word(at: index) {
      sum &+= UInt32(truncatingIfNeeded: pair.byteSwapped >> 32)
      sum &+= UInt32(truncatingIfNeeded: pair.byteSwapped)
      index += 8
    }
    while index < bytes.count {
      sum &+= UInt32(bytes[index]) << UInt32((3 - index & 3) * 8)
      index += 1
    }
    return sum
  }
}

extension FossilDelta {
  /// Digits of base 64, in the order of their values; the order is also that of ASCII.
  static let digits = [UInt8](
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~".utf8)

  /// How many digits `value` takes.
  static func digitCount(_ value: Int) -> Int {
    max(1, (Int.bitWidth - value.leadingZeroBitCount + 5) / 6)
  }

  static func append(_ value: Int, to delta: inout [UInt8]) {
    var shift = (digitCount(value) - 1) * 6
    while shift >= 0 {
      delta.append(digits[value >> shift & 63])
      shift -= 6
    }
  }

  /// The value of a digit; nil for every other byte.
  static func digitValue(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt64(byte - UInt8(ascii: "A")) + 10
    case UInt8(ascii: "_"): 36
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt64(byte - UInt8(ascii: "a")) + 37
    case UInt8(ascii: "~"): 63
    default: nil
    }
  }
}
