internal import Bytes

/// The fields of a head, in the order they came.
///
/// Owns the head's bytes once; names and values are ranges of them, and text is made when asked
/// for. Names are given in lower case and compared without regard to case (RFC 9110 §5.1).
public struct HTTPHeaders: Sendable {
  struct Field: Sendable {
    var nameStart: UInt16
    var nameEnd: UInt16
    var valueStart: UInt16
    var valueEnd: UInt16

    var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }
    var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }

    /// Whether that is its name; most fields have another length, which is looked at first.
    func isNamed(_ name: String, in bytes: [UInt8]) -> Bool {
      Int(nameEnd &- nameStart) == name.utf8.count && equalsIgnoringCase(bytes, self.name, name)
    }

    var nameLengthBit: UInt64 { 1 << UInt64((nameEnd &- nameStart) & 63) }
  }

  let bytes: [UInt8]
  let fields: [Field]
  /// A bit for each length that a name has, modulo 64: most names that are asked for have another.
  private let nameLengths: UInt64

  init(_ bytes: [UInt8], _ fields: [Field]) {
    self.bytes = bytes
    self.fields = fields
    var lengths: UInt64 = 0
    for field in fields { lengths |= field.nameLengthBit }
    nameLengths = lengths
  }

  private func mayHave(_ name: String) -> Bool {
    nameLengths >> UInt64(name.utf8.count & 63) & 1 == 1
  }

  public var count: Int { fields.count }

  /// Length of the whole head that they stand in.
  public var bytesCount: Int { bytes.count }

  /// Whether the whole head that they stand in comes once more at `offset`, byte for byte. A reader
  /// that is idle, and of the same limits as the one that has given it, would give it again.
  ///
  /// - Cost: one comparison, and none of what reading a head costs.
  public func areRepeated(in input: borrowing Span<UInt8>, at offset: Int) -> Bool {
    input.holds(bytes.span, at: offset)
  }

  /// The value of the first field of that name; bytes that are not UTF-8 become U+FFFD.
  public func first(_ name: String) -> String? {
    guard mayHave(name) else { return nil }
    for field in fields where field.isNamed(name, in: bytes) {
      return text(field.value)
    }
    return nil
  }

  /// What `body` makes of the same as the bytes that they are; nil where there is no such field.
  public func first<T>(_ name: String, _ body: (borrowing Span<UInt8>) -> T) -> T? {
    for field in fields where field.isNamed(name, in: bytes) {
      return body(bytes.span.extracting(field.value))
    }
    return nil
  }

  /// The values of all fields of that name, in order.
  public func all(_ name: String) -> [String] {
    guard mayHave(name) else { return [] }
    var values: [String] = []
    for field in fields where field.isNamed(name, in: bytes) {
      values.append(text(field.value))
    }
    return values
  }

  public func contains(_ name: String) -> Bool {
    mayHave(name) && fields.contains { $0.isNamed(name, in: bytes) }
  }

  /// The elements of the comma-separated lists of all fields of that name (RFC 9110 §5.6.1).
  public func list(_ name: String) -> [String] {
    fields.filter { $0.isNamed(name, in: bytes) }
      .flatMap { listElements(bytes, $0.value) }
      .map(text)
  }

  /// Whether a comma-separated list names `token`, which is in lower case, in any case.
  public func list(_ name: String, contains token: String) -> Bool {
    for field in fields where field.isNamed(name, in: bytes) {
      // Most lists are of one element.
      if equalsIgnoringCase(bytes, field.value, token) { return true }
      var hasToken = false
      forEachListElement(bytes, field.value) {
        if equalsIgnoringCase(bytes, $0, token) { hasToken = true }
      }
      if hasToken { return true }
    }
    return false
  }

  /// The value of the only field of that name; nil where there is none, or several.
  public func only(_ name: String) -> String? {
    guard mayHave(name) else { return nil }
    var found: Field?
    for field in fields where field.isNamed(name, in: bytes) {
      guard found == nil else { return nil }
      found = field
    }
    return found.map { text($0.value) }
  }

  /// Whether several fields have that name.
  public func repeats(_ name: String) -> Bool {
    guard mayHave(name) else { return false }
    var count = 0
    for field in fields where field.isNamed(name, in: bytes) { count += 1 }
    return count > 1
  }

  /// Name, as it was sent, and value of the field at `index`.
  public subscript(index: Int) -> (name: String, value: String) {
    (text(fields[index].name), text(fields[index].value))
  }

  private func text(_ range: Range<Int>) -> String {
    String(decoding: bytes[range], as: UTF8.self)
  }
}
