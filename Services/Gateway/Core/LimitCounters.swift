internal import Config
internal import HTTPCodec
internal import Observe
internal import WebSocketCodec
internal import Wire

/// A limit as a label of `Limits.metric`: those of the table that the gateway counts.
struct CountedLimit: MetricLabel {
  static let labelName = "limit"
  static let allCases = Config.Limits.table.filter(\.isCounted).map { CountedLimit($0.name) }

  let name: LimitName
  var rawValue: String { name.rawValue }

  init(_ name: LimitName) { self.name = name }
  init?(rawValue: String) {
    guard let name = LimitName(rawValue: rawValue) else { return nil }
    self.name = name
  }
}

/// How often each limit was reached, over all loops: `sapphire_limit_reached_total{limit="…"}`.
struct LimitCounters: Sendable {
  private let family: CounterFamily<CountedLimit>
  /// Kept, since a slow client reaches them many times a second.
  let clientQueueBytes: Counter
  let recoveryHeldBytes: Counter

  init(_ metrics: Metrics) {
    family = metrics.counters(
      Config.Limits.metric, "What a limit refused, cut or dropped, by its name.",
      by: CountedLimit.self)
    clientQueueBytes = family[CountedLimit(.clientQueueBytes)]
    recoveryHeldBytes = family[CountedLimit(.recoveryHeldBytes)]
  }

  func reached(_ limit: LimitName) { family[CountedLimit(limit)].add() }

  func reached(_ error: HTTPError) {
    switch error {
    case .headTooLarge: reached(.httpHeadBytes)
    case .fieldTooLong: reached(.httpFieldBytes)
    case .tooManyFields: reached(.httpFields)
    case .targetTooLong: reached(.httpURLBytes)
    case .bodyTooLarge: reached(.httpBodyBytes)
    default: break
    }
  }

  func reached(_ error: WebSocketError, messageLimit: LimitName) {
    switch error {
    case .messageTooBig: reached(messageLimit)
    case .tooManyFragments: reached(.wsFragments)
    case .compressionBomb: reached(.wsInflateRatio)
    default: break
    }
  }

  /// - Parameter overload: the limit that a peer's *overloaded* stands for.
  func reached(_ failure: Failure, overload: LimitName? = nil) {
    switch failure.code {
    case .deadlineExceeded: reached(.requestTimeout)
    case .overloaded: if let overload { reached(overload) }
    default: break
    }
  }
}
