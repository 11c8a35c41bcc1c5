internal import Bytes

/// An address of its own for a channel, or for channels by a part of their name (S003-11).
///
///     { path: "/ws/custom/{channel}" }
///     { path: "/feeds/scores", channel: "game:scores", door: "sse" }
public struct RouteRule: Hashable, Sendable {
  /// Which built-in door the address is another name of.
  public enum Door: String, Sendable, CaseIterable, Hashable {
    /// `/ws/{channel}`, `/ws/events/{channel}`.
    case ws, events
    /// `/sse?channel=…`, `/stream?channel=…`, `/poll?channel=…`.
    case sse, stream, poll
  }

  /// One piece of a path, as it is after percent-decoding.
  public enum Segment: Hashable, Sendable {
    case literal(String)
    /// `{channel}`: anything but nothing.
    case channel
  }

  public let path: [Segment]
  /// The channel's name around what stands for `{channel}`; without it, the whole name is first.
  private let name: [String]
  public let door: Door

  public static let placeholder = "{channel}"
  public static let countMax = 256
  static let pathBytesMax = 255
  static let segmentsMax = 8

  /// The name of the channel that `path` asks for; nil where this is not its address. Whether that
  /// is a channel's name is for the door to say.
  public func channel(of path: [String]) -> String? {
    guard path.count == self.path.count else { return nil }
    var found: String?
    for (segment, text) in zip(self.path, path) {
      switch segment {
      case .literal(let literal):
        guard literal.utf8.elementsEqual(text.utf8) else { return nil }
      case .channel:
        guard !text.isEmpty else { return nil }
        found = text
      }
    }
    return name.joined(separator: found ?? "")
  }

  /// Whether it takes an address that is these pieces, or these and a slash.
  func takes(_ pieces: [String]) -> Bool {
    path.count == pieces.count
      && zip(path, pieces).allSatisfy { $0 == .channel || $0 == .literal($1) }
  }

  /// Whether some path is an address of both.
  func overlaps(_ other: RouteRule) -> Bool {
    path.count == other.path.count
      && zip(path, other.path).allSatisfy { $0 == $1 || $0 == .channel || $1 == .channel }
  }

  /// Why the path can't be given away; nil where it is free.
  static func conflict(_ path: [Segment]) -> String? {
    guard case .literal(let first) = path.first else {
      return "\(placeholder) can't come first: /health, /api/… and others are Sapphire's own"
    }
    switch first {
    case "api", "vault", "connection", "socket.io", "engine.io": return "/\(first)/… is Sapphire's own"
    case "ws":
      if path.count <= 2 { return "/ws/\(placeholder) is built in; write /ws/NAME/\(placeholder)" }
      if path[1] == .channel || path[1] == .literal("events") {
        return "/ws/events/\(placeholder) is built in"
      }
    case "health", "live", "ready", "metrics", "channels", "sse", "stream", "poll", "emulation",
      "timelines":
      if path.count == 1 { return "/\(first) is built in" }
    default:
      if path.count == 1, first.utf8.contains(UInt8(ascii: ".")) {
        return "/\(first) may be a file of the observer page"
      }
    }
    return nil
  }
}

extension RouteRule {
  /// The section `routes`: a list.
  static func list(reading value: ConfigValue?, _ reading: inout ConfigReading) -> [RouteRule] {
    guard let value, value.content != .null else { return [] }
    guard case .array(let elements) = value.content else {
      reading.report(
        value.place, "routes", "write a list of routes: [ { path: \"/ws/custom/{channel}\" } ]")
      return []
    }
    if elements.count > countMax {
      reading.report(value.place, "routes", "write at most \(countMax) routes")
    }
    var routes: [RouteRule] = []
    var places: [ConfigPlace] = []
    for (index, element) in elements.prefix(countMax).enumerated() {
      let path = "routes[\(index)]"
      guard let route = RouteRule(reading: element, path: path, &reading) else { continue }
      if let earlier = routes.firstIndex(where: { $0.overlaps(route) }) {
        let line = if case .line(let line) = places[earlier] { " in line \(line)" } else { "" }
        reading.report(
          element.place, "\(path).path",
          "another route\(line) takes the same addresses; each address is one route's")
        continue
      }
      routes.append(route)
      places.append(element.place)
    }
    return routes
  }

  private init?(reading value: ConfigValue, path setting: String, _ reading: inout ConfigReading) {
    var reader = SettingsReader(value, path: setting, &reading)
    let before = reading.problems.count
    let path = reader.read("path", &reading) { value throws(Refused) in try value.routePath() }
    let channel = reader.read("channel", &reading) { value throws(Refused) in
      try value.routeChannel()
    }
    let door: Door? = reader.choice("door", &reading)
    reader.finish(&reading)
    guard reading.problems.count == before else { return nil }
    guard let path else {
      reading.report(value.place, "\(setting).path", Refused.routePath.reason)
      return nil
    }
    let name = channel ?? ["", ""]
    guard path.contains(.channel) == (name.count == 2) else {
      reading.report(
        value.place, "\(setting).channel",
        path.contains(.channel)
          ? "say in the channel's name where {channel} of the path goes, or leave it out"
          : "name the channel: the path has no {channel} to take it from")
      return nil
    }
    self.path = path
    self.name = name
    self.door = door ?? .ws
  }
}

extension Refused {
  fileprivate static let routePath = Refused(
    "write a path such as \"/ws/custom/{channel}\": segments of A-Z a-z 0-9 - . _ ~, one of which may be {channel}")
}

extension ConfigValue {
  fileprivate func routePath() throws(Refused) -> [RouteRule.Segment] {
    guard case .string(let text) = content, text.hasPrefix("/"),
      text.utf8.count <= RouteRule.pathBytesMax
    else { throw .routePath }
    var path: [RouteRule.Segment] = []
    for part in text.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
      if part == RouteRule.placeholder {
        path.append(.channel)
      } else {
        guard part.utf8.allSatisfy(Self.isUnreserved), !part.isEmpty, part != ".", part != ".."
        else { throw .routePath }
        path.append(.literal(String(part)))
      }
    }
    guard path.count <= RouteRule.segmentsMax, path.count(where: { $0 == .channel }) <= 1 else {
      throw Refused(
        "write at most \(RouteRule.segmentsMax) segments, at most one of them {channel}")
    }
    if let conflict = RouteRule.conflict(path) { throw Refused(conflict) }
    return path
  }

  /// RFC 3986 §2.3: what means the same with and without percent-encoding.
  static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "_"), UInt8(ascii: "~"):
      true
    default: false
    }
  }

  /// The parts of a channel's name around `{channel}`: one where it has none, else two.
  fileprivate func routeChannel() throws(Refused) -> [String] {
    let text = try text()
    var parts: [String] = []
    var rest = Substring(text)
    while let start = rest.utf8.indices.first(where: {
      rest[$0...].hasPrefix(RouteRule.placeholder)
    }) {
      parts.append(String(rest[..<start]))
      rest = rest[start...].dropFirst(RouteRule.placeholder.count)
    }
    parts.append(String(rest))
    guard parts.count <= 2, ChannelName(parts.joined(separator: "x")) != nil else {
      throw Refused("write a channel's name, such as \"scores\", with {channel} in it at most once")
    }
    return parts
  }
}
