internal import Centrifuge
internal import Config
internal import HTTPCodec

/// Which of the gateway's doors a request is for. Pure.
enum Route: Equatable {
  case page(String)
  case health, live, ready, metrics, channels
  case api(String)
  case vault(sha256: String)
  /// `/ws`: several channels, or none to publish only.
  case manyChannels([String])
  /// `/ws/{channel}`: one channel, raw frames.
  case oneChannel(String)
  /// `/ws/events/{channel}`: one channel with a welcome (S003-08).
  case events(String)
  case echo
  /// `/connection/websocket`, `/connection/uni_websocket`: the Centrifuge client protocol.
  case centrifuge(isUnidirectional: Bool)
  /// `/connection/sse`, `/connection/http_stream` and theirs for clients that only listen.
  case centrifugeStream(CentrifugeForm)
  /// `/emulation`: what such a stream's client says.
  case emulation
  /// `OPTIONS *`: what the server can do as a whole (RFC 9110 §9.3.7).
  case server
  /// `/sse`, `/stream`: an answer without end, as events or as lines.
  case eventStream, lineStream
  /// `/poll`: one answer as soon as there is something new.
  case poll
  /// `/socket.io/`, `/engine.io/`: sessions over long polling or a WebSocket.
  case engine(EnginePath)
  case notFound

  init(_ head: HTTPRequestHead) {
    self = head.method == .options && head.rawTarget == "*" ? .server : Route(head.target)
  }

  init(_ target: HTTPTarget) {
    switch target.path {
    case [], [""]: self = .page("index.html")
    case ["health"]: self = .health
    case ["live"]: self = .live
    case ["ready"]: self = .ready
    case ["metrics"]: self = .metrics
    case ["channels"]: self = .channels
    case ["ws"]: self = .manyChannels(target.queryAll("channel"))
    case ["ws", "echo"]: self = .echo
    case ["sse"]: self = .eventStream
    case ["stream"]: self = .lineStream
    case ["poll"]: self = .poll
    case ["socket.io"], ["socket.io", ""]: self = .engine(.socketIO)
    case ["engine.io"], ["engine.io", ""]: self = .engine(.engineIO)
    case ["emulation"]: self = .emulation
    default: self = Self.nested(target.path)
    }
  }

  private static func nested(_ path: [String]) -> Route {
    guard path.count == 2 else {
      return path.count == 3 && path[0] == "ws" && path[1] == "events" && !path[2].isEmpty
        ? .events(path[2]) : path.count == 1 ? .page(path[0]) : .notFound
    }
    switch path[0] {
    case "api": return .api(path[1])
    case "vault": return .vault(sha256: path[1])
    case "connection": return connection(path[1])
    case "ws" where !path[1].isEmpty: return .oneChannel(path[1])
    default: return .notFound
    }
  }

  /// The doors of the Centrifuge protocol.
  private static func connection(_ name: String) -> Route {
    switch name {
    case "websocket": .centrifuge(isUnidirectional: false)
    case "uni_websocket": .centrifuge(isUnidirectional: true)
    case "sse": .centrifugeStream(CentrifugeForm(encoding: .json, framing: .event))
    case "http_stream": .centrifugeStream(CentrifugeForm(encoding: .json, framing: .line))
    case "uni_sse":
      .centrifugeStream(CentrifugeForm(encoding: .json, framing: .event, isUnidirectional: true))
    case "uni_http_stream":
      .centrifugeStream(CentrifugeForm(encoding: .json, framing: .line, isUnidirectional: true))
    default: .notFound
    }
  }

  /// Which door a request is for, and the request as that door reads it.
  static func find(
    _ head: HTTPRequestHead, _ rules: [RouteRule]
  ) -> (route: Route, head: HTTPRequestHead) {
    for rule in rules {
      guard let channel = rule.channel(of: head.target.path) else { continue }
      var head = head
      return (custom(rule.door, channel, &head.target), head)
    }
    return (Route(head), head)
  }

  /// The door that a route of the configuration leads to, for the channel of that name. Doors that
  /// take channels from the query find it there, before others.
  static func custom(_ door: RouteRule.Door, _ channel: String, _ target: inout HTTPTarget) -> Route {
    switch door {
    case .ws: return .oneChannel(channel)
    case .events: return .events(channel)
    case .sse, .stream, .poll: target.query.insert(HTTPQueryItem("channel", channel), at: 0)
    }
    return door == .sse ? .eventStream : door == .stream ? .lineStream : .poll
  }

  /// The methods a plain request may use here; sockets want an upgrade instead.
  var methods: [HTTPMethod] {
    switch self {
    case .api: [.post, .options]
    case .engine: [.get, .post, .options]
    case .vault: [.get, .head, .put, .options]
    case .centrifugeStream: [.get, .head, .post, .options]
    case .emulation: [.post, .options]
    case .notFound: []
    case .server: [.get, .head, .post, .put, .options]
    default: [.get, .head, .options]
    }
  }

  /// The answer ends with the connection.
  var isEndless: Bool {
    switch self {
    case .eventStream, .lineStream, .centrifugeStream: true
    default: false
    }
  }

  var isSocket: Bool {
    switch self {
    case .manyChannels, .oneChannel, .events, .echo, .centrifuge: true
    default: false
    }
  }
}
