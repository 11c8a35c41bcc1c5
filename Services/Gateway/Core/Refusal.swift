internal import Bytes
internal import ChannelKit
internal import HTTPCodec
internal import Platform
internal import Wire

/// Why something a client or the API asked for was not done: what each door makes of it.
///
/// Codes 100–113 are Centrifugo's where it has one; ours begin at 150; a plugin's at 1000.
struct Refusal: Error, Equatable, Sendable {
  var code: Int
  var name: String
  var message: String
  /// For doors that speak HTTP statuses.
  var status: HTTPStatus
  var retryAfterMs: Int = 0
  /// The code that the connection is to end with, 4000 to 4999, where a back end gave one; 0: by the
  /// rest of it.
  var endsWith: UInt16 = 0
  /// A number that goes with it in answers.
  var detail: Detail?

  struct Detail: Equatable, Sendable {
    var name: String
    var value: UInt64
  }

  init(_ code: Int, _ name: String, _ message: String, _ status: HTTPStatus, retryAfterMs: Int = 0) {
    self.code = code
    self.name = name
    self.message = message
    self.status = status
    self.retryAfterMs = retryAfterMs
  }

  static let contentOfOthers = Refusal(
    103, "permission_denied",
    "this content was announced where the key may not read: it can't open it to another channel",
    .forbidden)
  static let internalError = Refusal(100, "internal", "internal error", .internalServerError)
  static let unauthorized = Refusal(101, "unauthorized", "an API key that is in force is needed", .unauthorized)
  static let permissionDenied = Refusal(
    103, "permission_denied", "this is not permitted here", .forbidden)
  /// What a caller's API key does not open, by its scopes or its patterns: the one refusal of a right
  /// that the API answers with its own status.
  static let outsideScope = Refusal(
    103, "permission_denied", "this API key does not open that", .forbidden)
  static let methodNotFound = Refusal(104, "method_not_found", "there is no such method", .notFound)
  static func tooManyChannels(_ most: Int) -> Refusal {
    Refusal(
      106, "limit_exceeded", "one connection may have \(most) channels, and no more",
      .tooManyRequests)
  }
  static let noRoomForChannel = Refusal(
    106, "limit_exceeded",
    "as many channels as may be are open, here or for this address: others have to end first",
    .tooManyRequests)
  static let batchIsFull = Refusal(
    106, "limit_exceeded",
    "not done: the answers before it fill the batch; ask again in another one", .tooManyRequests)
  static let tooManyConnections = Refusal(
    153, "overloaded", "the gateway has as many connections as it may", .serviceUnavailable,
    retryAfterMs: 1000)
  static let tooManyOfAddress = Refusal(
    106, "limit_exceeded", "this address has as many connections as it may", .tooManyRequests,
    retryAfterMs: 1000)
  static let noHistory = Refusal(
    108, "not_available", "this channel keeps no history", .notFound)
  static let historyIsState = Refusal(
    108, "not_available", "this channel's type builds its state from the history: it stays", .conflict)
  static let noState = Refusal(
    108, "not_available", "only durable channels whose type folds their history have a state",
    .notFound)
  static let foldTooLong = Refusal(
    106, "limit_exceeded", "the history is too long to be folded in one call", .gatewayTimeout)
  static func beyondHead(_ head: Offset) -> Refusal {
    Refusal(164, "beyond_head", "the stream ends at offset \(head)", .conflict)
  }
  static let notRemovableYet = Refusal(
    108, "not_available", "the service that keeps this history is too old to remove it", .notFound)
  static let partsNotCarried = Refusal(
    108, "not_available", "JSON with parts has no door here: send JSON, text or bytes",
    .badRequest)
  static let noTimelinesYet = Refusal(
    108, "not_available", "the event store is too old to do this", .notFound)
  static let notDurable = Refusal(
    108, "not_available", "only durable channels have streams", .notFound)
  static func nameTaken(_ message: String) -> Refusal {
    Refusal(162, "name_taken", message, .conflict)
  }
  static let unrecoverable = Refusal(
    112, "unrecoverable_position", "the history from that position is gone", .gone)
  static let conflict = Refusal(
    150, "offset_conflict", "the stream is not at the expected offset", .conflict)
  static let idempotencyConflict = Refusal(
    151, "idempotency_conflict", "this key was used before with another payload", .conflict)
  static let unavailable = Refusal(
    152, "unavailable", "a service that this needs can't be reached; try again",
    .serviceUnavailable, retryAfterMs: 1000)
  static let storeUnavailable = Refusal(
    152, "store_unavailable",
    "the event store can't be reached: nothing that has to last is taken or served now; try again",
    .serviceUnavailable, retryAfterMs: 1000)
  static let overloaded = Refusal(
    153, "overloaded", "too much is waiting already; try again", .serviceUnavailable,
    retryAfterMs: 1000)
  static let noMemory = Refusal(
    153, "overloaded", "there is no room for so large a body now; try again", .serviceUnavailable,
    retryAfterMs: 1000)
  static let slowConsumer = Refusal(
    160, "slow_consumer", "too slow for a durable channel: come back with your position",
    .serviceUnavailable, retryAfterMs: 1000)
  static let outOfSpace = Refusal(
    154, "out_of_space", "the disk is full; nothing was stored", .insufficientStorage)

