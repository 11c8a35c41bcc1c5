public import ChannelKit

/// A channel on which few speak to many: clients listen, and the API or a role publishes.
///
/// Differs from a relay in who may publish where the rule doesn't say: only the API (S001-08).
public struct BroadcastChannel: ChannelType {
  public static let name = "broadcast"
  public static let publishers: [Principal]? = []

  public init(channel: ChannelName, options: inout ChannelOptions) {}

  public var isPassThrough: Bool { true }

  public func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) {
    effects.publish(event.payload)
  }
}
