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
  }

  let bytes: [UInt8]
  let fields: [Field]

  init(_ bytes: [UInt8], _ fields: [Field]) {
    self.bytes = bytes
    self.fields = fields
  }

  public var count: Int { fields.count }

  /// The value of the first field of that name; bytes that are not UTF-8 become U+FFFD.
  public func first(_ name: String) -> String? {
    for field in fields where equalsIgnoringCase(bytes, field.name, name) {
      return text(field.value)
    }
    return nil
  }

  /// The values of all fields of that name, in order.
  public func all(_ name: String) -> [String] {
    var values: [String] = []
    for field in fields where equalsIgnoringCase(bytes, field.name, name) {
      values.append(text(field.value))
    }
    return values
  }

  public func contains(_ name: String) -> Bool {
    fields.contains { equalsIgnoringCase(bytes, $0.name, name) }
  }

  /// The elements of the comma-separated lists of all fields of that name (RFC 9110 §5.6.1).
  public func list(_ name: String) -> [String] {
    fields.filter { equalsIgnoringCase(bytes, $0.name, name) }
      .flatMap { listElements(bytes, $0.value) }
      .map(text)
  }

  /// Whether a comma-separated list names `token`, which is in lower case, in any case.
  public func list(_ name: String, contains token: String) -> Bool {
    fields.contains { field in
      equalsIgnoringCase(bytes, field.name, name)
        && listElements(bytes, field.value).contains { equalsIgnoringCase(bytes, $0, token) }
    }
  }

  /// Name, as it was sent, and value of the field at `index`.
  public subscript(index: Int) -> (name: String, value: String) {
    (text(fields[index].name), text(fields[index].value))
  }

  private func text(_ range: Range<Int>) -> String {
    String(decoding: bytes[range], as: UTF8.self)
  }
}
