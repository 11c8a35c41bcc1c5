/// The status of a response (RFC 9110 §15). Any three-digit number can be held.
public struct HTTPStatus: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public let rawValue: Int
  @inlinable public init(rawValue: Int) { self.rawValue = rawValue }
  @inlinable public init(_ rawValue: Int) { self.rawValue = rawValue }

  public static let `continue` = HTTPStatus(100)
  public static let switchingProtocols = HTTPStatus(101)
  public static let ok = HTTPStatus(200)
  public static let created = HTTPStatus(201)
  public static let noContent = HTTPStatus(204)
  public static let partialContent = HTTPStatus(206)
  public static let notModified = HTTPStatus(304)
  public static let badRequest = HTTPStatus(400)
  public static let unauthorized = HTTPStatus(401)
  public static let forbidden = HTTPStatus(403)
  public static let notFound = HTTPStatus(404)
  public static let methodNotAllowed = HTTPStatus(405)
  public static let requestTimeout = HTTPStatus(408)
  public static let conflict = HTTPStatus(409)
  public static let gone = HTTPStatus(410)
  public static let preconditionFailed = HTTPStatus(412)
  public static let contentTooLarge = HTTPStatus(413)
  public static let uriTooLong = HTTPStatus(414)
  public static let unsupportedMediaType = HTTPStatus(415)
  public static let rangeNotSatisfiable = HTTPStatus(416)
  public static let expectationFailed = HTTPStatus(417)
  public static let misdirectedRequest = HTTPStatus(421)
  public static let unprocessableContent = HTTPStatus(422)
  public static let upgradeRequired = HTTPStatus(426)
  public static let tooManyRequests = HTTPStatus(429)
  public static let headerFieldsTooLarge = HTTPStatus(431)
  public static let internalServerError = HTTPStatus(500)
  public static let notImplemented = HTTPStatus(501)
  public static let badGateway = HTTPStatus(502)
  public static let serviceUnavailable = HTTPStatus(503)
  public static let gatewayTimeout = HTTPStatus(504)
  public static let versionNotSupported = HTTPStatus(505)
  public static let insufficientStorage = HTTPStatus(507)

  /// Whether a response with it never has a body, whatever its fields say (RFC 9112 §6.3).
  public var forbidsBody: Bool { rawValue < 200 || rawValue == 204 || rawValue == 304 }

  /// The phrase for the status line; empty for a status without a name above.
  public var reason: String { Self.reasons[rawValue] ?? "" }

  public var description: String { String(rawValue) }

  private static let reasons: [Int: String] = [
    100: "Continue", 101: "Switching Protocols", 200: "OK", 201: "Created", 204: "No Content",
    206: "Partial Content", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed", 413: "Content Too Large", 414: "URI Too Long",
    415: "Unsupported Media Type", 416: "Range Not Satisfiable", 417: "Expectation Failed",
    421: "Misdirected Request", 422: "Unprocessable Content", 426: "Upgrade Required",
    429: "Too Many Requests", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
  ]
}
