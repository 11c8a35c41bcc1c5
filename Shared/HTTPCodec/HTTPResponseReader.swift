/// The head of one response.
public struct HTTPResponseHead: Sendable {
  public let status: HTTPStatus
  public let version: HTTPVersion
  public let headers: HTTPHeaders
  public let framing: HTTPBodyFraming
  /// Whether the connection can carry another request after this response.
  public let keepAlive: Bool

  public var contentLength: Int? {
    if case .length(let count) = framing { count } else { nil }
  }

  init(_ head: HTTPHeadScanner.Head, answering method: HTTPMethod) throws(HTTPError) {
    (status, version) = try Self.statusLine(head.bytes, head.lineEnds[0])
    let fields = try HTTPFields.parse(head, version: version)
    framing = Self.framing(fields, status, method)
    keepAlive = version == .http11 && !fields.connectionHasClose && framing != .untilClose
    headers = HTTPHeaders(head.bytes, fields.list)
  }

  /// RFC 9112 §6.3. HEAD and some statuses have no body, whatever the fields say.
  private static func framing(
    _ fields: HTTPFields, _ status: HTTPStatus, _ method: HTTPMethod
  ) -> HTTPBodyFraming {
    if method == .head || status.forbidsBody { return .none }
    if fields.isChunked { return .chunked }
    return fields.contentLength.map { $0 == 0 ? .none : .length($0) } ?? .untilClose
  }

  /// `HTTP/1.1 SP 200 SP reason` (RFC 9112 §4); the reason may be empty, and its space missing.
  private static func statusLine(
    _ bytes: [UInt8], _ end: Int
  ) throws(HTTPError) -> (HTTPStatus, HTTPVersion) {
    guard end >= 12 else { throw .malformedStatusLine }
    let version = try parseVersion(bytes, 0..<8, otherwise: .malformedStatusLine)
    guard bytes[8] == 32, end == 12 || bytes[12] == 32 else { throw .malformedStatusLine }
    var code = 0
    for index in 9..<12 {
      guard ByteClass.isDigit(bytes[index]) else { throw .malformedStatusLine }
      code = code * 10 + Int(bytes[index] - 48)
    }
    guard (100...599).contains(code) else { throw .malformedStatusLine }
    return (HTTPStatus(code), version)
  }
}

/// Turns the bytes that a server sends into response heads; the client's half of
/// `HTTPRequestReader`, with the same rules and the same way to be called.
///
/// Responses of 100 to 199 other than 101 are given as well; the caller reads on. After 101 what
/// follows belongs to another protocol, and the reader is not asked again.
public struct HTTPResponseReader: Sendable {
  private var scanner: HTTPHeadScanner
  private var failure: HTTPError?

  public init(limits: HTTPLimits = HTTPLimits()) {
    scanner = HTTPHeadScanner(limits: limits, startLineError: .headTooLarge)
  }

  /// The head of the next response, to a request that was made with `method`.
  public mutating func next(
    _ input: borrowing Span<UInt8>, from offset: inout Int, answering method: HTTPMethod
  ) throws(HTTPError) -> HTTPResponseHead? {
    if let failure { throw failure }
    do {
      guard let head = try scanner.next(input, from: &offset) else { return nil }
      return try HTTPResponseHead(head, answering: method)
    } catch {
      failure = error
      throw error
    }
  }
}
