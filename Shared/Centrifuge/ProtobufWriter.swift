internal import Bytes

/// Appends a Protobuf message to bytes, field by field, without a schema.
///
///     var writer = ProtobufWriter()
///     writer.field(1, varint: 7)
///     let message = writer.beginMessage(4)
///     writer.field(2, text: "map:cursor")
///     writer.endMessage(message)
///
/// Owns one growing array. Fields are written as they are asked for: leaving out what has its
/// default value, as proto3 does, and ending what was begun are the caller's. Field numbers are
/// those of a schema in code, 1 to 2^29 - 1.
public struct ProtobufWriter: Sendable {
  public var bytes: [UInt8]

  public init(reserving capacity: Int = 0) {
    bytes = []
    if capacity > 0 { bytes.reserveCapacity(capacity) }
  }

  /// Unsigned numbers, and true (1) and false (0).
  public mutating func field(_ number: UInt32, varint value: UInt64) {
    tag(number, .varint)
    varint(value)
  }

  /// Signed numbers of the types int32 and int64: a negative one takes ten bytes.
  public mutating func field(_ number: UInt32, int value: Int64) {
    field(number, varint: UInt64(bitPattern: value))
  }

  public mutating func field(_ number: UInt32, text: String) {
    tag(number, .lengthDelimited)
    var text = text
    text.makeContiguousUTF8()
    varint(UInt64(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }

  public mutating func field(_ number: UInt32, bytes value: [UInt8]) {
    tag(number, .lengthDelimited)
    varint(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  /// Begins a message within this one; what is written until `endMessage` is its fields.
  public mutating func beginMessage(_ number: UInt32) -> Int {
    tag(number, .lengthDelimited)
    return beginDelimited()
  }

  /// Ends the message that `beginMessage` gave the mark of.
  ///
  /// - Cost: none up to 127 bytes of fields; above, one move of them to make room for the length.
  public mutating func endMessage(_ mark: Int) { endDelimited(mark) }

  /// Begins bytes whose length will stand before them, without a tag: a frame of a stream.
  public mutating func beginDelimited() -> Int {
    bytes.append(0)
    return bytes.count
  }

  public mutating func endDelimited(_ mark: Int) {
    let count = bytes.count - mark
    guard count >= 0x80 else {
      bytes[mark - 1] = UInt8(truncatingIfNeeded: count)
      return
    }
    var length = ProtobufWriter(reserving: 10)
    length.varint(UInt64(count))
    bytes[mark - 1] = length.bytes[0]
    bytes.insert(contentsOf: length.bytes[1...], at: mark)
  }

  public mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  private mutating func tag(_ number: UInt32, _ wireType: ProtobufWireType) {
    varint(UInt64(number) << 3 | UInt64(wireType.rawValue))
  }
}
