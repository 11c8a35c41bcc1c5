internal import Bytes
internal import Config
internal import Loop
internal import Observe
internal import Platform

/// The channels of one loop by their names, how many there may be, and which go when there is no room.
///
/// A channel without subscribers stays for a while, since whoever publishes comes back. Those wait in
/// a queue: the one that waits longest makes room for a newcomer, at a cost that doesn't depend on how
/// many there are. So a client that goes through one name after the other lets go of its own.
///
/// INVARIANT: the channels without subscribers are in the queue, and no others.
final class ChannelDirectory {
  private unowned let gateway: GatewayLoop
  private var channels: [ChannelName: LocalChannel] = [:]
  private var idle = RecencyQueue<LocalChannel>()
  private var shares = ChannelShares()

  /// BUDGET: channels looked at to make room for one, and in one sweep.
  private static let lookMax = 16
  private static let sweepMax = 20_000
  /// How long a channel stays that nobody subscribes to.
  private static let restMax = Duration.seconds(60)

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  var all: Dictionary<ChannelName, LocalChannel>.Values { channels.values }

  subscript(name: ChannelName) -> LocalChannel? { channels[name] }

  /// Whether one more may be made, for clients of `owner`, once others have made room.
  func hasRoom(for owner: AddressKey?) -> Bool {
    if let owner, shares.count(of: owner) >= gateway.settings.channelsPerAddressMax {
      guard closeOldest(of: owner) else {
        gateway.metrics.limits.reached(.channelsPerAddress)
        return false
      }
    }
    guard channels.count >= gateway.settings.channelsMax else { return true }
    guard closeOldest(of: nil) else {
      gateway.metrics.limits.reached(.linkChannels)
      return false
    }
    return channels.count < gateway.settings.channelsMax
  }

  func insert(_ channel: LocalChannel, for owner: AddressKey?) {
    channels[channel.name] = channel
    channel.owner = owner
    if let owner { shares.enter(owner) }
    rest(channel)
    gateway.metrics.channels.add(1)
  }

  /// Somebody subscribes to it.
  func isNeeded(_ channel: LocalChannel) { idle.remove(channel) }

  /// Its last subscriber has gone.
  func rests(_ channel: LocalChannel) {
    if channels[channel.name] === channel { rest(channel) }
  }

  /// Puts a channel behind all that wait.
  private func rest(_ channel: LocalChannel) {
    channel.restsSince = gateway.loop.now
    idle.renew(channel)
  }

  /// Closes what nobody has used for a while.
  func sweep() {
    let now = gateway.loop.now
    for _ in 0..<Self.sweepMax {
      guard let channel = idle.oldest, now.since(channel.restsSince) >= Self.restMax else { return }
      guard leaves(channel) else { continue }
      if now.since(channel.lastUsed) < Self.restMax {
        rest(channel)
      } else if !close(channel) {
        return
      }
    }
  }

  /// Closes the one that rests longest of those looked at, of `owner` if one is named.
  private func closeOldest(of owner: AddressKey?) -> Bool {
    for channel in idle.oldest(Self.lookMax) {
      if let owner, channel.owner != owner { continue }
      if leaves(channel) { return close(channel) }
    }
    return false
  }

  /// Whether nobody needs it. One that is being opened, or published to, is looked at again later.
  private func leaves(_ channel: LocalChannel) -> Bool {
    if channel.isIdle, !channel.isOpening { return true }
    rest(channel)
    return false
  }

  /// False where the hub can't be told now: it would keep the name, so the channel stays as well.
  private func close(_ channel: LocalChannel) -> Bool {
    guard gateway.detach(channel) else { return false }
    idle.remove(channel)
    channels[channel.name] = nil
    if let owner = channel.owner { shares.leave(owner) }
    channel.letGoOfHeld()
    gateway.metrics.channels.add(-1)
    return true
  }
}

/// How many channels each address has brought into being. Pure.
struct ChannelShares {
  private var counts: [AddressKey: Int] = [:]

  func count(of owner: AddressKey) -> Int { counts[owner] ?? 0 }

  mutating func enter(_ owner: AddressKey) { counts[owner, default: 0] += 1 }

  mutating func leave(_ owner: AddressKey) {
    guard let count = counts[owner] else { return }
    counts[owner] = count > 1 ? count - 1 : nil
  }
}
