/// Reads the elements of one JSON array front to back, validating all, building nothing.
///
/// What `JSONScanner` is for objects. An element comes as a `JSONMember` whose key is empty. Keeps
/// no reference to the bytes; pass the same ones to each call.
///
/// - Limits: depth `JSON.depthMax`.
/// - Cost: one pass, no allocation.
/// - Errors: nothing may be trusted until `next` has returned nil: the fault may come last.
public struct JSONArrayScanner: Sendable {
  private enum Place { case first, afterElement, done }

  private var place = Place.first
  private var offset: Int

  /// Begins at the array's bracket; `.notAnArray` where the bytes hold another value.
  public init(array span: borrowing Span<UInt8>) throws(JSONError) {
    let start = JSON.skipSpace(span, from: 0)
    guard try JSON.kind(of: span, at: start) == .array else {
      throw JSONError(.notAnArray, at: start, in: span)
    }
    offset = start + 1
  }

  /// The next element, or nil after the last, when nothing but white space follows the array.
  public mutating func next(_ span: borrowing Span<UInt8>) throws(JSONError) -> JSONMember? {
    switch place {
    case .done: return nil
    case .first:
      offset = JSON.skipSpace(span, from: offset)
      if offset < span.count, span[offset] == UInt8(ascii: "]") { return try finish(span) }
    case .afterElement:
      offset = JSON.skipSpace(span, from: offset)
      guard try JSON.isComma(span, at: offset, orEnd: UInt8(ascii: "]")) else {
        return try finish(span)
      }
      offset = JSON.skipSpace(span, from: offset + 1)
    }
    place = .afterElement
    let start = offset
    offset = try JSON.skipValue(span, from: start, depth: 1)
    return JSONMember(
      key: start..<start, keyHasEscapes: false, value: start..<offset,
      kind: try JSON.kind(of: span, at: start))
  }

  private mutating func finish(_ span: borrowing Span<UInt8>) throws(JSONError) -> JSONMember? {
    place = .done
    offset = JSON.skipSpace(span, from: offset + 1)
    guard offset == span.count else { throw JSONError(.trailingBytes, at: offset, in: span) }
    return nil
  }
}
