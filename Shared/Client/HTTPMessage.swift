public import HTTPCodec

/// One request to the server.
public struct HTTPRequest {
  public var method: HTTPMethod
  /// Origin form, percent-encoded: `/api/publish`.
  public var path: String
  public var fields: [(name: String, value: String)] = []
  public var body = HTTPRequestBody.none
  /// The most that is taken of an answer's body.
  public var responseBytesMax = 16 << 20

  public init(_ method: HTTPMethod, _ path: String) {
    self.method = method
    self.path = path
  }

  /// A POST of JSON text.
  public static func json(_ path: String, _ body: [UInt8]) -> HTTPRequest {
    var request = HTTPRequest(.post, path)
    request.fields = [("Content-Type", "application/json")]
    request.body = .bytes(body)
    return request
  }

  /// The bytes of the head.
  func head(host: String) throws(HTTPError) -> [UInt8] {
    var writer = try HTTPHeadWriter(method: method, target: path, host: host)
    for field in fields { try writer.field(field.name, field.value) }
    switch body {
    case .none: if method != .get, method != .head { writer.contentLength(0) }
    case .bytes(let bytes): writer.contentLength(bytes.count)
    case .stream(let count, _): writer.contentLength(count)
    }
    return writer.end()
  }
}

/// What a request carries.
public enum HTTPRequestBody {
  case none
  case bytes([UInt8])
  /// `count` bytes in pieces, each asked for when there is room for it; nil before all were given
  /// fails the request.
  case stream(count: Int, next: () -> [UInt8]?)
}

/// The server's answer, whole.
public struct HTTPResponse: Sendable {
  public let status: Int
  public let headers: HTTPHeaders
  public let body: [UInt8]

  init(_ answer: HTTPAnswer) {
    (status, headers, body) = (answer.status, answer.head.headers, answer.body)
  }
}

/// Why there is no answer.
public enum HTTPFailure: Error, Hashable, Sendable, CustomStringConvertible {
  case unreachable(reason: String)
  /// The connection was lost on the way; the server may have acted on the request.
  case lost(reason: String)
  case timedOut
  /// What came is no proper answer.
  case malformed(reason: String)
  /// The request's own body failed, or it can't be written.
  case unsendable(reason: String)
  /// Too many requests wait already.
  case queueFull

  public var description: String {
    switch self {
    case .unreachable(let reason): "the server can't be reached: \(reason)"
    case .lost(let reason): "the connection was lost: \(reason)"
    case .timedOut: "the server did not answer in time"
    case .malformed(let reason): "the answer can't be understood: \(reason)"
    case .unsendable(let reason): "the request can't be sent: \(reason)"
    case .queueFull: "too many requests wait already"
    }
  }
}
