public import ChannelKit

/// A channel that sends every payload back to whoever sent it, and to nobody else.
///
/// For trying a connection out: nothing is published, so nothing reaches the hub.
public struct EchoChannel: ChannelType {
  public static let name = "echo"
  public static let publishers: [Principal]? = [.anyone]

  public init(channel: ChannelName, options: inout ChannelOptions) {}

  public func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) {
    if client.isAPI { effects.reply(event.payload) } else { effects.send(event.payload) }
  }
}
