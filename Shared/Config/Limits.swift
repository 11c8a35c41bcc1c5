/// Every cap of the platform, with its default. What each means, its range and what happens at it
/// is in `Limits.table`; docs/CONFIGURATION.md shows that table.
///
/// A value: services read it at start and hand down what each part needs.
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
  public var channelsPerConnection = 128
  public var requestsPerSecond = 200
  public var framesPerSecond = 1_000
  public var publicationsPerSecond = 200
  public var subscriptionsPerSecond = 100
  public var burstWindow: Duration = .seconds(2)
  public var clientQueueBytes = 1 << 20
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
  case connections, connectionsPerAddress, channelsPerConnection, requestsPerSecond
  case framesPerSecond, publicationsPerSecond, subscriptionsPerSecond, burstWindow
  case clientQueueBytes, compressionContextBytes, recoveryHeldBytes
  case publicationBytes, idempotencyKeyBytes, durableIdempotencyWindow, idempotencyWindow
  case idempotencyKeys, commitEvents, commitBytes, appendQueueBytes
  case linkChannels, requestTimeout
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
  }

  public let name: LimitName
  public let slot: Slot
  /// What it may be set to: counts, bytes, or milliseconds.
  public let range: ClosedRange<Int64>
  /// What is done with what exceeds it.
  public let overflow: String
  /// Why there is a limit, in one line.
  public let reason: String
  /// Whether the gateway counts in `Limits.metric` how often it was reached. Not where reaching it
  /// is the ordinary course of things, or a service without a metrics page keeps to it.
  public let isCounted: Bool

  init(
    _ name: LimitName, _ slot: Slot, _ range: ClosedRange<Int64>, at overflow: String,
    for reason: String, isCounted: Bool = true
  ) {
    self.name = name
    self.slot = slot
    self.range = range
    self.overflow = overflow
    self.reason = reason
    self.isCounted = isCounted
  }
}

extension Limits {
  /// The counter of what was refused, cut or dropped, by limit; label `limit`, values `LimitName`.
  public static let metric = "sapphire_limit_reached_total"

  /// The value of one limit as counts, bytes or milliseconds.
  public func value(of limit: Limit) -> Int64 {
    switch limit.slot {
    case .count(let path), .bytes(let path): Int64(self[keyPath: path])
    case .duration(let path): self[keyPath: path].milliseconds
    }
  }

  /// The value of one limit as a configuration writes it: `100`, `64KiB`, `5s`.
  public func text(of limit: Limit) -> String { limit.text(value(of: limit)) }
}

extension Limit {
  /// A value of this limit's unit as a configuration writes it.
  func text(_ value: Int64) -> String {
    switch slot {
    case .count: String(value)
    case .bytes: written(bytes: value)
    case .duration: written(milliseconds: value)
    }
  }
}
