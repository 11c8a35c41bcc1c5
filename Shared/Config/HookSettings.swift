/// What a back end is asked or told by HTTP.
public enum HookName: String, Sendable, CaseIterable, Hashable {
  case connect, refresh, subscribe, subRefresh, publish, rpc, events
}

/// What a back end is asked, or told, of the channels of one rule.
public struct ChannelHooks: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let subscribe = ChannelHooks(rawValue: 1)
  public static let publish = ChannelHooks(rawValue: 2)
  public static let occupied = ChannelHooks(rawValue: 4)
  public static let vacated = ChannelHooks(rawValue: 8)
  public static let join = ChannelHooks(rawValue: 16)
  public static let leave = ChannelHooks(rawValue: 32)
  public static let subRefresh = ChannelHooks(rawValue: 64)

  /// What is told, and not asked.
  public static let events: ChannelHooks = [.occupied, .vacated, .join, .leave]

  static let named: [(name: String, hook: ChannelHooks)] = [
    ("subscribe", .subscribe), ("subRefresh", .subRefresh), ("publish", .publish),
    ("occupied", .occupied), ("vacated", .vacated), ("join", .join), ("leave", .leave),
  ]
}

/// The section `hooks`: where a back end is asked and told, and how long that may take.
public struct HookSettings: Sendable, Equatable {
  /// By what is asked there; empty: no hook.
  public var urls: [HookName: HookURL] = [:]
  /// A file with the secrets that requests are signed with; nil: they are not signed.
  public var keyFile: String?
  /// A file with the certificates that https back ends are believed by; nil: the system's.
  public var caFile: String?
  /// From the question to the whole answer, the wait for a connection included.
  public var timeout: Duration = .seconds(1)
  /// Requests of one loop that one hook may have under way, each on a connection of its own.
  public var concurrency = 64
  /// And those that may wait for a connection.
  public var queue = 1_024
  /// The most that is taken of an answer.
  public var answerBytes = 64 * 1024
  /// Fields of a client's request that a back end is shown, in lower case.
  public var headers: [String] = []
  /// Events that may wait for the back end.
  public var eventQueue = 65_536

  public init() {}

  /// Fields that no client's request gives away or sets.
  static let ownFields: Set<String> = [
    "host", "connection", "content-length", "content-type", "transfer-encoding", "upgrade", "te",
    "trailer", "keep-alive", "expect", "user-agent", "accept-encoding",
  ]
}

extension HookSettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "hooks", &reading)
    for name in HookName.allCases {
      urls[name] = reader.read(name.rawValue, &reading) { value throws(Refused) in
        try value.hookURL()
      }
    }
    keyFile = reader.text("keyFile", &reading)
    caFile = reader.text("caFile", &reading)
    timeout = reader.duration("timeout", in: 10...30_000, &reading) ?? timeout
    concurrency =
      reader.read("concurrency", &reading) { value throws(Refused) in
        try value.int(in: 1...1_024)
      } ?? concurrency
    queue =
      reader.read("queue", &reading) { value throws(Refused) in try value.int(in: 0...65_536) }
      ?? queue
    answerBytes =
      reader.read("answerBytes", &reading) { value throws(Refused) in
        try value.bytes(in: 256...(16 << 20))
      } ?? answerBytes
    headers =
      reader.list("headers", &reading) { value throws(Refused) in try value.forwardedField() } ?? []
    eventQueue =
      reader.read("eventQueue", &reading) { value throws(Refused) in
        try value.int(in: 1...1_000_000)
      } ?? eventQueue
    reader.finish(&reading)
    if headers.count > Self.headersMax {
      reading.report(reader.place, "hooks.headers", "write at most \(Self.headersMax) fields")
    }
  }

  static let headersMax = 16
}

extension ConfigValue {
  fileprivate func hookURL() throws(Refused) -> HookURL {
    guard case .string(let text) = content, let url = HookURL(text) else {
      throw Refused(
        "write an address such as \"http://127.0.0.1:3000/sapphire/connect\" or \"https://…\", "
          + "without a user's name")
    }
    return url
  }

  fileprivate func forwardedField() throws(Refused) -> String {
    let text = try text().lowercased()
    guard
      text.utf8.allSatisfy({
        (97...122).contains($0) || (48...57).contains($0) || $0 == UInt8(ascii: "-")
      }), text.utf8.count <= 64
    else { throw Refused("write a field's name, such as \"Cookie\"") }
    guard !HookSettings.ownFields.contains(text), !text.hasPrefix("sapphire-"),
      !text.hasPrefix("sec-websocket-")
    else { throw Refused("this field is the request's own; it can't be a client's") }
    return text
  }

  func channelHook() throws(Refused) -> ChannelHooks {
    if case .string(let text) = content,
      let found = ChannelHooks.named.first(where: { $0.name == text })
    {
      return found.hook
    }
    let names = ChannelHooks.named.map { "\"\($0.name)\"" }.joined(separator: ", ")
    throw Refused("write one of \(names)")
  }
}

extension ChannelRule {
  /// What a rule wants has to have an address, and somebody to be told of.
  func checkHooks(_ place: ConfigPlace, _ path: String, _ reading: inout ConfigReading) {
    for (name, hook) in ChannelHooks.named where hooks.contains(hook) {
      let wanted: HookName =
        switch hook {
        case .subscribe: .subscribe
        case .subRefresh: .subRefresh
        case .publish: .publish
        default: .events
        }
      guard !reading.hooks.contains(wanted) else { continue }
      reading.report(
        place, "\(path).hooks",
        "\"\(name)\" needs hooks.\(wanted.rawValue), the address of whoever answers it")
    }
    if !presence, !hooks.isDisjoint(with: .events) {
      reading.report(
        place, "\(path).hooks",
        "nobody is known to come or go where presence is false; leave out one of the two")
    }
  }
}
