// The protocol's numbers, as its clients know them. Source: the pages "codes" and "client protocol"
// of centrifugal.dev.

/// Why a request is refused. Below 400 the numbers are the protocol's, from 400 to 1999 the
/// application's.
public struct CentrifugeErrorCode: Sendable, Hashable, CustomStringConvertible {
  public let code: UInt32
  public let message: String
  /// Whether the client is to try again by itself.
  public let isTemporary: Bool

  private init(_ code: UInt32, _ message: String, temporary: Bool = false) {
    self.code = code
    self.message = message
    isTemporary = temporary
  }

  public static let internalError = Self(100, "internal server error", temporary: true)
  public static let unauthorized = Self(101, "unauthorized")
  public static let unknownChannel = Self(102, "unknown channel")
  public static let permissionDenied = Self(103, "permission denied")
  public static let methodNotFound = Self(104, "method not found")
  public static let alreadySubscribed = Self(105, "already subscribed")
  public static let limitExceeded = Self(106, "limit exceeded")
  public static let badRequest = Self(107, "bad request")
  public static let notAvailable = Self(108, "not available")
  /// The client gets itself a new token, and tries again.
  public static let tokenExpired = Self(109, "token expired")
  public static let expired = Self(110, "expired")
  public static let tooManyRequests = Self(111, "too many requests", temporary: true)
  /// The history no longer has what was asked for, or it is another one.
  public static let unrecoverablePosition = Self(112, "unrecoverable position")
  public static let concurrentPagination = Self(113, "concurrent pagination", temporary: true)

  public static let all = [
    internalError, unauthorized, unknownChannel, permissionDenied, methodNotFound,
    alreadySubscribed, limitExceeded, badRequest, notAvailable, tokenExpired, expired,
    tooManyRequests, unrecoverablePosition, concurrentPagination,
  ]

  /// As a reply has it.
  public var failure: CentrifugeReply.Failure {
    var failure = CentrifugeReply.Failure()
    (failure.code, failure.message, failure.temporary) = (code, message, isTemporary)
    return failure
  }

  public var description: String { "\(code) \(message)" }
}

/// Why a connection is ended, and whether its client comes back: the code and reason of a WebSocket
/// close frame, or of the push `disconnect`.
public struct CentrifugeDisconnect: Sendable, Hashable, CustomStringConvertible {
  public let code: UInt16
  /// At most 123 bytes, which is what a close frame holds.
  public let reason: String

  private init(_ code: UInt16, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  public static let connectionClosed = Self(3000, "connection closed")
  public static let shutdown = Self(3001, "shutdown")
  public static let serverError = Self(3004, "internal server error")
  public static let expired = Self(3005, "connection expired")
  public static let subscriptionExpired = Self(3006, "subscription expired")
  public static let slow = Self(3008, "slow")
  public static let writeError = Self(3009, "write error")
  /// The client comes back with its positions and recovers.
  public static let insufficientState = Self(3010, "insufficient state")
  public static let forceReconnect = Self(3011, "force reconnect")
  public static let noPong = Self(3012, "no pong")
  public static let tooManyRequests = Self(3013, "too many requests")
  /// The client forgets its token and what it has cached before it comes back.
  public static let stateInvalidated = Self(3014, "state invalidated")
  public static let invalidToken = Self(3500, "invalid token")
  public static let badRequest = Self(3501, "bad request")
  /// No `connect` came in time.
  public static let stale = Self(3502, "stale")
  public static let forceNoReconnect = Self(3503, "force disconnect")
  public static let connectionLimit = Self(3504, "connection limit")
  public static let channelLimit = Self(3505, "channel limit")
  /// Bytes that are no JSON, for a client that speaks JSON.
  public static let inappropriateProtocol = Self(3506, "inappropriate protocol")
  public static let permissionDenied = Self(3507, "permission denied")
  public static let notAvailable = Self(3508, "not available")
  public static let tooManyErrors = Self(3509, "too many errors")

  public static let all = [
    connectionClosed, shutdown, serverError, expired, subscriptionExpired, slow, writeError,
    insufficientState, forceReconnect, noPong, tooManyRequests, stateInvalidated, invalidToken,
    badRequest, stale, forceNoReconnect, connectionLimit, channelLimit, inappropriateProtocol,
    permissionDenied, notAvailable, tooManyErrors,
  ]

  /// Codes that an application may end connections with.
  public static let applicationCodes: ClosedRange<UInt16> = 4000...4999

  /// An application's own; nil for a code that isn't its to give, or a reason of over 123 bytes.
  public init?(applicationCode code: UInt16, reason: String) {
    guard Self.applicationCodes.contains(code), reason.utf8.count <= 123 else { return nil }
    self.init(code, reason)
  }

  /// Whether a client comes back by itself.
  public var leadsToReconnect: Bool { Self.leadsToReconnect(UInt32(code)) }

  /// Whether a client comes back by itself after a close with `code`: not from 3500 to 3999, nor
  /// from 4500 to 4999. Below 3000 it depends on the transport, and clients do.
  public static func leadsToReconnect(_ code: UInt32) -> Bool {
    switch code {
    case 3500...3999, 4500...4999: false
    default: true
    }
  }

  /// As a push has it.
  public var push: CentrifugePush {
    var push = CentrifugePush.Disconnect()
    (push.code, push.reason, push.reconnect) = (UInt32(code), reason, leadsToReconnect)
    return CentrifugePush(.disconnect(push))
  }

  public var description: String { "\(code) \(reason)" }
}

/// Why a server ends a subscription: the codes of the push `unsubscribe`.
public struct CentrifugeUnsubscribeCode: Sendable, Hashable, CustomStringConvertible {
  public let code: UInt32
  public let reason: String

  private init(_ code: UInt32, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  public static let server = Self(2000, "server unsubscribe")
  /// The client subscribes again from its position.
  public static let insufficientState = Self(2500, "insufficient state")
  public static let expired = Self(2501, "subscription expired")
  /// The client forgets its subscription token and what it has cached, then subscribes again.
  public static let stateInvalidated = Self(2502, "state invalidated")

  public static let all = [server, insufficientState, expired, stateInvalidated]

  /// Whether a client subscribes again by itself.
  public var leadsToResubscribe: Bool { Self.leadsToResubscribe(code) }

  public static func leadsToResubscribe(_ code: UInt32) -> Bool { code >= 2500 }

  /// The push that ends a subscription to `channel`.
  public func push(channel: String) -> CentrifugePush {
    var push = CentrifugePush.Unsubscribe()
    (push.code, push.reason) = (code, reason)
    return CentrifugePush(channel: channel, .unsubscribe(push))
  }

  public var description: String { "\(code) \(reason)" }
}
