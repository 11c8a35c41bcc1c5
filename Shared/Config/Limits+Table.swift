private let second: Int64 = 1_000
private let minute: Int64 = 60_000
private let day: Int64 = 86_400_000
private let kiB: Int64 = 1 << 10
private let miB: Int64 = 1 << 20
private let giB: Int64 = 1 << 30

extension Limits {
  /// All limits, in the order of the reference.
  public static let table: [Limit] = http + webSocket + clients + publications + services

  private static let http: [Limit] = [
    Limit(
      .httpHeadBytes, .bytes(\.httpHeadBytes), kiB...(63 * kiB), at: "431, close",
      for: "a head is held in memory until it is whole", uptake: .newcomers),
    Limit(
      .httpFieldBytes, .bytes(\.httpFieldBytes), 256...(63 * kiB), at: "431, close",
      for: "one field, name and value", uptake: .newcomers),
    Limit(
      .httpFields, .count(\.httpFields), 10...10_000, at: "431, close",
      for: "fields of one head", uptake: .newcomers),
    Limit(
      .httpURLBytes, .bytes(\.httpURLBytes), 256...(60 * kiB), at: "414, close",
      for: "room for many channels in one query", uptake: .newcomers),
    Limit(
      .httpBodyBytes, .bytes(\.httpBodyBytes), kiB...giB, at: "413, close",
      for: "a body is held until it is whole; vault uploads are streamed and have their own"),
    Limit(
      .httpHeadTimeout, .duration(\.httpHeadTimeout), 100...(10 * minute), at: "408, close",
      for: "slow senders hold descriptors"),
    Limit(
      .httpBodyTimeout, .duration(\.httpBodyTimeout), 100...(60 * minute), at: "408, close",
      for: "a body that stands still; in each such time transferRate has to be kept as well"),
    Limit(
      .httpIdleTimeout, .duration(\.httpIdleTimeout), 100...day, at: "close",
      for: "a kept-alive connection without a request, or an answer of which nothing is taken"),
    Limit(
      .requestsPerConnection, .count(\.requestsPerConnection), 1...1_000_000_000,
      at: "Connection: close", for: "requests of one kept-alive connection; the next ones come on another"),
    Limit(
      .pollTimeout, .duration(\.pollTimeout), second...(60 * minute), at: "the answer comes then",
      for: "the longest that /poll waits for something new", isCounted: false),
    Limit(
      .transferRate, .count(\.transferRate), 1...giB, at: "408 or 1008, close; an answer is cut off",
      for: "bytes per second that an unfinished body or message makes, and an answer in its time"),
    Limit(
      .batchCommands, .count(\.batchCommands), 1...100_000, at: "error 107",
      for: "commands of one batch and channels of one broadcast"),
    Limit(
      .historyPage, .count(\.historyPage), 1...10_000, at: "page ends, next one to be asked for",
      for: "publications that one history answer or one read of recovery holds", isCounted: false),
  ]

  private static let webSocket: [Limit] = [
    Limit(
      .wsMessageBytes, .bytes(\.wsMessageBytes), 256...(256 * miB), at: "close 1009",
      for: "a message from a client, fragments together, also once unfolded; refused from the header alone",
      uptake: .newcomers),
    Limit(
      .wsFragments, .count(\.wsFragments), 1...1_000_000, at: "close 1009",
      for: "frames of one message, before its last", uptake: .newcomers),
    Limit(
      .wsInflateRatio, .count(\.wsInflateRatio), 10...1_100, at: "close 1009",
      for: "a compressed message unfolds to so many times its size; 1.5 × publicationBytes are free",
      uptake: .newcomers),
    Limit(
      .tlsHandshakeTimeout, .duration(\.tlsHandshakeTimeout), 100...(10 * minute), at: "close",
      for: "from accept to the end of TLS' handshake, which may wait for those of others"),
    Limit(
      .wsHandshakeTimeout, .duration(\.wsHandshakeTimeout), 100...(10 * minute), at: "close",
      for: "from accept, or TLS' handshake, to the end of the first request's head"),
    Limit(
      .wsFrameTimeout, .duration(\.wsFrameTimeout), 100...(60 * minute), at: "close 1008",
      for: "a message that stands still; in each such time transferRate has to be kept as well"),
    Limit(
      .echoMessageBytes, .bytes(\.echoMessageBytes), 256...(256 * miB), at: "close 1009",
      for: "a message to /ws/echo", uptake: .newcomers),
    Limit(
      .pingInterval, .duration(\.pingInterval), second...day, at: "a ping is sent",
      for: "finds dead peers and keeps proxies from closing", isCounted: false),
    Limit(
      .pongTimeout, .duration(\.pongTimeout), 100...day, at: "close",
      for: "a peer that doesn't answer a ping, nor takes what was sent before it, is gone"),
  ]

