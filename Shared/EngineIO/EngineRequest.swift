internal import JSON

/// How the bytes of a session travel.
public enum EngineTransport: String, Sendable, CaseIterable {
  case polling
  case webSocket = "websocket"
}

/// Why a request is not served: the codes of the reference server, on the wire as they are.
public enum EngineRefusal: Int, Error, Sendable, CaseIterable {
  case unknownTransport = 0
  case unknownSession = 1
  case badHandshakeMethod = 2
  case badRequest = 3
  case forbidden = 4
  case unsupportedVersion = 5

  public var message: String {
    switch self {
    case .unknownTransport: "Transport unknown"
    case .unknownSession: "Session ID unknown"
    case .badHandshakeMethod: "Bad handshake method"
    case .badRequest: "Bad request"
    case .forbidden: "Forbidden"
    case .unsupportedVersion: "Unsupported protocol version"
    }
  }

  /// The HTTP status that goes with it.
  public var status: Int { self == .forbidden ? 403 : 400 }

  /// The body, `{"code":3,"message":"Bad request"}`; its type is `application/json`.
  public var body: [UInt8] {
    var writer = JSONWriter(reserving: 64)
    writer.beginObject()
    writer.field("code", Int64(rawValue))
    writer.field("message", message)
    writer.endObject()
    return writer.bytes
  }
}

/// The secret name of a session: 1 to 64 characters, letters, digits, `-` and `_`.
///
/// Who knows it can act as the client: printing it prints nothing of it. Drawn by the caller from
/// at least 128 random bits; what else it says (which gateway holds the session) is the caller's.
public struct EngineSessionID: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
  public static let charactersMax = 64
  private let text: String

  /// Nil for what no session can be called.
  public init?(_ text: String) {
    guard (1...Self.charactersMax).contains(text.utf8.count),
      text.utf8.allSatisfy(Self.isAllowed)
    else { return nil }
    self.text = text
  }

  /// For the handshake, which is the only place that tells it.
  public func reveal() -> String { text }

  public var description: String { "(a session id)" }
  public var customMirror: Mirror { Mirror(self, children: []) }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
    default: false
    }
  }
}

/// What a request under the Engine.IO path asks for, by its query alone.
public enum EngineRequest: Hashable, Sendable {
  /// A session is wanted: GET for polling, an upgrade for a WebSocket.
  case handshake(EngineTransport)
  /// Something for a session that exists, if it does.
  case session(EngineSessionID, EngineTransport)

  /// How the request came.
  public enum Method: Sendable {
    case get
    case post
    /// GET with the headers of a WebSocket's handshake.
    case upgrade
    case other
  }

  /// Judges a request in the reference server's order: transport, session id, method, version.
  ///
  /// - Parameter query: names and values, decoded, in order. `EIO`, `transport` and `sid` may
  ///   stand once; an empty `sid` is none.
  /// - Parameter transports: those that are served.
  /// - Errors: what to answer. Whether a session of that id exists is for the caller to say
  ///   (`.unknownSession`), then for the session (`.badRequest` when its transport is another).
  public init(
    query: some Sequence<(name: String, value: String)>, method: Method,
    transports: Set<EngineTransport> = Set(EngineTransport.allCases)
  ) throws(EngineRefusal) {
    let fields = try EngineQuery(query)
    guard let transport = fields.transport.flatMap(EngineTransport.init(rawValue:)),
      transports.contains(transport)
    else { throw .unknownTransport }
    if let text = fields.sid, !text.isEmpty {
      guard let id = EngineSessionID(text) else { throw .unknownSession }
      guard Self.fits(transport, method) else { throw .badRequest }
      self = .session(id, transport)
      return
    }
    guard method == .get || method == .upgrade else { throw .badHandshakeMethod }
    guard Self.fits(transport, method) else { throw .badRequest }
    guard fields.version == "4" else { throw .unsupportedVersion }
    self = .handshake(transport)
  }

  private static func fits(_ transport: EngineTransport, _ method: Method) -> Bool {
    switch (transport, method) {
    case (.polling, .get), (.polling, .post), (.webSocket, .upgrade): true
    default: false
    }
  }
}

/// The three parameters that mean something; all others are ignored.
private struct EngineQuery {
  var version: String?
  var transport: String?
  var sid: String?

  init(_ query: some Sequence<(name: String, value: String)>) throws(EngineRefusal) {
    for (name, value) in query {
      switch name {
      case "EIO": try Self.set(&version, value)
      case "transport": try Self.set(&transport, value)
      case "sid": try Self.set(&sid, value)
      default: break
      }
    }
  }

  /// Two values of one parameter would let two readers of the request see two requests.
  private static func set(_ field: inout String?, _ value: String) throws(EngineRefusal) {
    guard field == nil else { throw .badRequest }
    field = value
  }
}
