internal import Bytes

/// Why bytes are not a delta of the base they were applied to.
public enum DeltaError: Error, Hashable, Sendable, CaseIterable {
  /// The delta ends before its checksum.
  case truncated
  /// A number without digits, or one over 32 bits.
  case invalidNumber
  /// A byte that no command begins, separates or ends with.
  case unknownCommand
  /// The target would be larger than the caller allows.
  case targetTooLarge
  /// A copy from outside the base: the base is not the one that the delta was made from.
  case copyOutsideBase
  /// The commands give more bytes, or fewer, than the delta announced.
  case sizeMismatch
  /// The target's sum is another: the base is not the one that the delta was made from.
  case checksumMismatch
  /// Something follows the checksum.
  case trailingBytes
}

extension FossilDelta {
  /// The target that `delta` makes of `base`.
  ///
  /// - Limits: `targetBytesMax` is compared with the announced size before anything is allocated,
  ///   and no more than base and delta together is reserved ahead.
  /// - Cost: linear in the delta and the target.
  /// - Errors: the first fault; nothing of the target is given out unless its checksum fits.
  public static func apply(
    _ delta: borrowing Span<UInt8>, to base: borrowing Span<UInt8>, targetBytesMax: Int
  ) throws(DeltaError) -> [UInt8] {
    var reader = DeltaReader()
    let size = try reader.number(delta)
    try reader.expect(UInt8(ascii: "\n"), delta)
    guard size <= targetBytesMax else { throw .targetTooLarge }
    var target: [UInt8] = []
    target.reserveCapacity(min(size, base.count + delta.count))
    while true {
      let value = try reader.number(delta)
      switch try reader.byte(delta) {
      case UInt8(ascii: "@"):
        let offset = try reader.number(delta)
        try reader.expect(UInt8(ascii: ","), delta)
        guard value <= size - target.count else { throw .sizeMismatch }
        guard offset <= base.count, value <= base.count - offset else { throw .copyOutsideBase }
        target.append(copying: base.extracting(offset..<(offset + value)))
      case UInt8(ascii: ":"):
        guard value <= size - target.count else { throw .sizeMismatch }
        target.append(copying: delta.extracting(try reader.range(value, delta)))
      case UInt8(ascii: ";"):
        guard target.count == size else { throw .sizeMismatch }
        guard checksum(target.span) == UInt32(truncatingIfNeeded: value) else {
          throw .checksumMismatch
        }
        guard reader.offset == delta.count else { throw .trailingBytes }
        return target
      default: throw .unknownCommand
      }
    }
  }
}

private struct DeltaReader {
  var offset = 0

  mutating func byte(_ delta: borrowing Span<UInt8>) throws(DeltaError) -> UInt8 {
    guard offset < delta.count else { throw .truncated }
    offset += 1
    return delta[offset - 1]
  }

  mutating func expect(_ expected: UInt8, _ delta: borrowing Span<UInt8>) throws(DeltaError) {
    guard try byte(delta) == expected else { throw .unknownCommand }
  }

  /// One digit or more, within 32 bits.
  mutating func number(_ delta: borrowing Span<UInt8>) throws(DeltaError) -> Int {
    guard offset < delta.count else { throw .truncated }
    let start = offset
    var value: UInt64 = 0
    while offset < delta.count, let digit = FossilDelta.digitValue(delta[offset]) {
      value = value << 6 | digit
      guard value <= UInt64(UInt32.max) else { throw .invalidNumber }
      offset += 1
    }
    guard offset > start else { throw .invalidNumber }
    return Int(value)
  }

  mutating func range(
    _ count: Int, _ delta: borrowing Span<UInt8>
  ) throws(DeltaError) -> Range<Int> {
    guard count <= delta.count - offset else { throw .truncated }
    offset += count
    return (offset - count)..<offset
  }
}