  /// Too many in too short a time: one more is allowed after `wait`.
  static func rateLimited(_ what: String, _ wait: Duration) -> Refusal {
    Refusal(
      111, "rate_limited", "too many \(what) in a short time", .tooManyRequests,
      retryAfterMs: Int(clamping: max(1, wait.millisecondsClamped + 1)))
  }

  static func badRequest(_ message: String) -> Refusal {
    Refusal(107, "bad_request", message, .badRequest)
  }

  /// Of a name that could be one, where the configuration has no rule for it.
  static func unknownChannel(_ name: ChannelName) -> Refusal {
    Refusal(
      102, "unknown_channel", "there is no channel \"\(name.text)\": no rule of `channels` names it",
      .notFound)
  }

  static func unknownChannel(_ name: String) -> Refusal {
    let shown = name.utf8.count > 64 ? "of \(name.utf8.count) bytes" : "\"\(name)\""
    return Refusal(
      102, "unknown_channel",
      "the name \(shown) is no channel: 1 to 255 of A-Z a-z 0-9 _ : . @ # , = -", .notFound)
  }

  /// - Parameter reason: where in the payload and what is wrong there.
  static func invalidPayload(_ reason: String) -> Refusal {
    Refusal(161, "invalid_payload", reason, .unprocessableContent)
  }

  static func tooLarge(_ bytesMax: Int) -> Refusal {
    Refusal(155, "too_large", "the payload is over \(bytesMax) bytes", .contentTooLarge)
  }

  init(_ failure: Failure) {
    switch failure.code {
    case .offsetConflict: self = .conflict
    case .idempotencyConflict: self = .idempotencyConflict
    case .unrecoverable:
      self = .unrecoverable
      if failure.message != failure.code.reason { message += ": \(failure.message)" }
    case .fenced, .sequenceGap: self = .producer(failure)
    case .beyondHead: self = Refusal(164, "beyond_head", failure.message, .conflict)
    case .nameTaken: self = .nameTaken(failure.message)
    case .badRequest: self = .badRequest(failure.message)
    case .noHistory: self = .noHistory
    case .outOfSpace: self = .outOfSpace
    case .overloaded, .limitReached: self = .overloaded
    case .tooLarge: self = Refusal(155, "too_large", failure.message, .contentTooLarge)
    case .notFound: self = Refusal(156, "not_found", failure.message, .notFound)
    case .hashMismatch:
      self = Refusal(157, "hash_mismatch", failure.message, .unprocessableContent)
    case .corrupt: self = Refusal(158, "corrupt", failure.message, .internalServerError)
    case .linkLost, .deadlineExceeded:
      self = Refusal(
        159, "outcome_unknown",
        "no answer came; it may or may not have been done: retry with the same idempotency key",
        .gatewayTimeout, retryAfterMs: 1000)
    case .unavailable, .draining, .silent: self = .unavailable
    default: self = .internalError
    }
  }

  init(_ error: ChannelError) {
    self.init(
      Int(error.code), error.name, error.message, error.isRetryable ? .conflict : .badRequest)
    if error.name == "not_permitted" { status = .forbidden }
  }
}
