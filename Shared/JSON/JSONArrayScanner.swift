internal import Bytes

/// One element of the array that a `JSONArrayScanner` reads: a range into the scanned bytes.
public struct JSONElement: Sendable, Hashable {
  /// The value, without white space around it, quotes and brackets included. Validated throughout.
  public let value: Range<Int>
  public let kind: JSONKind

  public init(value: Range<Int>, kind: JSONKind) {
    self.value = value
    self.kind = kind
  }

  /// The characters of a string; nil for every other kind.
  public func text(in span: borrowing Span<UInt8>) -> String? {
    asMember.text(in: span)
  }

  /// A whole number; nil for fractions, exponents and what 64 bits can't hold.
  public func int(in span: borrowing Span<UInt8>) -> Int64? {
    asMember.int(in: span)
  }

  /// The same value as a member whose key is empty, for readers of both.
  public var asMember: JSONMember {
    JSONMember(key: 0..<0, keyHasEscapes: false, value: value, kind: kind)
  }
}

/// Reads the elements of one top-level JSON array front to back, validating all, building nothing.
///
/// The array's counterpart of `JSONScanner`: elements are ranges, so that they pass through with
/// their very bytes. Keeps no reference to the bytes; pass the same ones to each call.
///
/// - Limits: depth `JSON.depthMax`.
/// - Cost: one pass, no allocation.
/// - Errors: nothing may be trusted until `next` has returned nil: the fault may come last.
public struct JSONArrayScanner: Sendable {
  private var sequence: JSONSequence

  /// Begins at the array's bracket; `.unexpectedByte` where the bytes hold another value.
  public init(array span: borrowing Span<UInt8>) throws(JSONError) {
    sequence = try JSONSequence(.array, span, otherwise: .unexpectedByte)
  }

  /// The next element, or nil after the last, when nothing but white space follows the array.
  public mutating func next(_ span: borrowing Span<UInt8>) throws(JSONError) -> JSONElement? {
    guard let start = try sequence.next(span) else { return nil }
    let kind = try JSON.kind(of: span, at: start)
    let end = try JSON.skipValue(span, from: start, depth: 1)
    sequence.ended(at: end)
    return JSONElement(value: start..<end, kind: kind)
  }
}
