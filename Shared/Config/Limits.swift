/// Every cap of the platform, with its default. What each means, its range and what happens at it
/// is in `Limits.table`; docs/CONFIGURATION.md shows that table.
///
/// A value: services read it at start and hand down what each part needs; SIGHUP brings another one.
public struct Limits: Sendable, Equatable {
  // HTTP
  public var httpHeadBytes = 16 << 10
  public var httpFieldBytes = 8 << 10
  public var httpFields = 100
  public var httpURLBytes = 8 << 10
  public var httpBodyBytes = 4 << 20
  public var httpHeadTimeout: Duration = .seconds(5)
  public var httpBodyTimeout: Duration = .seconds(30)
  public var httpIdleTimeout: Duration = .seconds(75)
  public var requestsPerConnection = 10_000
  public var pollTimeout: Duration = .seconds(60)
  public var transferRate = 1_024
  public var batchCommands = 1_000
  public var historyPage = 300

  // WebSocket
  public var wsMessageBytes = 1536 << 10
  public var wsFragments = 65_536
  public var wsInflateRatio = 100
  public var tlsHandshakeTimeout: Duration = .seconds(10)
  public var wsHandshakeTimeout: Duration = .seconds(5)
  public var wsFrameTimeout: Duration = .seconds(30)
  public var echoMessageBytes = 16 << 20
  public var pingInterval: Duration = .seconds(25)
  public var pongTimeout: Duration = .seconds(10)

  // Clients
  public var connections = 100_000
  public var connectionsPerAddress = 1_000
  public var connectionsPerUser = 100
  public var channelsPerConnection = 128
  public var channelsPerAddress = 65_536
  public var requestsPerSecond = 200
  public var framesPerSecond = 1_000
  public var publicationsPerSecond = 200
  public var subscriptionsPerSecond = 100
  public var controlRate: MessageRate? = MessageRate(200, per: .second, burst: 400)
  public var stateRate: MessageRate?
  public var ephemeralRate: MessageRate?
  public var bulkRate: MessageRate?
  public var controlRatePerUser: MessageRate?
  public var stateRatePerUser: MessageRate?
  public var ephemeralRatePerUser: MessageRate?
  public var bulkRatePerUser: MessageRate?
  public var controlRatePerAddress: MessageRate?
  public var stateRatePerAddress: MessageRate?
  public var ephemeralRatePerAddress: MessageRate?
  public var bulkRatePerAddress: MessageRate?
  public var bulkBytes = 64 << 10
  public var burstWindow: Duration = .seconds(2)
  public var clientQueueBytes = 1 << 20
  /// 0: a share of the memory there is.
  public var clientMemoryBytes = 0
  public var compressionContextBytes = 64 << 20
  public var recoveryHeldBytes = 4 << 20

  // Publications
  public var publicationBytes = 1 << 20
  public var idempotencyKeyBytes = 128
  public var durableIdempotencyWindow: Duration = .seconds(86_400)
  public var idempotencyWindow: Duration = .seconds(300)
  public var idempotencyKeys = 100_000
  public var commitEvents = 4_096
  public var commitBytes = 4 << 20
  public var appendQueueBytes = 64 << 20

  // Services: links, hub, presence, vault
  public var linkChannels = 262_144
  public var requestTimeout: Duration = .seconds(5)
  public var relayedRequests = 16_384
  public var hubChannels = 1_000_000
  public var hubHistoryBytes = 256 << 20
  public var presenceInfoBytes = 4 << 10
  public var presenceMembers = 100_000
  public var presencePage = 1_000
  public var vaultFileBytes = 1 << 30
  public var drainTimeout: Duration = .seconds(20)

  /// Whether peers on this machine, by loopback or a Unix socket, are free of the limits of clients:
  /// of connections, frames, publications, subscriptions and requests.
  public var loopbackExempt = true

  public init() {}
}

/// The names of the limits: keys of the section `limits`, and values of the label `limit` of the
/// metric `Limits.metric`.
public enum LimitName: String, Sendable, CaseIterable, Hashable {
  case httpHeadBytes, httpFieldBytes, httpFields, httpURLBytes, httpBodyBytes
  case httpHeadTimeout, httpBodyTimeout, httpIdleTimeout, requestsPerConnection, pollTimeout
  case transferRate, batchCommands, historyPage
  case wsMessageBytes, wsFragments, wsInflateRatio, tlsHandshakeTimeout, wsHandshakeTimeout, wsFrameTimeout
  case echoMessageBytes
  case pingInterval, pongTimeout
  case connections, connectionsPerAddress, connectionsPerUser, channelsPerConnection, channelsPerAddress
  case requestsPerSecond, framesPerSecond, publicationsPerSecond, subscriptionsPerSecond
  case controlRate, stateRate, ephemeralRate, bulkRate
  case controlRatePerUser, stateRatePerUser, ephemeralRatePerUser, bulkRatePerUser
  case controlRatePerAddress, stateRatePerAddress, ephemeralRatePerAddress, bulkRatePerAddress
  case bulkBytes, burstWindow
  case clientQueueBytes, clientMemoryBytes, compressionContextBytes, recoveryHeldBytes
  case publicationBytes, idempotencyKeyBytes, durableIdempotencyWindow, idempotencyWindow
  case idempotencyKeys, commitEvents, commitBytes, appendQueueBytes
  case linkChannels, requestTimeout, relayedRequests
  case hubChannels, hubHistoryBytes, presenceInfoBytes, presenceMembers, presencePage
  case vaultFileBytes, drainTimeout
}

