/// The channel types that are compiled in, by name.
public struct ChannelRegistry: Sendable {
  private typealias Factory =
    @Sendable (ChannelName, inout ChannelOptions) throws(ChannelOptionsError) -> any ChannelType
  private struct Entry: Sendable {
    let traits: ChannelTraits
    let make: Factory
  }

  private var entries: [String: Entry] = [:]
  private var handlers: [String: @Sendable () -> any CallHandler] = [:]

  public init() {}

  /// Adds a type. A name that is taken or outside the grammar, and traits that contradict each
  /// other, are faults of the program and stop it at start.
  public mutating func register<Type: ChannelType>(_ type: Type.Type) {
    let traits = ChannelTraits(type)
    precondition(Self.isName(traits.name), "\(traits.name) is no name for a channel type")
    precondition(entries[traits.name] == nil, "two channel types are called \(traits.name)")
    precondition(
      traits.state != .folded || traits.history == .kept || traits.history == .durable,
      "\(traits.name) folds its history, so it must require one")
    entries[traits.name] = Entry(traits: traits) { channel, options throws(ChannelOptionsError) in
      try Type(channel: channel, options: &options)
    }
  }

  /// Adds a handler of calls; its name is one as a type's, and no other handler's.
  public mutating func register<Handler: CallHandler>(calls: Handler.Type) {
    precondition(Self.isName(calls.name), "\(calls.name) is no name for a handler of calls")
    precondition(handlers[calls.name] == nil, "two handlers of calls are called \(calls.name)")
    handlers[calls.name] = { Handler() }
  }

  /// Sorted.
  public var handlerNames: [String] { handlers.keys.sorted() }

  /// A new handler; nil where none of that name is compiled in.
  public func callHandler(_ name: String) -> (any CallHandler)? { handlers[name].map { $0() } }

  /// Sorted.
  public var names: [String] { entries.keys.sorted() }

  /// Nil where no such type is compiled in.
  public func traits(of name: String) -> ChannelTraits? { entries[name]?.traits }

  /// A new channel.
  ///
  /// - Errors: no such type; a history that the type can't work with; an option that is unknown,
  ///   of the wrong type or out of range.
  public func make(
    _ name: String, channel: ChannelName, options: ChannelOptions, history: ChannelHistory
  ) throws(ChannelOptionsError) -> AnyChannel {
    guard let entry = entries[name] else {
      throw ChannelOptionsError(
        "no channel type \(name); there are: \(names.joined(separator: ", "))")
    }
    guard entry.traits.history.allows(history) else {
      throw ChannelOptionsError(
        "type \(name) \(entry.traits.history.demand), and the rule gives it \(history)")
    }
    var options = options
    let channel = try entry.make(channel, &options)
    try options.refuseUnread()
    if channel.delivery != .immediate, history != .none {
      throw ChannelOptionsError(
        "type \(name) merges publications here, so the rule must give it no history")
    }
    return AnyChannel(channel, entry.traits, history)
  }

  /// Checks a rule before any channel exists, as `make` would.
  public func check(_ name: String, options: ChannelOptions, history: ChannelHistory)
    throws(ChannelOptionsError)
  {
    guard let channel = ChannelName("check") else { return }
    _ = try make(name, channel: channel, options: options, history: history)
  }

  private static func isName(_ name: String) -> Bool {
    (1...32).contains(name.utf8.count)
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: byte == UInt8(ascii: "-")
        }
      }
  }
}

extension HistoryRequirement {
  fileprivate var demand: String {
    switch self {
    case .any: "takes any history"
    case .none: "must have no history"
    case .kept: "needs a history"
    case .durable: "needs a durable history"
    }
  }
}