  private static let clients: [Limit] = connected + rates + queued

  private static let connected: [Limit] = [
    Limit(
      .connections, .count(\.connections), 1...10_000_000, at: "503, close",
      for: "connections of one gateway; descriptors may allow fewer; not for loopback peers"),
    Limit(
      .connectionsPerAddress, .count(\.connectionsPerAddress), 1...10_000_000, at: "429, close",
      for: "connections from one address; not for loopback peers"),
    Limit(
      .connectionsPerUser, .count(\.connectionsPerUser), 1...10_000_000,
      at: "429, Retry-After; 4429 on a socket; a stream ends",
      for: "sockets, streams and polls of one user in this gateway; not for loopback peers"),
    Limit(
      .channelsPerConnection, .count(\.channelsPerConnection), 1...100_000, at: "error 106",
      for: "channels that one connection has subscribed to"),
    Limit(
      .channelsPerAddress, .count(\.channelsPerAddress), 1...16_777_216,
      at: "one without subscribers closed, else error 106",
      for: "channels of a loop that clients of one address brought into being; not for loopback peers"),
    Limit(
      .requestsPerSecond, .count(\.requestsPerSecond), 1...10_000_000, at: "429, Retry-After",
      for: "requests without an API key from one address; not for loopback peers"),
    Limit(
      .framesPerSecond, .count(\.framesPerSecond), 1...10_000_000, at: "close 1008",
      for: "frames from one client, pings and fragments too, and 64 KiB unfolded; not for loopback peers"),
    Limit(
      .publicationsPerSecond, .count(\.publicationsPerSecond), 1...10_000_000, at: "error 111",
      for: "publications of one client; not for loopback peers"),
    Limit(
      .subscriptionsPerSecond, .count(\.subscriptionsPerSecond), 1...10_000_000, at: "error 111",
      for: "subscriptions asked for on one connection after it is open; not for loopback peers"),
  ]

  private static let rates: [Limit] = [
    rate(.control, .connection, \.controlRate),
    rate(.state, .connection, \.stateRate),
    rate(.ephemeral, .connection, \.ephemeralRate),
    rate(.bulk, .connection, \.bulkRate),
    rate(.control, .user, \.controlRatePerUser),
    rate(.state, .user, \.stateRatePerUser),
    rate(.ephemeral, .user, \.ephemeralRatePerUser),
    rate(.bulk, .user, \.bulkRatePerUser),
    rate(.control, .address, \.controlRatePerAddress),
    rate(.state, .address, \.stateRatePerAddress),
    rate(.ephemeral, .address, \.ephemeralRatePerAddress),
    rate(.bulk, .address, \.bulkRatePerAddress),
    Limit(
      .bulkBytes, .bytes(\.bulkBytes), kiB...(16 * miB), at: "the publication is bulk",
      for: "where the channel's rule names no class", isCounted: false),
    Limit(
      .burstWindow, .duration(\.burstWindow), 100...(10 * minute), at: "the rate's own",
      for: "what of a rate per second may come at once: a rate of 100 and 2s let 200 through",
      isCounted: false),
  ]

  private static func rate(
    _ messageClass: MessageClass, _ scope: RateScope,
    _ path: any WritableKeyPath<Limits, MessageRate?> & Sendable
  ) -> Limit {
    let what =
      switch messageClass {
      case .control: "what clients of several channels ask for: subscribe, connect, ping …"
      case .state: "publications in channels with a history"
      case .ephemeral: "publications in channels without a history"
      case .bulk: "publications of bulkBytes and more"
      }
    return Limit(
      LimitName(rateOf: messageClass, by: scope), .rate(path), MessageRate.countRange,
      at: "error 111", for: "\(what); of one \(scope.rawValue)")
  }

