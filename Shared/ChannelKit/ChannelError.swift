/// Why a channel refused an event or a subscriber; its sender is told code, name and message.
///
/// Numbers and names are stable: clients tell errors apart by them. 1000 to 1099 are the kit's;
/// a plugin's own begin at 1100, and mean what its page of documentation says. The message is for
/// people, and holds no payload and no secret.
public struct ChannelError: Error, Sendable, Equatable, CustomStringConvertible {
  public let code: UInt16
  /// In snake_case.
  public let name: String
  public let message: String

  /// The lowest code that a plugin may define.
  public static let pluginCodeMin: UInt16 = 1_100

  /// An error of a plugin's own; `code` is at least `pluginCodeMin`.
  public init(code: UInt16, name: String, message: String) {
    precondition(code >= Self.pluginCodeMin, "codes below 1100 are the kit's")
    self.init(kit: code, name, message)
  }

  private init(kit code: UInt16, _ name: String, _ message: String) {
    self.code = code
    self.name = name
    self.message = message
  }

  /// Whether the same event may succeed if it is sent again.
  public var isRetryable: Bool { code == 1_000 }

  /// Whether the same event may succeed in another state of the channel; else it is the event that
  /// is wrong, and it is refused without a look at whether the state is up to date.
  public var mayDependOnState: Bool { code != 1_001 && code != 1_002 }

  public var description: String { "\(name) (\(code)): \(message)" }

  /// Others published first each time this was decided; try again.
  public static let contended = ChannelError(
    kit: 1_000, "contended", "the channel changed while this was decided; try again")

  public static func unknownEvent(_ name: String?) -> ChannelError {
    ChannelError(
      kit: 1_001, "unknown_event",
      name.map { "this channel knows no event \($0.prefix(64))" } ?? "the event has no name")
  }

  /// The payload is not what this channel takes, whatever its state.
  public static func invalidPayload(_ message: String) -> ChannelError {
    ChannelError(kit: 1_002, "invalid_payload", message)
  }

  public static func notPermitted(_ message: String) -> ChannelError {
    ChannelError(kit: 1_003, "not_permitted", message)
  }

  public static func notFound(_ message: String) -> ChannelError {
    ChannelError(kit: 1_004, "not_found", message)
  }

  public static func alreadyExists(_ message: String) -> ChannelError {
    ChannelError(kit: 1_005, "already_exists", message)
  }

  /// The event was made for a state that is no longer the present one.
  public static func conflict(_ message: String) -> ChannelError {
    ChannelError(kit: 1_006, "conflict", message)
  }

  public static func limitReached(_ message: String) -> ChannelError {
    ChannelError(kit: 1_007, "limit_reached", message)
  }

  /// The decision asked for more than `Effects` allows, or for what makes no sense together: a
  /// fault of the plugin, not of the client.
  public static func effectsRefused(_ message: String) -> ChannelError {
    ChannelError(kit: 1_008, "effects_refused", message)
  }
}
