import Centrifuge
import Config
@testable import HTTPCodec
import Testing

@testable import GatewayCore

struct RouteTests {
  private static let hash = String(repeating: "a", count: 64)

  @Test(arguments: [
    ([], Route.page("index.html")), ([""], .page("index.html")), (["app.js"], .page("app.js")),
    (["health"], .health), (["live"], .live), (["ready"], .ready), (["metrics"], .metrics),
    (["channels"], .channels), (["api", "publish"], .api("publish")),
    (["vault", RouteTests.hash], .vault(sha256: RouteTests.hash)), (["ws", "echo"], .echo),
    (["ws", "sim:tick"], .oneChannel("sim:tick")), (["ws", "a/b"], .oneChannel("a/b")),
    (["ws", "events", "sim:tick"], .events("sim:tick")),
    (["ws", "events"], .oneChannel("events")),
    (["ws", ""], .notFound), (["ws", "events", ""], .notFound), (["ws", "a", "b"], .notFound),
    (["ws", "events", "a", "b"], .notFound), (["api"], .page("api")), (["a", "b"], .notFound),
    (["api", "publish", ""], .notFound), (["sse"], .eventStream), (["stream"], .lineStream),
    (["poll"], .poll), (["sse", "x"], .notFound), (["connection", "websocket"], .centrifuge(isUnidirectional: false)),
    (["connection", "uni_websocket"], .centrifuge(isUnidirectional: true)), (["emulation"], .emulation),
    (["timelines"], .page("timelines.html")),
    (["connection", "sse"], .centrifugeStream(CentrifugeForm(encoding: .json, framing: .event))),
    (["connection", "http_stream"], .centrifugeStream(CentrifugeForm(encoding: .json, framing: .line))),
    (["connection", "uni_sse"],
      .centrifugeStream(CentrifugeForm(encoding: .json, framing: .event, isUnidirectional: true))),
    (["connection", "uni_http_stream"],
      .centrifugeStream(CentrifugeForm(encoding: .json, framing: .line, isUnidirectional: true))),
    (["socket.io", ""], .engine(.socketIO)), (["socket.io"], .engine(.socketIO)),
    (["engine.io", ""], .engine(.engineIO)), (["socket.io", "x"], .notFound),
    (["connection"], .page("connection")), (["connection", "x"], .notFound),
  ] as [([String], Route)])
  func eachAddressIsOneDoor(path: [String], route: Route) {
    #expect(Route(HTTPTarget(path: path, query: [])) == route)
  }

  @Test func severalChannelsComeInTheOrderOfTheQuery() {
    let target = HTTPTarget(
      path: ["ws"],
      query: [HTTPQueryItem("channel", "b"), HTTPQueryItem("ack", "1"), HTTPQueryItem("channel", "a")])
    #expect(Route(target) == .manyChannels(["b", "a"]))
    #expect(Route(HTTPTarget(path: ["ws"], query: [])) == .manyChannels([]))
  }

  @Test func anAsteriskIsTheServerAsAWhole() throws {
    #expect(Route(try requestHead("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")) == .server)
    #expect(Route(try requestHead("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n")) == .page("index.html"))
    #expect(Route.server.methods.contains(.options))
  }

  /// What the configuration refuses to give away is what there is.
  @Test func noRouteOfTheConfigurationHidesABuiltInDoor() {
    let doors = ["health", "live", "ready", "metrics", "channels", "sse", "stream", "poll", "ws", "ws/echo", "ws/a",
      "ws/events/a", "api/publish", "vault/\(Self.hash)", "connection/websocket", "connection/uni_sse", "emulation", "socket.io",
      "engine.io", "timelines"] + Pages.names
    for door in doors {
      let path = door.split(separator: "/").map(String.init)
      #expect(Route(HTTPTarget(path: path, query: [])) != .notFound)
      let text = "{ routes: [{ path: \"/\(door)\", channel: \"a\" }] }"
      #expect(!Configuration.check(file: "f", text: [UInt8](text.utf8)).isSound, "\(door)")
    }
  }

  @Test func aRouteLeadsToItsDoor() throws {
    var target = HTTPTarget(path: ["a"], query: [HTTPQueryItem("channel", "b"), HTTPQueryItem("since", "start")])
    let before = target
    #expect(Route.custom(.ws, "echo", &target) == .oneChannel("echo") && target == before)
    #expect(Route.custom(.events, "c", &target) == .events("c") && target == before)
    for (door, route) in [(RouteRule.Door.sse, Route.eventStream), (.stream, .lineStream), (.poll, .poll)] {
      var target = before
      #expect(Route.custom(door, "c", &target) == route)
      #expect(target.queryAll("channel") == ["c", "b"] && target.query("since") == "start")
    }
  }

  @Test func onlySocketsAreUpgradedAndOnlyTheAPIIsPostedTo() {
    for route in [Route.manyChannels([]), .oneChannel("a"), .events("a"), .echo, .centrifuge(isUnidirectional: true)] {
      #expect(route.isSocket)
    }
    for route in [Route.health, .api("publish"), .page("x"), .notFound, .vault(sha256: "")] {
      #expect(!route.isSocket)
    }
    #expect(Route.api("publish").methods == [.post, .options])
    #expect(Route.health.methods.contains(.get) && !Route.health.methods.contains(.post))
    #expect(Route.vault(sha256: "").methods.contains(.put))
    #expect(Route.notFound.methods.isEmpty)
  }
}

struct GlobTests {
  @Test(arguments: [
    ("", "", true), ("", "a", false), ("*", "", true), ("*", "abc", true), ("abc", "abc", true),
    ("abc", "abcd", false), ("a*", "abc", true), ("*c", "abc", true), ("a*c", "abc", true),
    ("a*c", "ac", true), ("a*c", "ab", false), ("*b*", "abc", true), ("a**c", "abc", true),
    ("sim:*", "sim:tick", true), ("sim:*", "sims:tick", false), ("*aab", "aaaaab", true),
    ("a*b*c", "a-b-b-c", true), ("a*b*c", "a-c-b", false), ("A", "a", false),
  ])
  func aStarMatchesAnyRunOfCharacters(pattern: String, text: String, matches: Bool) {
    #expect(Glob.matches(pattern, text) == matches)
  }

  @Test func aHostilePatternCostsNoMoreThanQuadraticTime() {
    let text = String(repeating: "a", count: 255)
    #expect(!Glob.matches(String(repeating: "*a", count: 100) + "b", text))
  }
}
