/// The methods that are known here; any other is answered with 501.
public enum HTTPMethod: String, Sendable, CaseIterable {
  case get = "GET"
  case head = "HEAD"
  case post = "POST"
  case put = "PUT"
  case delete = "DELETE"
  case options = "OPTIONS"
  case patch = "PATCH"
}

public enum HTTPVersion: Sendable {
  case http10
  case http11
}

/// Where a body ends (RFC 9112 §6.3).
public enum HTTPBodyFraming: Equatable, Sendable {
  case none
  /// Bytes.
  case length(Int)
  case chunked
  /// The end of the connection; responses alone.
  case untilClose
}

/// The head of one request, validated: there is one way to read it and the message's end is known.
public struct HTTPRequestHead: Sendable {
  public let method: HTTPMethod
  public let version: HTTPVersion
  public var target: HTTPTarget
  public let headers: HTTPHeaders
  public let framing: HTTPBodyFraming
  /// Whether another request may follow: HTTP/1.1 without `Connection: close`. HTTP/1.0 is
  /// always closed after the answer.
  public let keepAlive: Bool
  /// Whether the client waits for 100 before it sends the body.
  public let expectsContinue: Bool
  /// Whether Connection names upgrade and there is an Upgrade field.
  public let wantsUpgrade: Bool

  /// The target as it was sent.
  public var rawTarget: String { String(decoding: headers.bytes[rawTargetRange], as: UTF8.self) }
  /// Segments of the path, percent-decoded; see `HTTPTarget.path`.
  public var path: [String] { target.path }
  public var contentLength: Int? {
    if case .length(let count) = framing { count } else { nil }
  }
  public var isChunked: Bool { framing == .chunked }
  /// The protocols that the Upgrade field names, in order.
  public var upgrades: [String] { wantsUpgrade ? headers.list("upgrade") : [] }
  /// The host that is asked; nil in HTTP/1.0 alone.
  public var authority: HTTPAuthority? { host.flatMap { HTTPAuthority(headers.bytes, $0) } }

  private let rawTargetRange: Range<Int>
  private let host: Range<Int>?

  init(_ head: HTTPHeadScanner.Head, _ limits: HTTPLimits) throws(HTTPError) {
    let line = try HTTPRequestLine(head.bytes, head.lineEnds[0], limits)
    let fields = try HTTPFields.parse(head, version: line.version)
    guard fields.host != nil || line.version == .http10 else { throw .missingHost }
    target = try line.target(head.bytes, host: fields.host)
    method = line.method
    version = line.version
    rawTargetRange = line.targetRange
    host = fields.host
    framing =
      fields.isChunked
      ? .chunked : fields.contentLength.map { $0 == 0 ? .none : .length($0) } ?? .none
    keepAlive = line.version == .http11 && !fields.connectionHasClose
    expectsContinue = fields.expectsContinue && line.version == .http11
    wantsUpgrade = fields.connectionHasUpgrade && fields.hasUpgrade
    headers = HTTPHeaders(head.bytes, fields.list)
  }
}

/// `METHOD SP target SP HTTP/1.1` (RFC 9112 §3), each part by its bytes.
struct HTTPRequestLine {
  let method: HTTPMethod
  let targetRange: Range<Int>
  let version: HTTPVersion

  init(_ bytes: [UInt8], _ end: Int, _ limits: HTTPLimits) throws(HTTPError) {
    var index = 0
    while index < end, ByteClass.isToken(bytes[index]) { index &+= 1 }
    let methodEnd = index
    guard methodEnd > 0, index < end, bytes[index] == 32 else { throw .malformedRequestLine }
    index &+= 1
    let targetStart = index
    while index < end, Self.isTargetByte(bytes[index]) { index &+= 1 }
    guard index > targetStart, index < end, bytes[index] == 32 else { throw .malformedRequestLine }
    targetRange = targetStart..<index
    version = try parseVersion(bytes, (index + 1)..<end, otherwise: .malformedRequestLine)
    guard targetRange.count <= limits.targetBytesMax else { throw .targetTooLong }
    guard let method = Self.method(bytes, methodEnd) else { throw .unknownMethod }
    self.method = method
  }

  /// The decoded target, whose authority, if it has one, must be that of the Host field.
  func target(_ bytes: [UInt8], host: Range<Int>?) throws(HTTPError) -> HTTPTarget {
    if bytes[targetRange.lowerBound] == UInt8(ascii: "/") {
      return try HTTPTarget.parse(bytes, targetRange)
    }
    if targetRange.count == 1, bytes[targetRange.lowerBound] == UInt8(ascii: "*") {
      guard method == .options else { throw .malformedTarget }
      return HTTPTarget(path: [], query: [])
    }
    return try absolute(bytes, host: host)
  }

  /// RFC 9112 §3.2.2.
  private func absolute(_ bytes: [UInt8], host: Range<Int>?) throws(HTTPError) -> HTTPTarget {
    var start: Int?
    for scheme in ["http://", "https://"] where targetRange.count >= scheme.utf8.count {
      let end = targetRange.lowerBound + scheme.utf8.count
      if equalsIgnoringCase(bytes, targetRange.lowerBound..<end, scheme) { start = end }
    }
    guard let start else { throw .malformedTarget }
    let rest = start..<targetRange.upperBound
    let pathStart =
      rest.first { bytes[$0] == UInt8(ascii: "/") || bytes[$0] == UInt8(ascii: "?") }
      ?? rest.upperBound
    guard let authority = HTTPAuthority(bytes, start..<pathStart) else { throw .malformedTarget }
    if let host {
      guard HTTPAuthority(bytes, host) == authority else { throw .hostMismatch }
    }
    if pathStart == rest.upperBound { return HTTPTarget(path: [], query: []) }
    return try HTTPTarget.parse(bytes, pathStart..<rest.upperBound)
  }

  /// Printable ASCII but for `"`, `#`, `<` and `>`, which never stand in a URL that is sent.
  private static func isTargetByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 33, 36...59, 61, 63...126: true
    default: false
    }
  }

  private static func method(_ bytes: [UInt8], _ end: Int) -> HTTPMethod? {
    let method: HTTPMethod? =
      switch (end, bytes[0]) {
      case (3, UInt8(ascii: "G")): .get
      case (4, UInt8(ascii: "H")): .head
      case (4, UInt8(ascii: "P")): .post
      case (3, UInt8(ascii: "P")): .put
      case (6, UInt8(ascii: "D")): .delete
      case (7, UInt8(ascii: "O")): .options
      case (5, UInt8(ascii: "P")): .patch
      default: nil
      }
    guard let method, spells(bytes, 0..<end, method.rawValue) else { return nil }
    return method
  }
}

/// `HTTP/1.1` or `HTTP/1.0`; a version of the same shape that is neither is refused as such.
func parseVersion(
  _ bytes: [UInt8], _ range: Range<Int>, otherwise malformed: HTTPError
) throws(HTTPError) -> HTTPVersion {
  let start = range.lowerBound
  guard range.count == 8, spells(bytes, start..<(start + 5), "HTTP/") else { throw malformed }
  let (major, dot, minor) = (bytes[start + 5], bytes[start + 6], bytes[start + 7])
  guard ByteClass.isDigit(major), dot == UInt8(ascii: "."), ByteClass.isDigit(minor) else {
    throw malformed
  }
  guard major == 49, minor == 48 || minor == 49 else { throw .unsupportedVersion }
  return minor == 49 ? .http11 : .http10
}
