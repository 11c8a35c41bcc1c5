internal import ChannelKit
internal import Config
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
  /// Each connection is a member of its own, and not each user.
  var countsConnections = false
  /// Its publications may be compressed on their way to clients.
  var isCompressed = true
  var subscribersMax: Int?
  /// Which rates publications count for; nil: by their size and the history.
  var messageClass: MessageClass?
  /// How urgent its publications are beside others for the same client.
  var lane = Lane.normal
  /// Nil: what its kind asks for.
  var slow: SlowLadder?
  /// What a published payload has to look like (S003-22, S002-20).
  var schemas: [JSONSchema] = []
  var options = ChannelOptions()
  /// What a back end is asked.
  var hooks: ChannelHooks = []

  /// Takes over what may change while the channel is open: who may do what and how often, what a
  /// payload has to look like, how many may subscribe. What the channel is and keeps stays as it is.
  mutating func adopt(_ other: ChannelPolicy) {
    messageClass = other.messageClass
    subscribe = other.subscribe
    publish = other.publish
    readHistory = other.readHistory
    seePresence = other.seePresence
    schemas = other.schemas
    subscribersMax = other.subscribersMax
    isCompressed = other.isCompressed
    lane = other.lane
    hooks = other.hooks
    // A ladder is for the history that its rule gives, which stays as it was.
    if other.history == history { slow = other.slow }
  }

  /// The same channel for nobody.
  var closed: ChannelPolicy {
    var policy = self
    (policy.subscribe, policy.publish, policy.readHistory, policy.seePresence) = ([], [], [], [])
    return policy
  }

  var isDurable: Bool { history == .durable }
}
