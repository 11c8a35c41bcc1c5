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
    put("HTTP/1.1 \(status.rawValue) \(status.reason)\r\nDate: \(date)\r\n")
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
    guard !name.isEmpty, name.utf8.allSatisfy(ByteClass.isToken),
      value.utf8.allSatisfy({ $0 == 9 || !ByteClass.isControl($0) })
    else { throw .unwritableField }
    put(name)
    put(": ")
    put(value)
    put("\r\n")
  }

  public mutating func contentLength(_ count: Int) { put("Content-Length: \(count)\r\n") }

  /// Says that the connection is closed after this message.
  public mutating func close() { put("Connection: close\r\n") }

  /// The whole head, with its empty line.
  public consuming func end() -> [UInt8] {
    put("\r\n")
    return bytes
  }

  private mutating func put(_ text: String) { bytes.append(contentsOf: text.utf8) }
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
