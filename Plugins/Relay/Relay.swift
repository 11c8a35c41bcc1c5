public import ChannelKit

/// A channel that hands on every payload as it was published; the default type.
public struct RelayChannel: ChannelType {
  public static let name = "relay"

  public init(channel: ChannelName, options: inout ChannelOptions) {}

  public var isPassThrough: Bool { true }

  public func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) {
    effects.publish(event.payload)
  }
}
