internal import Bytes
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

/// Puts one answer together from what the connection brings. Pure.
struct HTTPResponseAssembler {
  private let method: HTTPMethod
  private let bytesMax: Int
  private var reader = HTTPResponseReader()
  private var head: HTTPResponseHead?
  private var decoder: HTTPBodyDecoder?
  private var body: [UInt8] = []
  /// Whether any byte of an answer has come.
  private(set) var hasBegun = false

  init(answering method: HTTPMethod, bytesMax: Int) {
    self.method = method
    self.bytesMax = bytesMax
  }

  /// Whether the connection can carry another request after this answer.
  var keepsAlive: Bool { head?.keepAlive ?? false }

  /// Takes bytes from `offset` on and gives the answer once it is complete; interim ones are
  /// skipped.
  mutating func received(_ bytes: borrowing Span<UInt8>, from offset: inout Int)
    throws(HTTPError) -> HTTPResponse?
  {
    if offset < bytes.count { hasBegun = true }
    while decoder == nil {
      guard let head = try reader.next(bytes, from: &offset, answering: method) else { return nil }
      guard head.status.rawValue >= 200 else { continue }
      self.head = head
      decoder = try HTTPBodyDecoder(head.framing, bytesMax: bytesMax)
    }
    while let event = try decoder?.next(bytes, from: &offset) {
      switch event {
      case .bytes(let range): body.append(copying: bytes.extracting(range))
      case .end: return response
      }
    }
    return nil
  }

  /// The connection brings nothing more.
  mutating func receivedEnd() throws(HTTPError) -> HTTPResponse? {
    guard decoder != nil else { return nil }
    return try decoder?.receivedEnd() == .end ? response : nil
  }

  private var response: HTTPResponse? {
    head.map { HTTPResponse(status: $0.status.rawValue, headers: $0.headers, body: body) }
  }
}
