internal import Bytes
internal import Config
internal import HTTPCodec
internal import Identity
internal import Loop

/// The doors that carry publications in answers to plain requests: `/sse`, `/stream` and `/poll`.
struct StreamDoors {
  private let gateway: GatewayLoop

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  /// The head of an answer without end, for `HEAD` too.
  static func answer(_ route: Route) -> Response {
    var answer = Response(
      .ok, route == .lineStream ? JSONLines.contentType : EventStream.contentType, [])
    answer.fields = [
      ("Content-Type", route == .lineStream ? JSONLines.contentType : EventStream.contentType),
      ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"),
    ]
    answer.isEndless = true
    return answer
  }

  /// What a request asks for.
  private struct Request {
    var names: [ChannelName] = []
    /// What is no channel's name.
    var refused: [String] = []
    var since: [ChannelName: Subscription.Since] = [:]
    var hasSince = false
    /// It says by their names where it stands in its channels.
    var isByNames = false

    var channels: [(ChannelName, Subscription.Since)] { names.map { ($0, since[$0] ?? .now) } }
  }

  /// Answers a request for one of the doors; it is the first in line on its connection.
  func open(_ exchange: HTTPExchange, _ head: HTTPRequestHead) {
    guard let connection = exchange.connection else { return }
    do throws(Refusal) {
      let request = try request(head)
      let identity = try signIn(head)
      switch exchange.route {
      case .poll: try poll(request, exchange, connection, head, identity)
      default: try stream(request, exchange, connection, head, identity)
      }
    } catch {
      exchange.respond(.error(error))
    }
  }

  /// Who asks; nobody can sign in later here.
  private func signIn(_ head: HTTPRequestHead) throws(Refusal) -> Identity? {
    let authenticator = gateway.settings.authenticator
    let identity = try authenticator.identity(head)
    guard identity != nil || !authenticator.settings.isRequired || gateway.asksWhoComes else {
      throw .signInFirst
    }
    return identity
  }

  private func request(_ head: HTTPRequestHead) throws(Refusal) -> Request {
    var request = Request()
    for text in head.target.queryAll("channel") {
      if let name = ChannelName(text) {
        if !request.names.contains(name) { request.names.append(name) }
      } else {
        request.refused.append(text)
      }
    }
    guard !request.names.isEmpty else {
      throw request.refused.first.map { .unknownChannel($0) } ?? .badRequest("name a channel")
    }
    let most = gateway.settings.channelsPerConnectionMax
    guard request.names.count + request.refused.count <= most else {
      gateway.metrics.limits.reached(.channelsPerConnection)
      throw .tooManyChannels(most)
    }
    // The header is a client's that comes back; the address stays as it was at first.
    let header = head.headers.first("last-event-id") ?? ""
    let text = header.isEmpty ? head.target.query("since") ?? "" : header
    guard let since = Subscription.Since.of(text, request.names) else {
      throw .badRequest("since is \"start\", \"now\", EPOCH:OFFSET, or a position vector")
    }
    request.since = since
    request.hasSince = !text.isEmpty
    request.isByNames = request.hasSince && !StreamPlaces.isShort(text)
    return request
  }

  private func stream(
    _ request: Request, _ exchange: HTTPExchange, _ connection: Connection,
    _ head: HTTPRequestHead, _ identity: Identity?
  ) throws(Refusal) {
    guard connection.belongs(to: exchange.client) else { throw .tooManyOfAddress }
    let isEvents = exchange.route == .eventStream
    let isRaw = isEvents && head.target.isOn("raw")
    let isAlone = request.names.count + request.refused.count == 1
    if isRaw, !isAlone { throw .badRequest("raw is for one channel") }
    if isEvents, StreamPlaces.bytesMax(request.names) + 16 > gateway.settings.head.fieldBytesMax {
      throw .badRequest("the positions of so many channels don't fit into a Last-Event-ID")
    }
    var door = ClientSession.Door(
      style: isAlone ? .oneChannel(request.names[0]) : .manyChannels,
      encoding: !isEvents ? .line : isRaw ? .rawEvent : isAlone ? .event : .eventPart,
      welcomes: true)
    door.wantsPresence = head.target.isOn("presence")
    let session = ClientSession(
      gateway, door, session: head.target.query("session").flatMap { SessionToken($0) },
      client: connection.client, identity: identity)
    session.noteForHooks(head.headers)
    let stream = StreamSession(
      exchange, connection, session, isEvents ? .events : .lines, request.channels,
      isAnsweredByNames: request.isByNames)
    stream.start(request.channels)
    for text in request.refused {
      session.tell(.error(id: nil, .unknownChannel(text), channel: text))
    }
  }

  private func poll(
    _ request: Request, _ exchange: HTTPExchange, _ connection: Connection,
    _ head: HTTPRequestHead, _ identity: Identity?
  ) throws(Refusal) {
    let timeout = try timeout(head.target.query("timeout"))
    let door = ClientSession.Door(
      style: .manyChannels, encoding: .line, welcomes: false, isPresent: false)
    let session = ClientSession(
      gateway, door, session: nil, client: exchange.client, identity: identity)
    session.noteForHooks(head.headers)
    let poll = PollSession(
      exchange, session, request.channels, asksForPosition: !request.hasSince, timeout)
    poll.start(request.channels)
    for text in request.refused {
      session.tell(.error(id: nil, .unknownChannel(text), channel: text))
    }
  }

  /// How long a poll waits where its client does not say.
  private static let timeoutSeconds = 25

  private func timeout(_ text: String?) throws(Refusal) -> Duration {
    guard let text else { return min(.seconds(Self.timeoutSeconds), gateway.settings.pollMax) }
    guard !text.isEmpty, text.utf8.count <= 9, text.utf8.allSatisfy({ (48...57).contains($0) }),
      let seconds = Int64(text)
    else { throw .badRequest("timeout is a number of seconds") }
    return min(.seconds(seconds), gateway.settings.pollMax)
  }
}
