internal import Bytes

/// What a back end has for one client in one channel. Pure.
struct HookPlace: Equatable {
  /// JSON that others see of the client there.
  var info: [UInt8]?
  /// For the client.
  var data: Payload?
  var override = SubscriptionOverride()

  var bytesCount: Int { 64 + (info?.count ?? 0) + (data?.bytes.count ?? 0) }
}

/// What is different for one client of a channel from what is so for others. Pure.
struct SubscriptionOverride: Equatable {
  /// It is no member: others see neither that it is there nor that it comes and goes.
  var isHidden = false
  /// Whether it is told who comes and goes; nil: as it asks, and as the channel's others are.
  var hearsMembers: Bool?
  /// It is told no place in the history, and does not go on from one.
  var forgetsPlace = false
  /// It is not promised to be told of a hole in what it gets.
  var isUnpositioned = false

  var isEmpty: Bool { self == SubscriptionOverride() }
}

/// What is kept of a back end's answer to `connect`, as long as its client is there.
struct HookKept {
  /// JSON that the back end is shown again, and nobody else.
  var meta: [UInt8]?
  var places: [ChannelName: HookPlace] = [:]

  var isEmpty: Bool { meta == nil && places.isEmpty }

  var bytesCount: Int {
    places.values.reduce(meta?.count ?? 0) { $0 + $1.bytesCount }
  }
}
