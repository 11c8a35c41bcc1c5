internal import Bytes

/// The rules of the opening handshake (RFC 6455 §4), on plain values; hashing is the caller's.
public enum WebSocketHandshake {
  public enum Outcome: Equatable, Sendable {
    /// To be answered with 101; `key` is the client's, for `acceptInput(key:)`.
    case accept(key: String)
    /// To be answered with this status and these fields, and the connection closed.
    case reject(status: Int, reason: String, fields: [Field])
  }

  public struct Field: Equatable, Sendable {
    public var name: String
    public var value: String
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// What of a request head matters here.
  public struct Request {
    public var method: String
    public var isHTTP11: Bool
    /// Whether the head announces a body, which an upgrade may not have.
    public var hasBody: Bool
    /// Whether Upgrade names `websocket`, and Connection `upgrade`, in any case.
    public var namesWebSocket: Bool
    public var namesUpgrade: Bool
    /// The value of the only field Sec-WebSocket-Version, and of the only Sec-WebSocket-Key; nil
    /// where there is none, or several.
    public var version: String?
    public var key: String?

    public init(
      method: String, isHTTP11: Bool, hasBody: Bool, namesWebSocket: Bool, namesUpgrade: Bool,
      version: String?, key: String?
    ) {
      self.method = method
      self.isHTTP11 = isHTTP11
      self.hasBody = hasBody
      self.namesWebSocket = namesWebSocket
      self.namesUpgrade = namesUpgrade
      self.version = version
      self.key = key
    }
  }

  /// Decides on a client's request (RFC 6455 §4.2.1). Origin and path are the caller's to judge.
  public static func validate(_ request: Request) -> Outcome {
    guard request.isHTTP11 else { return refuse("a WebSocket needs HTTP/1.1") }
    guard request.namesWebSocket else {
      return .reject(
        status: 426, reason: "this address speaks WebSocket",
        fields: [
          Field(name: "Upgrade", value: "websocket"), Field(name: "Connection", value: "Upgrade"),
        ])
    }
    guard request.method == "GET" else { return refuse("a WebSocket begins with GET") }
    guard request.namesUpgrade else {
      return refuse("Connection must name upgrade")
    }
    guard !request.hasBody else { return refuse("an upgrade has no body") }
    guard request.version == "13" else {
      return .reject(
        status: 426, reason: "the WebSocket version is 13",
        fields: [Field(name: "Sec-WebSocket-Version", value: "13")])
    }
    guard let key = request.key, isKey(key) else {
      return refuse("Sec-WebSocket-Key must be 16 bytes of base64")
    }
    return .accept(key: key)
  }

  /// What to hash with SHA-1 and write in base64 as Sec-WebSocket-Accept (RFC 6455 §4.2.2).
  public static func acceptInput(key: String) -> [UInt8] {
    var input: [UInt8] = []
    input.reserveCapacity(64)
    input.append(copying: key.utf8Span.span)
    input.append(contentsOf: acceptSuffix)
    return input
  }

  private static let acceptSuffix = [UInt8]("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)

  /// The subprotocols that a client offers, in its order.
  public static func offeredProtocols(_ values: [String]) -> [String] {
    values.flatMap { tokens($0) }
  }

  /// Whether a server's answer completes the handshake that a client began (RFC 6455 §4.1).
  /// `accept` is the base64 of the hash of `acceptInput(key:)`; no extension was offered.
  public static func isAccepted(
    status: Int, accept: String, values: (_ name: String) -> [String]
  ) -> Bool {
    status == 101 && hasToken("websocket", in: values("upgrade"))
      && hasToken("upgrade", in: values("connection"))
      && values("sec-websocket-accept") == [accept]
      && values("sec-websocket-extensions").isEmpty
  }

  private static func refuse(_ reason: String) -> Outcome {
    .reject(status: 400, reason: reason, fields: [])
  }

  private static func isKey(_ key: String) -> Bool {
    isPaddedBase64(key, byteCount: 16)
  }

  /// Whether one of the comma-separated lists names `token`, which is in lower case.
  private static func hasToken(_ token: String, in values: [String]) -> Bool {
    values.contains { value in
      elements(value).contains { element in
        element.count == token.utf8.count
          && zip(element, token.utf8).allSatisfy { ($0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0) == $1 }
      }
    }
  }

  private static func tokens(_ value: String) -> [String] {
    elements(value).compactMap { $0.isEmpty ? nil : String(Substring($0)) }
  }

  /// What stands between commas, without the white space around it.
  private static func elements(_ value: String) -> [Substring.UTF8View] {
    func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    return value.utf8.split(separator: UInt8(ascii: ",")).map { part in
      let start = part.drop(while: isSpace)
      return start[..<(start.lastIndex { !isSpace($0) }.map { start.index(after: $0) } ?? start.startIndex)]
    }
  }
}
