internal import Bytes

/// Writes the head of a message. Names must be tokens and values free of control bytes, so that
/// nothing that came from outside can end a line.
///
/// Begin with a status or a method, add fields, and take the bytes with `end()`.
public struct HTTPHeadWriter {
  private var bytes: [UInt8] = []

  /// The head of a response. `date` is the text of its Date field (RFC 9110 §6.6.1), as
  /// `HTTPDate` makes it.
  public init(status: HTTPStatus, date: String) {
    bytes.reserveCapacity(256)
    put("HTTP/1.1 ")
    put(status.rawValue)
    put(" ")
    put(status.reason)
    put("\r\nDate: ")
    put(date)
    put("\r\n")
  }

  /// The head of a request. `target` is in origin form and percent-encoded; `host` is the text of
  /// its Host field.
  ///
  /// - Errors: `unwritableField` where either holds a blank, a control byte or a byte over 126.
  public init(method: HTTPMethod, target: String, host: String) throws(HTTPError) {
    bytes.reserveCapacity(256)
    let isPlain = { (text: String) in
      !text.isEmpty && text.utf8.allSatisfy { $0 > 32 && $0 < 127 }
    }
    guard isPlain(target), isPlain(host) else { throw .unwritableField }
    put("\(method.rawValue) \(target) HTTP/1.1\r\nHost: \(host)\r\n")
  }

  /// Adds one field.
  ///
  /// - Errors: `unwritableField`; nothing was added.
  public mutating func field(_ name: String, _ value: String) throws(HTTPError) {
    guard Self.isName(name), Self.isValue(value) else { throw .unwritableField }
    put(name)
    put(": ")
    put(value)
    put("\r\n")
  }

  private static func isName(_ text: String) -> Bool {
    let bytes = text.utf8Span.span
    for index in bytes.indices where !ByteClass.isToken(bytes[index]) { return false }
    return !bytes.isEmpty
  }

  private static func isValue(_ text: String) -> Bool {
    let bytes = text.utf8Span.span
    for index in bytes.indices where bytes[index] != 9 && ByteClass.isControl(bytes[index]) {
      return false
    }
    return true
  }

  public mutating func contentLength(_ count: Int) {
    put("Content-Length: ")
    put(count)
    put("\r\n")
  }

  /// Says that the connection is closed after this message.
  public mutating func close() { put("Connection: close\r\n") }

  /// The whole head, with its empty line.
  public consuming func end() -> [UInt8] {
    put("\r\n")
    return bytes
  }

  private mutating func put(_ number: Int) { put(String(number)) }
  private mutating func put(_ text: String) { bytes.append(copying: text.utf8Span.span) }
}

/// The chunked coding as it is written (RFC 9112 §7.1).
public enum HTTPChunk {
  /// Appends one chunk; nothing where `data` is empty, since an empty chunk would end the body.
  public static func append(_ data: [UInt8], into output: inout [UInt8]) {
    guard !data.isEmpty else { return }
    output.append(contentsOf: String(data.count, radix: 16).utf8)
    output.append(contentsOf: [13, 10])
    output.append(contentsOf: data)
    output.append(contentsOf: [13, 10])
  }

  /// Appends the last chunk, without trailers.
  public static func end(into output: inout [UInt8]) {
    output.append(contentsOf: "0\r\n\r\n".utf8)
  }
}
