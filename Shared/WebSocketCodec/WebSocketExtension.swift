/// One element of `Sec-WebSocket-Extensions`: an extension that a client offers or a server agreed
/// to (RFC 6455 §9.1).
public struct WebSocketExtension: Equatable, Sendable {
  /// A parameter; `value` is nil where there is no equals sign, and never has quotes around it.
  public struct Parameter: Equatable, Sendable {
    public var name: String
    public var value: String?

    public init(_ name: String, _ value: String? = nil) {
      self.name = name
      self.value = value
    }
  }

  public var name: String
  /// In the order written; the same name may stand twice, which its extension then judges.
  public var parameters: [Parameter]

  public init(_ name: String, _ parameters: [Parameter] = []) {
    self.name = name
    self.parameters = parameters
  }

  /// The extensions that the header's values name, in order of preference.
  ///
  /// - Shape: several header fields are one list (RFC 7230 §3.2.2); a quoted value is unquoted and
  ///   has to be a token then. Names are taken as written: the registered ones are in lower case.
  /// - Cost: linear.
  /// - Errors: nil where a value breaks the grammar; the handshake fails then (RFC 6455 §9.1).
  public static func parse(_ values: [String]) -> [WebSocketExtension]? {
    var extensions: [WebSocketExtension] = []
    for value in values {
      var reader = ExtensionReader(value)
      guard reader.readList(into: &extensions) else { return nil }
    }
    return extensions
  }

  /// How the header writes it.
  public var headerValue: String {
    parameters.reduce(name) { text, parameter in
      text + "; " + parameter.name + (parameter.value.map { "=" + $0 } ?? "")
    }
  }
}

/// Walks one header value; every function leaves `index` behind what it took.
private struct ExtensionReader {
  private let text: [UInt8]
  private var index = 0

  init(_ value: String) { text = Array(value.utf8) }

  /// `#( token *( ";" token [ "=" ( token / quoted-string ) ] ) )`, where elements may be empty.
  mutating func readList(into extensions: inout [WebSocketExtension]) -> Bool {
    while true {
      skipBlanks()
      if index == text.count { return true }
      if take(UInt8(ascii: ",")) { continue }
      guard let name = token() else { return false }
      var found = WebSocketExtension(name)
      while take(UInt8(ascii: ";")) {
        guard let parameter = parameter() else { return false }
        found.parameters.append(parameter)
      }
      extensions.append(found)
      guard index == text.count || take(UInt8(ascii: ",")) else { return false }
    }
  }

  private mutating func parameter() -> WebSocketExtension.Parameter? {
    skipBlanks()
    guard let name = token() else { return nil }
    guard take(UInt8(ascii: "=")) else { return .init(name) }
    skipBlanks()
    let isQuoted = index < text.count && text[index] == UInt8(ascii: "\"")
    guard let value = isQuoted ? quoted() : token() else { return nil }
    return .init(name, value)
  }

  /// A token, and the blanks behind it.
  private mutating func token() -> String? {
    let start = index
    while index < text.count, Self.isTokenByte(text[index]) { index += 1 }
    guard index > start else { return nil }
    defer { skipBlanks() }
    return String(decoding: text[start..<index], as: UTF8.self)
  }

  /// A token in quotes, any character of it perhaps behind a backslash.
  private mutating func quoted() -> String? {
    var value: [UInt8] = []
    index += 1
    while index < text.count {
      if text[index] == UInt8(ascii: "\"") {
        index += 1
        skipBlanks()
        return value.isEmpty ? nil : String(decoding: value, as: UTF8.self)
      }
      if text[index] == UInt8(ascii: "\\") { index += 1 }
      guard index < text.count, Self.isTokenByte(text[index]) else { return nil }
      value.append(text[index])
      index += 1
    }
    return nil
  }

  /// Takes `byte`, and the blanks behind it, if it is next.
  private mutating func take(_ byte: UInt8) -> Bool {
    guard index < text.count, text[index] == byte else { return false }
    index += 1
    skipBlanks()
    return true
  }

  private mutating func skipBlanks() {
    while index < text.count, text[index] == 0x20 || text[index] == 0x09 { index += 1 }
  }

  /// RFC 7230 §3.2.6.
  private static func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
    default: false
    }
  }
}
