import BoardChannel
import BroadcastChannel
public import ChannelKit
import CursorChannel
import EchoChannel
import RelayChannel

extension ChannelRegistry {
  /// The channel types that this build has: one line each.
  public static var compiledIn: ChannelRegistry {
    var registry = ChannelRegistry()
    registry.register(RelayChannel.self)
    registry.register(BroadcastChannel.self)
    registry.register(CursorChannel.self)
    registry.register(BoardChannel.self)
    registry.register(EchoChannel.self)
    return registry
  }
}
