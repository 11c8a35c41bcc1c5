/// What a JSON value is, known from its first byte.
public enum JSONKind: Sendable, Hashable {
  case null, bool, number, string, array, object
}

/// Strict RFC 8259 over bytes, without building values.
///
/// Everything is checked: UTF-8, escapes, surrogate pairs, numbers, commas, depth. A byte order
/// mark is refused, which the standard only advises. Looser than `JSONValue.parse` in one point:
/// equal keys are looked for at the top level only (`JSONScanner`), since deeper ones would have to
/// be kept to be compared. Pure and allocation-free; any thread.
public enum JSON {
  /// How many arrays and objects may stand inside each other.
  public static let depthMax = 64

  /// The kind of the one value that `span` holds, with white space around it allowed.
  ///
  /// - Cost: one pass, no allocation; keys are not compared with each other.
  /// - Errors: the first fault of the text.
  public static func validate(_ span: borrowing Span<UInt8>) throws(JSONError) -> JSONKind {
    let start = skipSpace(span, from: 0)
    let kind = try kind(of: span, at: start)
    let end = skipSpace(span, from: try skipValue(span, from: start, depth: 0))
    guard end == span.count else { throw JSONError(.trailingBytes, at: end, in: span) }
    return kind
  }

  /// As `validate(_:)`, but says only whether the bytes are an array or an object.
  ///
  /// - Cost: one byte where the answer is no at once, as for most plain text.
  public static func isArrayOrObject(_ span: borrowing Span<UInt8>) -> Bool {
    let start = skipSpace(span, from: 0)
    guard start < span.count else { return false }
    guard span[start] == UInt8(ascii: "{") || span[start] == UInt8(ascii: "[") else { return false }
    do throws(JSONError) {
      _ = try validate(span)
      return true
    } catch {
      return false
    }
  }

  /// What the value at `offset` must be, judged by its first byte alone.
  static func kind(of span: borrowing Span<UInt8>, at offset: Int) throws(JSONError) -> JSONKind {
    guard offset < span.count else { throw JSONError(.unexpectedEnd, at: offset, in: span) }
    switch span[offset] {
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "\""): return .string
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
    case UInt8(ascii: "n"): return .null
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
    default: throw JSONError(.unexpectedByte, at: offset, in: span)
    }
  }
}
