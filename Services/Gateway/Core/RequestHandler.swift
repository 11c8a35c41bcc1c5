internal import Bytes
internal import Config
internal import HTTPCodec
internal import JSON
internal import Link
internal import Observe
internal import Wire

/// Answers plain requests by their route.
struct RequestHandler {
  private let gateway: GatewayLoop

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  /// What is refused by its head alone, before any byte of a body is waited for.
  func refusal(_ head: HTTPRequestHead, _ exchange: HTTPExchange) -> Response? {
    let route = exchange.route
    let allowed = route.methods
    guard allowed.contains(head.method) else {
      if allowed.isEmpty { return Self.notFound }
      if case .page(let name) = route, !Pages.contains(name) { return Self.notFound }
      var response = Response.error(
        Refusal(105, "method_not_allowed", "this door takes \(list(allowed))", .methodNotAllowed))
      response.fields.append(("Allow", list(allowed)))
      return response
    }
    if let token = Self.tokenForTicket(head, route) {
      do throws(Refusal) {
        try gateway.settings.authenticator.check(token: token)
      } catch { return .error(error) }
    }
    let needsKey =
      switch route {
      case .api: head.method == .post && Self.tokenForTicket(head, route) == nil
      case .vault: head.method == .put
      default: false
      }
    guard needsKey else { return nil }
    guard let key = exchange.key else { return .error(.unauthorized) }
    if case .vault = route, !key.scopes.contains(.publish) { return .error(.outsideScope) }
    return nil
  }

  /// The token that a ticket is asked for with: then the request has no use for a body.
  static func tokenForTicket(_ head: HTTPRequestHead, _ route: Route) -> String? {
    guard case .api("ticket") = route, head.method == .post else { return nil }
    return head.headers.credentials(of: "bearer")
  }

  /// Answers a request that was not refused and whose body has come.
  func handle(_ exchange: HTTPExchange, _ body: [UInt8]) {
    guard let head = exchange.head else { return }
    let allowed = exchange.route.methods
    if head.method == .options { return exchange.respond(preflight(allowed, head)) }
    switch exchange.route {
    case .page(let name):
      exchange.respond(
        Pages.find(name, head, modified: gateway.settings.startedAtSeconds) ?? Self.notFound)
    case .live: exchange.respond(.json { $0.beginObject(); $0.field("status", "ok"); $0.endObject() })
    case .health, .ready: gateway.health.answer(exchange)
    case .metrics:
      if let refusal = gateway.refusesOverview(exchange) { return exchange.respond(refusal) }
      gateway.metricsPage.answer(exchange)
    // One at a time for a connection, however many it asks for in advance.
    case .channels:
      exchange.whenFirst { [gateway, weak exchange] in
        if let exchange { ChannelList(gateway).answer(exchange) }
      }
    case .api(let method): ServerAPI.answer(exchange, method, body, on: gateway)
    case .vault(let sha256): gateway.artifacts.download(sha256, head, exchange)
    case .emulation: gateway.emulated.answer(exchange, head, body)
    case .centrifugeStream(let form):
      if head.method == .head { return exchange.respond(CentrifugeDoors.answer(form)) }
      exchange.whenFirst { [weak exchange] in
        if let exchange { CentrifugeDoors.openStream(form, exchange, head, body) }
      }
    case .eventStream, .lineStream, .poll:
      if head.method == .head, exchange.route.isEndless {
        return exchange.respond(StreamDoors.answer(exchange.route))
      }
      // One at a time for a connection, however many it asks for in advance.
      exchange.whenFirst { [gateway, weak exchange] in
        if let exchange { StreamDoors(gateway).open(exchange, head) }
      }
    default: exchange.respond(Self.notFound)
    }
  }

  /// What a page of another origin may send besides what it always may.
  private static let requestFields =
    "Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Range, "
    + "If-Unmodified-Since, Last-Event-ID, Range, X-API-Key, X-Request-Id"

  static let notFound = Response.error(
    Refusal(104, "not_found", "there is nothing at this address", .notFound))

  private func list(_ methods: [HTTPMethod]) -> String {
    methods.map(\.rawValue).joined(separator: ", ")
  }

  /// What may be done here; asked by browsers before they send something unusual (Fetch §4.8).
  private func preflight(_ allowed: [HTTPMethod], _ head: HTTPRequestHead) -> Response {
    var response = Response(.noContent, "", [])
    response.fields = [
      ("Allow", list(allowed)), ("Access-Control-Allow-Methods", list(allowed)),
      ("Access-Control-Allow-Headers", Self.requestFields),
      ("Access-Control-Max-Age", "600"),
    ]
    return response
  }
}

extension GatewayLoop {
  /// Why somebody may not see what goes on over all channels: that is for this machine's users, where
  /// nobody else comes here, and for keys that may see who is where. Nil: it may be shown.
  func refusesOverview(_ exchange: HTTPExchange) -> Response? {
    // Behind a proxy everybody is on loopback.
    let isOpen =
      settings.access.isLoopback && settings.access.allowsAnonymous
      && settings.proxies.ranges.isEmpty && !settings.authenticator.settings.isRequired
    if isOpen { return nil }
    guard let key = exchange.key else { return .error(.unauthorized) }
    return key.allowsEverywhere(.presence) ? nil : .error(.outsideScope)
  }
}

/// `GET /channels` (S003-10): every channel that somebody subscribes to, with how many.
struct ChannelList {
  private let gateway: GatewayLoop
  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  /// BUDGET: channels listed; past it the list says that there are more.
  static let countMax: UInt32 = 10_000

  func answer(_ exchange: HTTPExchange) {
    if let refusal = gateway.refusesOverview(exchange) { return exchange.respond(refusal) }
    guard let hub = gateway.upstreams.hub else { return exchange.respond(.error(.unavailable)) }
    let request = CountChannels(
      remainingMs: gateway.settings.publishMaxMs, prefix: "", after: "", limit: Self.countMax)
    gateway.ask(hub, request, expecting: ChannelCounts.self) { result in
      switch result {
      case .failure(let refusal): exchange.respond(.error(refusal))
      case .success(let counts): exchange.respond(Self.response(counts))
      }
    }
  }

  private static func response(_ counts: ChannelCounts) -> Response {
    .json { writer in
      writer.beginObject()
      writer.field("status", "success")
      writer.field("message", "\(counts.total) active channels")
      writer.key("channels")
      writer.beginObject()
      for entry in counts.channels { writer.field(entry.name.text, Int64(entry.subscribers)) }
      writer.endObject()
      writer.field("total_channels", Int64(counts.total))
      if counts.hasMore { writer.field("truncated", true) }
      writer.endObject()
    }
  }
}
