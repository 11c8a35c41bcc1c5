import BoardChannel
import BroadcastChannel
public import ChannelKit
import ConformanceChannel
import CursorChannel
import EchoChannel
import FollowChannel
import RelayChannel
import SimulationChannel
import StateChannel

extension ChannelRegistry {
  /// The channel types, and the handlers of calls, that this build has: one line each.
  public static var compiledIn: ChannelRegistry {
    var registry = ChannelRegistry()
    registry.register(RelayChannel.self)
    registry.register(BroadcastChannel.self)
    registry.register(CursorChannel.self)
    registry.register(BoardChannel.self)
    registry.register(EchoChannel.self)
    registry.register(calls: Conformance.self)
    registry.register(FollowChannel.self)
    registry.register(SimulationChannel.self)
    registry.register(StateChannel.self)
    return registry
  }
}