/// One cap: where its value is, what it may be, and what happens to what goes beyond it (D19).
public struct Limit: Sendable {
  /// The property of `Limits`, which also says the unit.
  public enum Slot: Sendable {
    case count(any WritableKeyPath<Limits, Int> & Sendable)
    case bytes(any WritableKeyPath<Limits, Int> & Sendable)
    case duration(any WritableKeyPath<Limits, Duration> & Sendable)
    /// Nil: no rate.
    case rate(any WritableKeyPath<Limits, MessageRate?> & Sendable)
  }

  /// When a running service takes over another value, on SIGHUP.
  public enum Uptake: Sendable, Equatable {
    case atOnce
    /// For what begins from then on: connections, or channels that are opened.
    case newcomers
    /// Not before it is started again.
    case restart
  }

  public let name: LimitName
  public let slot: Slot
  /// What it may be set to: counts, bytes, milliseconds, or the count of a rate.
  public let range: ClosedRange<Int64>
  /// What is done with what exceeds it.
  public let overflow: String
  /// Why there is a limit, in one line.
  public let reason: String
  /// Whether the gateway counts in `Limits.metric` how often it was reached. Not where reaching it
  /// is the ordinary course of things, or a service without a metrics page keeps to it.
  public let isCounted: Bool
  /// The services that keep to it.
  public let keepers: [ServiceName]
  public let uptake: Uptake

  init(
    _ name: LimitName, _ slot: Slot, _ range: ClosedRange<Int64>, at overflow: String,
    for reason: String, isCounted: Bool = true, by keepers: [ServiceName] = [.gateway],
    uptake: Uptake = .atOnce
  ) {
    self.name = name
    self.slot = slot
    self.range = range
    self.overflow = overflow
    self.reason = reason
    self.isCounted = isCounted
    self.keepers = keepers
    self.uptake = uptake
  }
}

extension Limits {
  /// The counter of what was refused, cut or dropped, by limit; label `limit`, values `LimitName`.
  public static let metric = "sapphire_limit_reached_total"

  /// The value of one limit as counts, bytes, milliseconds, or the count of a rate; 0: no rate.
  public func value(of limit: Limit) -> Int64 {
    switch limit.slot {
    case .count(let path), .bytes(let path): Int64(self[keyPath: path])
    case .duration(let path): self[keyPath: path].milliseconds
    case .rate(let path): Int64(self[keyPath: path]?.count ?? 0)
    }
  }

  /// The value of one limit as a configuration writes it: `100`, `64KiB`, `5s`, `60/s`, `none`.
  public func text(of limit: Limit) -> String {
    guard case .rate(let path) = limit.slot else { return limit.text(value(of: limit)) }
    return self[keyPath: path]?.text ?? "none"
  }

  /// What one class of messages may do in a time by whom it is counted; nil: as much as it likes.
  public func rate(of messageClass: MessageClass, by scope: RateScope) -> MessageRate? {
    switch (messageClass, scope) {
    case (.control, .connection): controlRate
    case (.state, .connection): stateRate
    case (.ephemeral, .connection): ephemeralRate
    case (.bulk, .connection): bulkRate
    case (.control, .user): controlRatePerUser
    case (.state, .user): stateRatePerUser
    case (.ephemeral, .user): ephemeralRatePerUser
    case (.bulk, .user): bulkRatePerUser
    case (.control, .address): controlRatePerAddress
    case (.state, .address): stateRatePerAddress
    case (.ephemeral, .address): ephemeralRatePerAddress
    case (.bulk, .address): bulkRatePerAddress
    }
  }
}

extension Limit {
  /// A value of this limit's unit as a configuration writes it.
  func text(_ value: Int64) -> String {
    switch slot {
    case .count: String(value)
    case .bytes: written(bytes: value)
    case .duration: written(milliseconds: value)
    case .rate: MessageRate(Int(clamping: value), per: .second).text
    }
  }
}

extension LimitName {
  /// The row that has the rate of `messageClass` by `scope`.
  public init(rateOf messageClass: MessageClass, by scope: RateScope) {
    self =
      switch (messageClass, scope) {
      case (.control, .connection): .controlRate
      case (.state, .connection): .stateRate
      case (.ephemeral, .connection): .ephemeralRate
      case (.bulk, .connection): .bulkRate
      case (.control, .user): .controlRatePerUser
      case (.state, .user): .stateRatePerUser
      case (.ephemeral, .user): .ephemeralRatePerUser
      case (.bulk, .user): .bulkRatePerUser
      case (.control, .address): .controlRatePerAddress
      case (.state, .address): .stateRatePerAddress
      case (.ephemeral, .address): .ephemeralRatePerAddress
      case (.bulk, .address): .bulkRatePerAddress
      }
  }
}
