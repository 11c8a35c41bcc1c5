/// What is wrong with a message. The connection can't be used after it: where one message ends and
/// the next begins is not known any more.
public enum HTTPError: Error, Equatable, Sendable {
  // The line and its fields.
  case bareCarriageReturn
  case bareLineFeed
  case controlByte
  case malformedRequestLine
  case malformedStatusLine
  case malformedField
  /// A field continued on the next line (RFC 9112 §5.2).
  case obsoleteFold
  case unknownMethod
  case unsupportedVersion
  // The target.
  case malformedTarget
  /// `.` or `..` in the path, also percent-encoded.
  case dotSegment
  case missingHost
  case repeatedHost
  case malformedHost
  /// The target's authority is not the Host field's.
  case hostMismatch
  // The body.
  case malformedContentLength
  case repeatedContentLength
  case malformedTransferEncoding
  /// Transfer-Encoding together with Content-Length, or in HTTP/1.0.
  case conflictingFraming
  case malformedChunk
  /// The connection ended before the body did.
  case truncatedBody
  case unknownExpectation
  // The limits.
  case targetTooLong
  case fieldTooLong
  case tooManyFields
  case headTooLarge
  case bodyTooLarge
  // What is written.
  /// A name that is not a token, or a value with a control byte, was to be written.
  case unwritableField

  /// The status to answer with before closing.
  public var status: HTTPStatus {
    switch self {
    case .targetTooLong: .uriTooLong
    case .fieldTooLong, .tooManyFields, .headTooLarge: .headerFieldsTooLarge
    case .bodyTooLarge: .contentTooLarge
    case .unknownMethod: .notImplemented
    case .unsupportedVersion: .versionNotSupported
    case .unknownExpectation: .expectationFailed
    case .unwritableField: .internalServerError
    default: .badRequest
    }
  }

  /// A few words for the body of the answer; never holds anything the peer sent.
  public var reason: String {
    switch self {
    case .bareCarriageReturn: "carriage return without line feed"
    case .bareLineFeed: "line feed without carriage return"
    case .controlByte: "control byte"
    case .malformedRequestLine: "malformed request line"
    case .malformedStatusLine: "malformed status line"
    case .malformedField: "malformed header field"
    case .obsoleteFold: "folded header field"
    case .unknownMethod: "unknown method"
    case .unsupportedVersion: "only HTTP/1.1 and HTTP/1.0 are spoken here"
    case .malformedTarget: "malformed request target"
    case .dotSegment: "dot segment in the path"
    case .missingHost: "no Host field"
    case .repeatedHost: "more than one Host field"
    case .malformedHost: "malformed Host field"
    case .hostMismatch: "the request target and Host differ"
    case .malformedContentLength: "malformed Content-Length"
    case .repeatedContentLength: "more than one Content-Length"
    case .malformedTransferEncoding: "Transfer-Encoding may only be chunked"
    case .conflictingFraming: "conflicting Content-Length and Transfer-Encoding"
    case .malformedChunk: "malformed chunk"
    case .truncatedBody: "the body ended early"
    case .unknownExpectation: "unknown expectation"
    case .targetTooLong: "request target too long"
    case .fieldTooLong: "header field too long"
    case .tooManyFields: "too many header fields"
    case .headTooLarge: "header fields too large"
    case .bodyTooLarge: "body too large"
    case .unwritableField: "unwritable header field"
    }
  }
}
