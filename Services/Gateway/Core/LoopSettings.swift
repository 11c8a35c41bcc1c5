internal import Bytes
internal import ChannelKit
internal import Config
internal import HTTPCodec
internal import Platform
internal import WebSocketCodec

/// Everything a loop needs to know, the same for all loops.
struct LoopSettings: Sendable {
  var upstreams: Upstreams.Addresses
  var registry: ChannelRegistry
  /// Nil where no rule matches: there is no such channel.
  var policy: @Sendable (ChannelName) -> ChannelPolicy?
  /// As long as it is the same, so are the policies.
  var rulesVersion: @Sendable () -> Int = { 0 }
  /// The routes of the configuration; none takes the address of a built-in door.
  var routes: @Sendable () -> [RouteRule] = { [] }
  var access: AccessRules
  var authenticator: Authenticator
  var isEchoOn: Bool
  /// Loops of the process.
  var loops = 1
  var startedAt: Instant
  /// The metrics of the whole process, in Prometheus' text format.
  var renderMetrics: @Sendable () -> String
  /// Seconds since 1970.
  var startedAtSeconds = 0
  var proxies = TrustedProxies()
  var engine = EngineRules()
  var centrifuge = CentrifugeRules()
  /// Nil where no back end is asked anything.
  var hooks: HookRules?
  var connectionsMax = 1_000_000
  var connectionsPerAddressMax = 1_000
  var connectionsPerUserMax = 100
  /// What the gateway's clients have under way by their addresses and users, shared by all loops.
  let ledgers = ClientLedgers()
  /// Sessions that came back lately, shared by all loops.
  let reconnects = ReconnectLedger()
  /// Where the listeners speak TLS.
  var tls: TLSDoor?
  /// The value of `Strict-Transport-Security`, if it is sent.
  var strictTransportSecurity: String?
  var exemptsLoopback = true
  var rates = ClientRates(Limits())
  /// From here on a publication is bulk, where its channel's rule names no class.
  var bulkBytes = 65_536
  var channelsMax = 262_144
  var channelsPerConnectionMax = 128
  /// Of one loop, brought into being by clients of one address.
  var channelsPerAddressMax = 65_536
  /// One publication's payload.
  var payloadBytesMax = 1024 * 1024
  var echo = WebSocketLimits(messageBytesMax: 16 * 1024 * 1024)
  /// One message of a client.
  var message = WebSocketLimits()
  /// Publications held while a channel's past is read.
  var heldBytesMax = 4 * 1024 * 1024
  var keyBytesMax = 128
  /// Publications of one page of a history, and commands of one batch.
  var pageMax = 300
  var batchMax = 1_000
  var head = HTTPLimits()
  /// One API request's body.
  var bodyBytesMax = 8 * 1024 * 1024
  var compression = CompressionSettings()
  /// A compressed message unfolds to at most this many times its size.
  var inflateRatioMax = 100
  /// Below it the ratio doesn't count: a publication that may be published may be as dull as it
  /// likes, in base64 and with what a message has around it.
  var inflateFreeBytes: Int { max(65_536, payloadBytesMax / 2 * 3) }
  /// What contexts of compression may take, those of all loops together.
  var compressionContextBytesMax = 64 * 1024 * 1024
  /// Of channels with `maxSubscribers`, shared by all loops.
  let subscribers = SubscriberLedger()
  /// What clients make the gateway hold, those of all loops together.
  let memory = ClientMemory()
  var memoryMax = Int.max
  /// What may wait for one client.
  var queueBytesMax = 1024 * 1024
  var artifactBytesMax = 1024 * 1024 * 1024
  var publishMax = Duration.seconds(5) {
    didSet { publishMaxMs = UInt32(clamping: publishMax.millisecondsClamped) }
  }
  /// The same, as every request to a service says it.
  private(set) var publishMaxMs: UInt32 = 5_000
  /// At other gateways, and for them.
  var relaysMax = 16_384
  /// From accept to the end of TLS' handshake.
  var tlsHandshakeMax = Duration.seconds(10)
  /// From accept, or TLS' handshake, to the end of the first request's head.
  var firstHeadMax = Duration.seconds(5)
  var headMax = Duration.seconds(5)
  var requestsMax = 10_000
  var bodyMax = Duration.seconds(30)
  var idleMax = Duration.seconds(75)
  var messageMax = Duration.seconds(30)
  /// Bytes per second at least, of what is under way.
  var transferRate = 1_024
  /// Where clients of the Centrifuge protocol are found that speak by requests.
  let emulation = EmulationBook()
  /// Where clients of Socket.IO are found that may come back.
  let recoveries = RecoveryBook()
  var pingEvery = Duration.seconds(25)
  var pongMax = Duration.seconds(10)
  /// The longest that a poll waits for something new.
  var pollMax = Duration.seconds(60)

  /// Takes over another table, at start or while running; see `Limit.Uptake`.
  mutating func adopt(_ limits: Limits) {
    connectionsMax = limits.connections
    connectionsPerAddressMax = limits.connectionsPerAddress
    connectionsPerUserMax = limits.connectionsPerUser
    exemptsLoopback = limits.loopbackExempt
    rates = ClientRates(limits)
    bulkBytes = limits.bulkBytes
    channelsMax = limits.linkChannels
    channelsPerConnectionMax = limits.channelsPerConnection
    channelsPerAddressMax = limits.channelsPerAddress
    payloadBytesMax = limits.publicationBytes
    echo = WebSocketLimits(
      messageBytesMax: limits.echoMessageBytes, fragmentsMax: limits.wsFragments)
    message = WebSocketLimits(
      messageBytesMax: limits.wsMessageBytes, fragmentsMax: limits.wsFragments)
    heldBytesMax = limits.recoveryHeldBytes
    keyBytesMax = limits.idempotencyKeyBytes
    pageMax = limits.historyPage
    batchMax = limits.batchCommands
    bodyBytesMax = limits.httpBodyBytes
    queueBytesMax = limits.clientQueueBytes
    memoryMax = limits.clientMemoryBytes > 0 ? limits.clientMemoryBytes : Self.memoryShare
    inflateRatioMax = limits.wsInflateRatio
    compressionContextBytesMax = limits.compressionContextBytes
    artifactBytesMax = limits.vaultFileBytes
    publishMax = limits.requestTimeout
    relaysMax = limits.relayedRequests
    adoptTimes(limits)
  }

  /// A quarter of the memory there is, for clients that are let go by nothing else.
  private static let memoryShare = max(64 << 20, (MachineMemory.bytes ?? 4 << 30) / 4)

  private mutating func adoptTimes(_ limits: Limits) {
    head = HTTPLimits(
      headBytesMax: limits.httpHeadBytes, fieldBytesMax: limits.httpFieldBytes,
      fieldsMax: limits.httpFields, targetBytesMax: limits.httpURLBytes)
    tlsHandshakeMax = limits.tlsHandshakeTimeout
    firstHeadMax = limits.wsHandshakeTimeout
    headMax = limits.httpHeadTimeout
    requestsMax = limits.requestsPerConnection
    bodyMax = limits.httpBodyTimeout
    idleMax = limits.httpIdleTimeout
    messageMax = limits.wsFrameTimeout
    transferRate = limits.transferRate
    pingEvery = limits.pingInterval
    pongMax = limits.pongTimeout
    pollMax = limits.pollTimeout
  }

  var deadlines: HTTPDeadlines.Limits {
    HTTPDeadlines.Limits(
      firstHead: firstHeadMax, head: headMax, body: bodyMax, idle: idleMax,
      bytesPerSecond: transferRate)
  }

}
