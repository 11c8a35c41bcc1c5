internal import Bytes

/// What objects and arrays have in common: one thing after another, commas in between, a bracket at
/// the end and nothing but white space behind it.
struct JSONSequence: Sendable {
  private enum Place { case first, behindOne, done }

  private var place = Place.first
  private var offset: Int
  private let close: UInt8

  /// Begins at the bracket of an object or an array; throws `reason` where another value stands.
  @inline(__always)
  init(_ kind: JSONKind, _ span: borrowing Span<UInt8>, otherwise reason: JSONError.Reason)
    throws(JSONError)
  {
    let start = JSON.skipSpace(span, from: 0)
    guard try JSON.kind(of: span, at: start) == kind else {
      throw JSONError(reason, at: start, in: span)
    }
    offset = start + 1
    close = kind == .object ? UInt8(ascii: "}") : UInt8(ascii: "]")
  }

  /// Where the next one begins; nil behind the last. `ended` says where that ends.
  @inline(__always)
  mutating func next(_ span: borrowing Span<UInt8>) throws(JSONError) -> Int? {
    switch place {
    case .done: return nil
    case .first:
      offset = JSON.skipSpace(span, from: offset)
      if offset < span.count, span[offset] == close { return try finish(span) }
    case .behindOne:
      offset = JSON.skipSpace(span, from: offset)
      guard try JSON.isComma(span, at: offset, orEnd: close) else { return try finish(span) }
      offset = JSON.skipSpace(span, from: offset + 1)
    }
    place = .behindOne
    return offset
  }

  @inline(__always)
  mutating func ended(at end: Int) { offset = end }

  private mutating func finish(_ span: borrowing Span<UInt8>) throws(JSONError) -> Int? {
    place = .done
    offset = JSON.skipSpace(span, from: offset + 1)
    guard offset == span.count else { throw JSONError(.trailingBytes, at: offset, in: span) }
    return nil
  }
}
