public import ChannelKit

/// A channel that hands on every payload as it was published; the default type.
public struct RelayChannel: ChannelType {
  public static let name = "relay"

  private let audience: Audience

  public init(channel: ChannelName, options: inout ChannelOptions) throws(ChannelOptionsError) {
    audience = try options.bool("toPublisher") ?? true ? .everyone : .others
  }

  public var isPassThrough: Bool { audience == .everyone }

  public func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) {
    effects.publish(PublishEffect(event.payload, to: audience))
  }
}
