internal import Bytes

/// The section `centrifuge`: what the doors of the Centrifuge protocol do beside what all doors do.
public struct CentrifugeSettings: Sendable, Equatable {
  /// The plugin that answers `rpc` and takes `send`; nil: there are no procedures.
  public var calls: String?
  /// The channel that every client of a user is subscribed to, with `{user}` in the name's place; nil:
  /// none.
  public var personalChannel: String?
  /// Channels whose subscribers are told who comes and goes, whether they ask for that or not.
  public var joinLeave: [ChannelPattern] = []
  /// Channels of which whoever comes back gets the latest publication, and not all that it missed.
  public var cacheRecovery: [ChannelPattern] = []

  public init() {}
}

extension CentrifugeSettings {
  /// - Parameter handlers: the plugins that answer calls; empty: any name is taken.
  init(reading value: ConfigValue?, handlers: [String], _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "centrifuge", &reading)
    calls = reader.read("calls", &reading) { value throws(Refused) in
      try value.callHandler(among: handlers)
    }
    personalChannel = reader.read("personalChannel", &reading) { value throws(Refused) in
      try value.personalChannel()
    }
    func patterns(_ key: String) -> [ChannelPattern] {
      reader.list(key, &reading) { value throws(Refused) in try value.channelPattern() } ?? []
    }
    joinLeave = patterns("joinLeave")
    cacheRecovery = patterns("cacheRecovery")
    reader.finish(&reading)
  }
}

extension ConfigValue {
  fileprivate func channelPattern() throws(Refused) -> ChannelPattern {
    guard let pattern = ChannelPattern(try text()) else {
      throw Refused("write a channel's name, with stars for any run of characters: \"map:*\"")
    }
    return pattern
  }

  fileprivate func personalChannel() throws(Refused) -> String {
    let text = try text()
    let parts = text.split(separator: "{", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[1].hasPrefix("user}"),
      ChannelName(parts[0] + "u" + parts[1].dropFirst(5)) != nil
    else { throw Refused("write a channel's name with one {user} in it: \"#{user}\"") }
    return text
  }

  /// The name of a plugin that answers calls.
  func callHandler(among handlers: [String]) throws(Refused) -> String {
    let name = try text()
    guard !handlers.isEmpty, !handlers.contains(name) else { return name }
    let hint = nearest(to: name, among: handlers).map { "did you mean \"\($0)\"?" }
    throw Refused(
      "no plugin \"\(name)\" answers calls; "
        + (hint ?? "there are \(handlers.sorted().joined(separator: ", "))"))
  }
}