  private static let queued: [Limit] = [
    Limit(
      .clientQueueBytes, .bytes(\.clientQueueBytes), 4_096...giB,
      at: "each channel's slowConsumer",
      for: "what waits for one slow client; others are not slowed"),
    Limit(
      .clientMemoryBytes, .bytes(\.clientMemoryBytes), 0...(1_024 * giB),
      at: "the user or address that holds most loses its largest: close 1009 or 4008; 503, Retry-After; error 153",
      for: "what all clients make a gateway hold: bodies, messages, queues; 0: a quarter of the memory"),
    Limit(
      .compressionContextBytes, .bytes(\.compressionContextBytes), 0...(64 * giB),
      at: "the connection keeps no context",
      for: "contexts of compression that connections keep, all together", uptake: .newcomers),
    Limit(
      .recoveryHeldBytes, .bytes(\.recoveryHeldBytes), 4_096...giB,
      at: "held ones dropped and read again from the store",
      for: "live publications held while one channel's past is being read", uptake: .newcomers),
  ]

  private static let publications: [Limit] = [
    Limit(
      .publicationBytes, .bytes(\.publicationBytes), 1...(16 * miB), at: "error 155; 413 over HTTP",
      for: "payload of one publication"),
    Limit(
      .idempotencyKeyBytes, .bytes(\.idempotencyKeyBytes), 16...255, at: "error 107",
      for: "an idempotency key"),
    Limit(
      .durableIdempotencyWindow, .duration(\.durableIdempotencyWindow), minute...(30 * day),
      at: "key forgotten", for: "how long keys are kept on durable channels",
      isCounted: false, by: [.eventstore], uptake: .restart),
    Limit(
      .idempotencyWindow, .duration(\.idempotencyWindow), second...day, at: "key forgotten",
      for: "how long keys are kept on other channels, in memory", isCounted: false, by: [.hub]),
    Limit(
      .idempotencyKeys, .count(\.idempotencyKeys), 1...100_000_000, at: "oldest key forgotten",
      for: "keys of channels that are not durable", isCounted: false, by: [.hub]),
    Limit(
      .commitEvents, .count(\.commitEvents), 1...65_536, at: "the rest waits for the next commit",
      for: "events of one transaction", isCounted: false, by: [.eventstore]),
    Limit(
      .commitBytes, .bytes(\.commitBytes), 65_536...giB, at: "the rest waits for the next commit",
      for: "payloads of one transaction", isCounted: false, by: [.eventstore]),
    Limit(
      .appendQueueBytes, .bytes(\.appendQueueBytes), miB...(16 * giB), at: "503, Retry-After",
      for: "appends that wait for the event store's next commit", by: [.eventstore]),
  ]

  private static let services: [Limit] = [
    Limit(
      .linkChannels, .count(\.linkChannels), 16...16_777_216,
      at: "the one longest without subscribers closed, else error 106",
      for: "channels of one gateway loop, which are the names opened on its link",
      by: [.gateway, .hub]),
    Limit(
      .requestTimeout, .duration(\.requestTimeout), 10...(10 * minute),
      at: "error 159; 504 over HTTP", for: "an answer from another service"),
    Limit(
      .relayedRequests, .count(\.relayedRequests), 1...60_000, at: "503, Retry-After",
      for: "requests for sessions of other gateways that one gateway has under way, and those of others for its own"),
    Limit(
      .hubChannels, .count(\.hubChannels), 16...100_000_000,
      at: "the one quiet longest loses its history and epoch",
      for: "channels with a history in one hub's memory", isCounted: false, by: [.hub]),
    Limit(
      .hubHistoryBytes, .bytes(\.hubHistoryBytes), 65_536...(1_024 * giB),
      at: "oldest publications dropped", for: "histories in memory, all channels together",
      isCounted: false, by: [.hub]),
    Limit(
      .presenceInfoBytes, .bytes(\.presenceInfoBytes), 16...(60 * kiB), at: "member not listed",
      for: "info of one member", by: [.presence]),
    Limit(
      .presenceMembers, .count(\.presenceMembers), 1...10_000_000,
      at: "not listed, still counted", for: "members of one channel", by: [.presence]),
    Limit(
      .presencePage, .count(\.presencePage), 1...100_000, at: "page ends, next one to be asked for",
      for: "members that one answer of presence holds", isCounted: false, by: [.presence]),
    Limit(
      .vaultFileBytes, .bytes(\.vaultFileBytes), kiB...(1_024 * giB), at: "413",
      for: "content of one artifact"),
    Limit(
      .drainTimeout, .duration(\.drainTimeout), 100...(10 * minute), at: "exit code 1",
      for: "from SIGTERM to exit; what is left by then is given up", isCounted: false,
      by: ServiceName.allCases),
  ]
}
