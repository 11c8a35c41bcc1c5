internal import ChannelKit

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
  var subscribersMax: Int?
  var requiredFields: [String] = []
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
