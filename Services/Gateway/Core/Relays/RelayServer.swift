internal import Bytes
internal import Config
internal import EngineIO
internal import HTTPCodec
internal import Link
internal import Observe
internal import Wire

/// Requests that came to other gateways, for sessions of this loop, by the numbers that the hub gives them.
///
/// They end with the link to the hub: who asked can't be answered then, and knows it. Loop-confined.
final class RelayServer {
  private unowned let gateway: GatewayLoop
  private var exchanges: [UInt32: RelayedExchange] = [:]

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private var metrics: RelayMetrics { gateway.metrics.relays }

  func received(_ link: Link, _ header: FrameHeader, _ relay: Relay) {
    guard header.correlation != 0 else { return }
    switch relay.door {
    case .emulation: say(relay, link, header)
    case .socketIO: serve(.socketIO, relay, link, header)
    case .engineIO: serve(.engineIO, relay, link, header)
    }
  }

  func received(_ end: EndRelay) {
    switch end.why {
    case .gone:
      let exchange = exchanges[end.number]
      exchange?.fail(.notFound)
      exchange?.abandoned?()
    case .hurry: exchanges[end.number]?.hurried?()
    }
  }

  /// Nobody can be answered any more.
  func hubLost() {
    for exchange in exchanges.values.sorted(by: { $0.number < $1.number }) {
      ended(exchange)
      exchange.abandoned?()
    }
  }

  fileprivate func ended(_ exchange: RelayedExchange) {
    if exchanges.removeValue(forKey: exchange.number) != nil { metrics.served.add(-1) }
  }

  // MARK: what is asked

  private func serve(_ path: EnginePath, _ relay: Relay, _ link: Link, _ header: FrameHeader) {
    guard exchanges[relay.number] == nil else { return link.fail(header, .badRequest) }
    guard let id = EngineSessionID(relay.session), let client = gateway.engines.client(id),
      client.path == path
    else { return link.fail(header, .notFound) }
    do throws(Failure) {
      try client.admit(relay)
    } catch { return link.fail(header, error.code) }
    guard metrics.served.addOne(below: gateway.settings.relaysMax) else {
      gateway.metrics.limits.reached(.relayedRequests)
      return link.fail(header, .limitReached)
    }
    let exchange = RelayedExchange(self, link, header.correlation, relay.number)
    // What its client should have had is gone, so it comes back and asks the history.
    exchange.overflowed = { [weak client] in client?.letGoForMemory() }
    exchanges[relay.number] = exchange
    switch relay.action {
    case .poll:
      let poll = client.poll(exchange)
      exchange.hurried = { [weak client] in client?.hurry(poll) }
    case .say, .sayOctets:
      client.data(exchange, relay.action == .say ? .text : .octetStream)
      exchange.takesBody?(relay.body)
    }
  }

  /// Commands for a stream of this process, whichever loop holds it.
  private func say(_ relay: Relay, _ link: Link, _ header: FrameHeader) {
    guard let name = SessionToken(relay.session) else { return link.fail(header, .notFound) }
    switch gateway.emulated.deliver(name, relay.body) {
    case .delivered: link.reply(Relayed(status: 204), to: header.correlation)
    case .unknown: link.fail(header, .notFound)
    case .overloaded: link.fail(header, .overloaded)
    }
  }
}

/// One request that came to another gateway.
final class RelayedExchange: EngineExchange {
  private weak var server: RelayServer?
  private let link: Link
  private let correlation: UInt32
  let number: UInt32
  var abandoned: (() -> Void)?
  var hurried: (() -> Void)?
  var takesBody: (([UInt8]) -> Void)?
  var bodyRefused: (() -> Void)?
  /// Its answer is more than a relay carries, and lost.
  var overflowed: (() -> Void)?
  private var isAnswered = false

  init(_ server: RelayServer, _ link: Link, _ correlation: UInt32, _ number: UInt32) {
    self.server = server
    self.link = link
    self.correlation = correlation
    self.number = number
  }

  func respond(_ answer: Response) { respond(answer, isPlain: false) }

  func respond(_ payload: PollPayload) {
    respond(EngineDoors.poll(payload.bytes), isPlain: payload.isPlain)
  }

  private func respond(_ answer: Response, isPlain: Bool) {
    guard finish() else { return }
    guard answer.body.count <= Relay.bodyBytesMax else {
      link.reply(Failure(.tooLarge), to: correlation)
      overflowed?()
      return
    }
    let type = answer.fields.first { $0.0 == "Content-Type" }?.1 ?? ""
    var relayed = Relayed(
      status: UInt16(clamping: answer.status.rawValue), contentType: type, body: answer.body)
    relayed.isPlain = isPlain
    link.reply(relayed, to: correlation)
  }

  func fail(_ code: ErrorCode) {
    if finish() { link.reply(Failure(code), to: correlation) }
  }

  /// Whether it was not answered before.
  private func finish() -> Bool {
    guard !isAnswered else { return false }
    isAnswered = true
    server?.ended(self)
    return true
  }
}
