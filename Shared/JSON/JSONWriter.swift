internal import Bytes

/// Appends JSON to bytes front to back; commas are its business, balance is the caller's.
///
///     var writer = JSONWriter()
///     writer.beginObject()
///     writer.key("channel"); writer.string("map:cursor")
///     writer.key("data"); writer.raw(span)
///     writer.endObject()
///
/// Owns one growing array. Output is compact. Calls that don't balance are a programmer error that
/// shows as malformed text, never as a crash.
public struct JSONWriter: Sendable {
  public var bytes: [UInt8]
  /// Whether the next value or key has to be set apart from what stands before it.
  @usableFromInline var needsComma = false

  public init(reserving capacity: Int = 0) {
    bytes = []
    if capacity > 0 { bytes.reserveCapacity(capacity) }
  }

  /// Continues after `bytes`, which end where a value may stand.
  public init(appendingTo bytes: consuming [UInt8]) { self.bytes = bytes }

  @inlinable public mutating func beginObject() { open(UInt8(ascii: "{")) }
  @inlinable public mutating func endObject() { close(UInt8(ascii: "}")) }
  @inlinable public mutating func beginArray() { open(UInt8(ascii: "[")) }
  @inlinable public mutating func endArray() { close(UInt8(ascii: "]")) }

  /// A member's key and the colon; its value comes next.
  public mutating func key(_ name: String) {
    separate()
    JSON.appendQuoted(name, to: &bytes)
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  public mutating func string(_ text: String) {
    separate()
    JSON.appendQuoted(text, to: &bytes)
  }

  /// The string whose characters are `span`, which is valid UTF-8.
  public mutating func string(utf8 span: borrowing Span<UInt8>) {
    separate()
    JSON.appendQuoted(utf8: span, to: &bytes)
  }

  public mutating func int(_ value: Int64) {
    separate()
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    JSON.appendDecimal(value.magnitude, to: &bytes)
  }

  public mutating func uint(_ value: UInt64) {
    separate()
    JSON.appendDecimal(value, to: &bytes)
  }

  /// The shortest text that reads back as `value`; null for infinity and NaN, which JSON lacks.
  public mutating func double(_ value: Double) {
    separate()
    bytes.append(contentsOf: (value.isFinite ? value.description : "null").utf8)
  }

  public mutating func bool(_ value: Bool) {
    separate()
    bytes.append(contentsOf: (value ? "true" : "false").utf8)
  }

  public mutating func null() {
    separate()
    bytes.append(contentsOf: "null".utf8)
  }

  /// Embeds one value that is JSON already; it is not looked at.
  public mutating func raw(_ span: borrowing Span<UInt8>) {
    separate()
    bytes.append(copying: span)
  }

  /// Embeds one value that is JSON already; it is not looked at.
  public mutating func raw(_ json: [UInt8]) {
    separate()
    bytes.append(contentsOf: json)
  }

  /// A value with all it holds. Recursion is as deep as the value.
  public mutating func value(_ value: JSONValue) {
    switch value {
    case .null: null()
    case .bool(let value): bool(value)
    case .number(let number): raw([UInt8](number.text.utf8))
    case .string(let text): string(text)
    case .array(let elements):
      beginArray()
      for element in elements { self.value(element) }
      endArray()
    case .object(let object):
      beginObject()
      for member in object.members {
        key(member.key)
        self.value(member.value)
      }
      endObject()
    }
  }

  @usableFromInline mutating func open(_ bracket: UInt8) {
    separate()
    bytes.append(bracket)
    needsComma = false
  }

  @usableFromInline mutating func close(_ bracket: UInt8) {
    bytes.append(bracket)
    needsComma = true
  }

  @usableFromInline mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = true
  }
}

extension JSONWriter {
  /// A member with a string value.
  public mutating func field(_ name: String, _ text: String) {
    key(name)
    string(text)
  }

  /// A member with a whole number.
  public mutating func field(_ name: String, _ value: Int64) {
    key(name)
    int(value)
  }

  /// A member with a whole number.
  public mutating func field(_ name: String, _ value: UInt64) {
    key(name)
    uint(value)
  }

  /// A member that is true or false.
  public mutating func field(_ name: String, _ value: Bool) {
    key(name)
    bool(value)
  }
}

extension JSONValue {
  /// Compact JSON text of the value.
  public var jsonBytes: [UInt8] {
    var writer = JSONWriter()
    writer.value(self)
    return writer.bytes
  }
}
