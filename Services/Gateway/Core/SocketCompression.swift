internal import Config
internal import Deflate
internal import Observe
internal import WebSocketCodec

/// What the handshake of one connection agreed on: how its messages are unfolded and compressed.
///
/// Connections without a context share one for each window of a loop, so that compression costs
/// them nothing between two messages. One that keeps contexts gives their memory back to the
/// common budget when it goes. Loop-confined.
final class SocketCompression {
  let compressor: MessageCompressor
  /// The compressor's window in bits where it is shared; nil where it is this connection's own.
  let sharedWindowBits: Int?
  private let inflater: MessageInflater
  private let metrics: CompressionMetrics
  private let contextBytes: Int

  fileprivate init(
    _ compressor: MessageCompressor, sharedWindowBits: Int?, _ inflater: MessageInflater,
    contextBytes: Int, _ metrics: CompressionMetrics
  ) {
    self.compressor = compressor
    self.sharedWindowBits = sharedWindowBits
    self.inflater = inflater
    self.metrics = metrics
    self.contextBytes = contextBytes
  }

  deinit { metrics.contextBytes.add(-contextBytes) }

  /// The client's next event; what its message unfolded to counts for its rate as well.
  func next(
    _ reader: inout WebSocketReader, _ bytes: borrowing Span<UInt8>, _ offset: inout Int,
    _ watch: inout SocketWatch
  ) throws(WebSocketError) -> WebSocketEvent? {
    try reader.next(bytes, from: &offset) { compressed, bytesMax, output throws(WebSocketError) in
      try inflate(compressed, bytesMax, &output)
      watch.unfolded(output.count)
    }
  }

  /// Unfolds one compressed message of the client, for `WebSocketReader`.
  func inflate(
    _ compressed: borrowing Span<UInt8>, _ bytesMax: Int, _ output: inout [UInt8]
  ) throws(WebSocketError) {
    metrics.inflations.add()
    do throws(InflateError) {
      try inflater.inflate(compressed, into: &output, bytesMax: bytesMax)
    } catch {
      switch error {
      case .corrupt, .truncated: throw .invalidCompression
      case .tooBig: throw .messageTooBig
      case .bomb: throw .compressionBomb
      }
    }
  }
}

/// What one loop compresses with: makes a `SocketCompression` of each handshake that offers it.
final class LoopCompression {
  private var settings: CompressionSettings
  private var contextBytesMax: Int
  private var ratio: (max: Int, freeBytes: Int)
  private let metrics: GatewayMetrics
  private var inflater: MessageInflater
  /// Compressors without a context, and what connections share that use them, by their window.
  private var compressors: [Int: MessageCompressor] = [:]
  private var shared: [Int: SocketCompression] = [:]

  /// `contextBytesMax` is for the contexts of all loops together, which share their metrics. Beyond
  /// `freeBytes` a client's message may unfold to `ratioMax` times its size.
  init(
    _ settings: CompressionSettings, contextBytesMax: Int, ratioMax: Int, freeBytes: Int,
    _ metrics: GatewayMetrics
  ) {
    self.settings = settings
    self.contextBytesMax = contextBytesMax
    ratio = (ratioMax, freeBytes)
    self.metrics = metrics
    inflater = MessageInflater(
      context: .newForEachMessage, ratioMax: ratioMax, ratioFreeBytes: freeBytes)
  }

  /// Goes on with other settings. What is shared is compressed as they say from now on; what a
  /// connection has agreed to stays as it is.
  func adopt(
    _ settings: CompressionSettings, contextBytesMax: Int, ratioMax: Int, freeBytes: Int
  ) {
    self.settings = settings
    self.contextBytesMax = contextBytesMax
    for compressor in compressors.values {
      compressor.adopt(level: settings.level, threshold: settings.threshold)
    }
    guard ratio != (ratioMax, freeBytes) else { return }
    ratio = (ratioMax, freeBytes)
    inflater = MessageInflater(
      context: .newForEachMessage, ratioMax: ratioMax, ratioFreeBytes: freeBytes)
    // Newcomers share another one.
    shared = [:]
  }

  /// The answer to a client's offers and what comes of it; nil where the connection goes on
  /// without compression.
  func agree(
    _ offers: [WebSocketExtension]
  ) -> (compression: SocketCompression, answer: WebSocketExtension)? {
    guard settings.enabled else { return nil }
    if settings.contextTakeover,
      let agreement = agreement(offers, server: .keptBetweenMessages, client: .keptBetweenMessages)
    {
      let bytes = Self.contextBytes(agreement)
      if reserve(bytes) { return (own(agreement, bytes), agreement.answer) }
      metrics.limits.reached(.compressionContextBytes)
    }
    guard
      let agreement = agreement(offers, server: .newForEachMessage, client: .newForEachMessage)
    else { return nil }
    return (shared(agreement.serverWindowBits), agreement.answer)
  }

