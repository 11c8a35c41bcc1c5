internal import Bytes
internal import Centrifuge
internal import HTTPCodec
internal import Wire

/// What a refusal is to a Centrifuge client: the answer to a request, the end of a subscription, the
/// end of the connection. Pure.
extension Refusal {
  /// The protocol's code where there is one for it, and our own words.
  var centrifugeFailure: CentrifugeReply.Failure {
    var failure = centrifugeCode.failure
    failure.message = message
    // An application's own codes; plugins and back ends are the application.
    if (400...1999).contains(code) {
      failure.code = UInt32(code)
      failure.temporary = retryAfterMs > 0
    }
    return failure
  }

  private var centrifugeCode: CentrifugeErrorCode {
    if code < 150, let known = CentrifugeErrorCode.all.first(where: { $0.code == UInt32(code) }) {
      return known
    }
    switch status {
    case .unauthorized: return .unauthorized
    case .forbidden: return .permissionDenied
    case .notFound: return .notAvailable
    case .tooManyRequests: return .tooManyRequests
    case .internalServerError, .serviceUnavailable, .gatewayTimeout, .insufficientStorage:
      return .internalError
    default: return .badRequest
    }
  }

  /// The same for a subscription: a token that opens nothing is no reason to end the connection.
  var centrifugeSubscribeFailure: CentrifugeReply.Failure {
    guard status == .unauthorized, self != .tokenExpired else { return centrifugeFailure }
    var failure = CentrifugeErrorCode.permissionDenied.failure
    failure.message = message
    return failure
  }

  /// With which code a subscription ends.
  var centrifugeUnsubscribe: CentrifugeUnsubscribeCode {
    if self == .tokenExpired { return .expired }
    return isFinal ? .server : .insufficientState
  }

  /// With which code the connection ends.
  var centrifugeDisconnect: CentrifugeDisconnect {
    if let own = CentrifugeDisconnect(applicationCode: endsWith, reason: message) { return own }
    switch self {
    case .disconnected: return .forceNoReconnect
    case .signInFirst: return .stale
    case .tokenExpired: return .expired
    case .tooManyOfUser: return .connectionLimit
    default: break
    }
    switch status {
    case .unauthorized: return .invalidToken
    case .forbidden: return .permissionDenied
    case .tooManyRequests: return .tooManyRequests
    case .badRequest: return .badRequest
    default: return .serverError
    }
  }
}

/// A command's id, and what it asked for, as one number: what a session gives back with its answer.
struct CentrifugeTag: Equatable {
  enum Kind: Int64 { case subscribe = 1, unsubscribe, publish, refresh, subRefresh }

  var kind: Kind
  var id: UInt32

  init(_ kind: Kind, _ id: UInt32) {
    self.kind = kind
    self.id = id
  }

  init?(_ id: MessageID?) {
    guard case .number(let number)? = id, let kind = Kind(rawValue: number >> 32) else { return nil }
    self.init(kind, UInt32(truncatingIfNeeded: number))
  }

  var messageID: MessageID { .number(kind.rawValue << 32 | Int64(id)) }
}

/// A subscription that has not been answered yet. Pure.
struct PendingSubscription {
  /// The command's id; nil where the server subscribes the client.
  var id: UInt32?
  /// The client asked to go on from a position.
  var wasRecovering = false
  /// What it gets otherwise than others.
  var tailoring: Tailoring?
  /// What it said, where `since` is made from something else.
  var wanted = Subscription.Since.now
  /// That position; `.now` where it is none that could be.
  var since = Subscription.Since.now
  var wantsMembers = false
  /// A position that can't be had is an error, and no answer with `recovered: false`.
  var rejectsUnrecovered = false
  /// Where the subscription stands before what was gathered.
  var place: Subscription.Since?
  /// Of what was missed it is to get the latest alone.
  var wantsLatest = false
  /// The first step is over.
  var isBegun = false
  /// What the client asked for can't be had.
  var isLost = false
  var publications: [CentrifugePublication] = []
  /// For the application, and from it.
  var asked: [UInt8] = []
  var given: [UInt8] = []
  /// Where the last of them stands.
  var last: Position?

  init() {}

  init(_ ask: CentrifugeCommand.Subscribe, id: UInt32?) {
    self.id = id
    asked = ask.data
    wasRecovering = ask.recover
    wantsMembers = ask.joinLeave
    rejectsUnrecovered = ask.flag & 2 != 0
    guard ask.recover else { return }
    // Without an epoch there was no history, so that all there is now is new.
    if ask.epoch.isEmpty, ask.offset == 0 {
      since = .empty
    } else if let epoch = Epoch(ask.epoch) {
      since = .position(Position(epoch: epoch, offset: Offset(ask.offset)))
    }
  }

  /// Whether nothing is missing between where the client was and what it gets.
  var isRecovered: Bool {
    guard wasRecovering, !isLost else { return false }
    // The latest is all that there is to recover, wherever the client was.
    if wantsLatest { return true }
    switch (since, place) {
    case (.empty, .empty?): return true
    case (.empty, .position(let found)?): return found.offset == .zero
    case (.position(let wanted), .position(let found)?): return wanted == found
    default: return false
    }
  }

  /// Makes what was gathered the latest alone, and nothing where the client has that already.
  mutating func keepLatest() {
    guard wantsLatest else { return }
    publications.removeFirst(max(0, publications.count - 1))
    if case .position(let had) = wanted, had == last { publications = [] }
  }

  /// Where the client stands with what was gathered.
  var position: Position? {
    if let last { return last }
    if case .position(let position)? = place { return position }
    return nil
  }
}
