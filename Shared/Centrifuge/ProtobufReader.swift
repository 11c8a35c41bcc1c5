internal import Bytes

/// How a field's value is laid out. Source: the encoding guide of Protocol Buffers.
public enum ProtobufWireType: UInt8, Sendable {
  case varint = 0
  case fixed64 = 1
  case lengthDelimited = 2
  case groupStart = 3
  case groupEnd = 4
  case fixed32 = 5
}

/// What stands before each value: the field's number, 1 to 2^29 - 1, and its layout.
public struct ProtobufTag: Hashable, Sendable {
  public let number: UInt32
  public let wireType: ProtobufWireType
}

/// Why bytes are no Protobuf message.
public enum ProtobufError: Error, Hashable, Sendable, CaseIterable {
  /// A value reaches past the end of its message.
  case truncated
  /// A varint of more than ten bytes, or of more than 64 bits.
  case varintTooLong
  /// A field number of 0 or over 2^29 - 1, or a layout that doesn't exist.
  case invalidTag
  /// The end of a group that is not the one which was opened.
  case unbalancedGroup
  /// Groups nested deeper than `ProtobufReader.groupDepthMax`.
  case tooDeep
  /// A string that is not UTF-8.
  case invalidText
}

/// Reads the fields of one Protobuf message front to back, without a schema.
///
///     var reader = ProtobufReader(span)
///     while let tag = try reader.next(span) {
///       switch tag.number {
///       case 1: id = try reader.varint(span)
///       default: try reader.skip(tag, span)
///       }
///     }
///
/// Keeps no reference to the bytes, so it can be stored; pass the same ones to each call. Lengths
/// are compared with what is there before anything is allocated. A message within a message is the
/// range that `range(_:)` gives, for a reader of its own.
public struct ProtobufReader: Sendable {
  /// How many groups may stand inside each other among the fields that are skipped.
  public static let groupDepthMax = 16

  public private(set) var offset: Int
  public let end: Int

  /// Over all of `span`.
  public init(_ span: borrowing Span<UInt8>) {
    offset = 0
    end = span.count
  }

  /// Over a part of the bytes that will be passed.
  public init(_ range: Range<Int>) {
    offset = range.lowerBound
    end = range.upperBound
  }

  /// The tag of the next field; nil after the last.
  public mutating func next(_ s: borrowing Span<UInt8>) throws(ProtobufError) -> ProtobufTag? {
    guard offset < end else { return nil }
    let value = try varint(s)
    guard value >> 3 >= 1, value >> 3 < 1 << 29,
      let wireType = ProtobufWireType(rawValue: UInt8(value & 7))
    else { throw .invalidTag }
    return ProtobufTag(number: UInt32(value >> 3), wireType: wireType)
  }

  /// A number of one to ten bytes, the lowest seven bits first.
  public mutating func varint(_ s: borrowing Span<UInt8>) throws(ProtobufError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      guard offset < end else { throw .truncated }
      let byte = s[offset]
      // The tenth byte has room for the highest of 64 bits, and may not go on.
      guard shift < 63 || byte <= 1 else { throw .varintTooLong }
      offset += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
  }

  /// Where the bytes of a string, of bytes or of a message stand; its length comes before them.
  public mutating func range(_ s: borrowing Span<UInt8>) throws(ProtobufError) -> Range<Int> {
    let count = try varint(s)
    guard count <= UInt64(end - offset) else { throw .truncated }
    offset += Int(count)
    return (offset - Int(count))..<offset
  }

  /// A string; proto3 says that it is UTF-8.
  public mutating func text(_ s: borrowing Span<UInt8>) throws(ProtobufError) -> String {
    guard let text = String(validating: s.extracting(try range(s))) else { throw .invalidText }
    return text
  }

  /// Moves past the value of a field that nobody wants.
  public mutating func skip(
    _ tag: ProtobufTag, _ s: borrowing Span<UInt8>
  ) throws(ProtobufError) {
    try skip(tag, s, depth: 0)
  }

  private mutating func skip(
    _ tag: ProtobufTag, _ s: borrowing Span<UInt8>, depth: Int
  ) throws(ProtobufError) {
    switch tag.wireType {
    case .varint: _ = try varint(s)
    case .fixed32: try skip(count: 4)
    case .fixed64: try skip(count: 8)
    case .lengthDelimited: _ = try range(s)
    case .groupEnd: throw .unbalancedGroup
    case .groupStart:
      guard depth < Self.groupDepthMax else { throw .tooDeep }
      while true {
        guard let inner = try next(s) else { throw .truncated }
        if inner.wireType == .groupEnd {
          guard inner.number == tag.number else { throw .unbalancedGroup }
          return
        }
        try skip(inner, s, depth: depth + 1)
      }
    }
  }

  private mutating func skip(count: Int) throws(ProtobufError) {
    guard count <= end - offset else { throw .truncated }
    offset += count
  }
}