  private func agreement(
    _ offers: [WebSocketExtension], server: PermessageDeflate.Context,
    client: PermessageDeflate.Context, serverWindowBits: Int? = nil
  ) -> PermessageDeflate.Agreement? {
    let ownBits = settings.contextWindowBits
    let serverBits =
      serverWindowBits ?? (server == .newForEachMessage ? settings.windowBits : ownBits)
    let agreed = PermessageDeflate.agree(
      offers: offers,
      settings: PermessageDeflate.Settings(
        serverContext: server, serverWindowBits: serverBits, clientContext: client,
        clientWindowBits: client == .newForEachMessage ? 15 : ownBits))
    guard let agreed, agreed.serverContext == .newForEachMessage else { return agreed }
    // Who wants no context of the server gets what is shared, in one of its few windows.
    if server == .keptBetweenMessages {
      return agreement(offers, server: .newForEachMessage, client: client)
    }
    let shared = sharedWindowBits(agreed.serverWindowBits)
    guard shared < agreed.serverWindowBits else { return agreed }
    return agreement(offers, server: server, client: client, serverWindowBits: shared)
  }

  /// BUDGET: three windows at most are shared, since what goes to many is compressed once for each
  /// of them: whoever could choose freely could make seven times the work.
  private func sharedWindowBits(_ bits: Int) -> Int {
    if bits >= settings.windowBits { return settings.windowBits }
    return bits >= 12 ? 12 : 9
  }

  private static func contextBytes(_ agreement: PermessageDeflate.Agreement) -> Int {
    var bytes = 0
    if agreement.serverContext == .keptBetweenMessages {
      bytes += MessageCompressor.memoryBytes(windowBits: agreement.serverWindowBits)
    }
    if agreement.clientContext == .keptBetweenMessages {
      bytes += MessageInflater.memoryBytes(windowBits: agreement.clientWindowBits)
    }
    return bytes
  }

  /// Takes memory from the budget of all loops, which is never exceeded: of two loops that come
  /// for the last of it at once, neither may get it.
  private func reserve(_ bytes: Int) -> Bool {
    metrics.compression.contextBytes.add(bytes)
    guard metrics.compression.contextBytes.value > Int64(contextBytesMax) else { return true }
    metrics.compression.contextBytes.add(-bytes)
    return false
  }

  private func own(
    _ agreement: PermessageDeflate.Agreement, _ bytes: Int
  ) -> SocketCompression {
    let bits = agreement.serverWindowBits
    let keepsContext = agreement.serverContext == .keptBetweenMessages
    let inflater =
      agreement.clientContext == .newForEachMessage
      ? self.inflater
      : MessageInflater(
        context: .keptBetweenMessages, windowBits: agreement.clientWindowBits,
        ratioMax: ratio.max, ratioFreeBytes: ratio.freeBytes)
    return SocketCompression(
      keepsContext ? makeCompressor(.ownContext, bits) : compressor(bits),
      sharedWindowBits: keepsContext ? nil : bits, inflater, contextBytes: bytes,
      metrics.compression)
  }

  private func shared(_ windowBits: Int) -> SocketCompression {
    if let known = shared[windowBits] { return known }
    let made = SocketCompression(
      compressor(windowBits), sharedWindowBits: windowBits, inflater, contextBytes: 0,
      metrics.compression)
    shared[windowBits] = made
    return made
  }

  /// The compressor without a context that all connections of that window share.
  func compressor(_ windowBits: Int) -> MessageCompressor {
    if let known = compressors[windowBits] { return known }
    let made = makeCompressor(.shared, windowBits)
    compressors[windowBits] = made
    return made
  }

  private func makeCompressor(
    _ kind: MessageCompressor.Kind, _ windowBits: Int
  ) -> MessageCompressor {
    MessageCompressor(
      kind, windowBits: windowBits, level: settings.level, threshold: settings.threshold,
      metrics.compression)
  }
}

/// What compression did and holds, over all loops.
struct CompressionMetrics: Sendable {
  let compressions: Counter
  let plainBytes: Counter
  let compressedBytes: Counter
  let inflations: Counter
  let contextBytes: Gauge

  init(_ metrics: Metrics) {
    compressions = metrics.counter(
      "sapphire_gateway_compressions_total",
      "Messages compressed; once for all subscribers that share the result.")
    plainBytes = metrics.counter(
      "sapphire_gateway_compression_plain_bytes_total", "Bytes of those messages before.")
    compressedBytes = metrics.counter(
      "sapphire_gateway_compression_compressed_bytes_total", "Bytes of those messages as sent.")
    inflations = metrics.counter(
      "sapphire_gateway_inflations_total", "Compressed messages that clients sent.")
    contextBytes = metrics.gauge(
      "sapphire_gateway_compression_context_bytes",
      "Memory of the contexts that connections keep; limits.compressionContextBytes is the most.")
  }
}
