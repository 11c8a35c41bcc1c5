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
    let path = target.path
    switch path.count {
    case 0: self = .page("index.html")
    case 1: self = Self.single(path[0], target)
    case 2: self = Self.nested(path[0], path[1])
    case 3 where path[0] == "ws" && path[1] == "events" && !path[2].isEmpty: self = .events(path[2])
    default: self = .notFound
    }
  }

  private static func single(_ name: String, _ target: HTTPTarget) -> Route {
    switch name {
    case "": .page("index.html")
    case "health": .health
    case "live": .live
    case "ready": .ready
    case "metrics": .metrics
    case "channels": .channels
    case "ws": .manyChannels(target.queryAll("channel"))
    case "sse": .eventStream
    case "stream": .lineStream
    case "poll": .poll
    case "socket.io": .engine(.socketIO)
    case "engine.io": .engine(.engineIO)
    case "emulation": .emulation
    case "timelines": .page("timelines.html")
    default: .page(name)
    }
  }

  private static func nested(_ first: String, _ second: String) -> Route {
    switch first {
    case "ws" where second == "echo": .echo
    case "ws" where !second.isEmpty: .oneChannel(second)
    case "api": .api(second)
    case "vault": .vault(sha256: second)
    case "connection": connection(second)
    case "socket.io" where second.isEmpty: .engine(.socketIO)
    case "engine.io" where second.isEmpty: .engine(.engineIO)
    default: .notFound
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
    _ head: inout HTTPRequestHead, _ rules: [RouteRule], socketIO: [String] = ["socket.io"]
  ) -> Route {
    let path = head.target.path
    if path.first == socketIO.first, path.starts(with: socketIO),
      path.count == socketIO.count || path.count == socketIO.count + 1 && path.last == ""
    {
      return .engine(.socketIO)
    }
    for rule in rules {
      guard let channel = rule.channel(of: path) else { continue }
      return custom(rule.door, channel, &head.target)
    }
    let route = Route(head)
    // Its usual address, where it has another one.
    return route == .engine(.socketIO) ? .notFound : route
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

  /// The channels that a socket's address names, as they stand there.
  var channelTexts: [String] {
    switch self {
    case .manyChannels(let texts): texts
    case .oneChannel(let text), .events(let text): [text]
    default: []
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
