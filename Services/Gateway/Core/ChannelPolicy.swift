internal import ChannelKit
internal import Schema

/// What the configuration says of one channel, ready for use.
struct ChannelPolicy: Sendable {
  var type = "relay"
  var history = ChannelKit.ChannelHistory.none
  var historyCount: UInt32 = 0
  var historyMs: UInt32 = 0
  /// Nil: the listener's default.
  var subscribe: [Principal]?
  var publish: [Principal]?
  /// Nil: whoever may subscribe.
  var readHistory: [Principal]?
  var seePresence: [Principal]?
  var hasPresence = true
  /// Its publications may be compressed on their way to clients.
  var isCompressed = true
  var subscribersMax: Int?
  /// How urgent its publications are beside others for the same client.
  var lane = Lane.normal
  /// Nil: what its kind asks for.
  var slow: SlowLadder?
  /// What a published payload has to look like (S003-22, S002-20).
  var schemas: [JSONSchema] = []
  var options = ChannelOptions()

  /// Takes over who may do what; what the channel keeps stays as it is.
  mutating func adoptRights(of other: ChannelPolicy) {
    subscribe = other.subscribe
    publish = other.publish
    readHistory = other.readHistory
    seePresence = other.seePresence
  }

  func hasRights(of other: ChannelPolicy) -> Bool {
    subscribe == other.subscribe && publish == other.publish
      && readHistory == other.readHistory && seePresence == other.seePresence
  }

  var isDurable: Bool { history == .durable }
}
