import Config
import Testing

private func check(_ text: String) -> ConfigCheck {
  Configuration.check(file: "f", text: [UInt8](text.utf8), channelTypes: ["relay"])
}

/// S003-11.
@Suite struct RouteRuleTests {
  @Test func aRouteIsAnotherAddressOfAChannel() throws {
    let check = check(
      """
      { routes: [
        { path: "/ws/custom/{channel}" },
        { path: "/feeds/scores", channel: "game:scores", door: "sse" },
        { path: "/rooms/{channel}/live", channel: "room:{channel}", door: "events" },
        { path: "/n", channel: "notifications", door: "poll" },
      ] }
      """)
    #expect(check.report == "")
    let routes = check.configuration.routes
    try #require(routes.count == 4)
    #expect(routes.map(\.door) == [.ws, .sse, .events, .poll])
    #expect(routes[0].channel(of: ["ws", "custom", "sim:tick"]) == "sim:tick")
    #expect(routes[0].channel(of: ["ws", "custom", "no channel"]) == "no channel")
    #expect(routes[1].channel(of: ["feeds", "scores"]) == "game:scores")
    #expect(routes[2].channel(of: ["rooms", "7", "live"]) == "room:7")
    #expect(routes[3].channel(of: ["n"]) == "notifications")
    for path in [
      [], ["ws", "custom"], ["ws", "custom", ""], ["ws", "custom", "a", "b"], ["ws", "Custom", "a"],
      ["ws", "custom", "a", ""],
    ] { #expect(routes[0].channel(of: path) == nil) }
  }

  @Test(arguments: [
    ("{ routes: {} }", "f:1: routes: write a list of routes"),
    ("{ routes: [{}] }", "f:1: routes[0].path: write a path such as"),
    ("{ routes: [\n{ path: \"a\" }] }", "f:2: routes[0].path: write a path such as"),
    ("{ routes: [{ path: \"/a b\" , channel: \"a\" }] }", "f:1: routes[0].path: write a path such as"),
    ("{ routes: [{ path: \"/a/\" , channel: \"a\" }] }", "f:1: routes[0].path: write a path such as"),
    ("{ routes: [{ path: \"/a/../b\" , channel: \"a\" }] }", "f:1: routes[0].path: write a path such as"),
    ("{ routes: [{ path: \"/a/%62\" , channel: \"a\" }] }", "f:1: routes[0].path: write a path such as"),
    ("{ routes: [{ path: \"/a/x{channel}\" }] }", "f:1: routes[0].path: write a path such as"),
    ("{ routes: [{ path: \"/\" , channel: \"a\" }] }", "f:1: routes[0].path: write a path such as"),
    ("{ routes: [{ path: \"/a/{channel}/{channel}\" }] }", "at most one of them {channel}"),
    ("{ routes: [{ path: \"/a/b/c/d/e/f/g/h/i\", channel: \"a\" }] }", "write at most 8 segments"),
    ("{ routes: [{ path: \"/a\" }] }", "f:1: routes[0].channel: name the channel: the path has no {channel}"),
    ("{ routes: [{ path: \"/a/{channel}\", channel: \"b\" }] }", "f:1: routes[0].channel: say in the channel's name where"),
    ("{ routes: [{ path: \"/a\", channel: \"b{channel}\" }] }", "f:1: routes[0].channel: name the channel"),
    ("{ routes: [{ path: \"/a\", channel: \"no channel\" }] }", "f:1: routes[0].channel: write a channel's name"),
    ("{ routes: [{ path: \"/a/{channel}\", channel: \"{channel}{channel}\" }] }", "at most once"),
    ("{ routes: [{ path: \"/a\", channel: \"b\", door: \"socket\" }] }", "f:1: routes[0].door: write one of \"ws\", \"events\""),
    ("{ routes: [{ path: \"/a\", channel: \"b\", doors: \"ws\" }] }", "did you mean \"door\"?"),
    ("{ routes: [{ path: \"/a/{channel}\" },\n{ path: \"/a/b\", channel: \"b\" }] }",
      "f:2: routes[1].path: another route in line 1 takes the same addresses"),
  ])
  func refusesWithTheLineAndTheReason(text: String, report: String) {
    #expect(check(text).report.contains(report), "\(check(text).report)")
    #expect(check(text).problems.count == 1)
  }

  @Test(arguments: [
    "/health", "/live", "/ready", "/metrics", "/channels", "/sse", "/stream", "/poll", "/ws", "/ws/echo", "/ws/a",
    "/ws/{channel}", "/ws/events/{channel}", "/ws/events/a/b", "/ws/{channel}/a", "/api/publish", "/api/a/b",
    "/vault/{channel}", "/vault", "/{channel}", "/{channel}/a/b", "/app.js", "/index.html", "/timelines",
  ])
  func noRouteTakesTheAddressOfABuiltInDoor(path: String) {
    let name = path.contains("{channel}") ? "{channel}" : "a"
    let check = check("{ routes: [\n{ path: \"\(path)\", channel: \"\(name)\" }] }")
    #expect(check.problems.count == 1)
    #expect(check.report.hasPrefix("f:2: routes[0].path: "), "\(check.report)")
  }

  @Test func thereAreOnlySoMany() {
    let routes = (0...RouteRule.countMax).map { "{ path: \"/a/r\($0)\", channel: \"a\" }" }
    #expect(check("{ routes: [\(routes.joined(separator: ","))] }").report.contains("write at most 256 routes"))
  }
}
