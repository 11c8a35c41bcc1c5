internal import Bytes
internal import ChannelKit
internal import JSON
internal import Link
internal import Loop
internal import Wire

/// Who of this loop's clients is where, told to presence in batches, and what presence tells back.
///
/// Joins and leaves go out once a turn. The lease is the gateway process's; every loop's link
/// renews it. After a new link everything is reported again.
final class PresenceReporter {
  private struct Key: Hashable {
    var channel: ChannelName
    var client: String
  }

  private let gateway: GatewayLoop
  private var members: [Key: MemberJoin] = [:]
  private var joins: [Key: MemberJoin] = [:]
  private var leaves: [Key: MemberLeave] = [:]
  private var isScheduled = false
  private var watchers: [ChannelName: Watch] = [:]
  private var leaseTimer: TimerID?

  private struct Watch {
    var sessions: [SocketSession] = []
    var members: [String: ControlMessage.Person] = [:]
    var loading: [String: ControlMessage.Person] = [:]
    var isComplete = false
  }

  static let leaseMs: UInt32 = 10_000

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  // MARK: reporting

  func joined(_ channel: ChannelName, client: ClientContext, session: String) {
    guard let id = client.id else { return }
    let key = Key(channel: channel, client: id.text)
    let join = MemberJoin(
      channel: channel, client: id.text, user: client.user?.text ?? "", session: session,
      info: client.info)
    members[key] = join
    leaves[key] = nil
    joins[key] = join
    schedule()
  }

  func left(_ channel: ChannelName, client: ClientContext, isClean: Bool) {
    guard let id = client.id else { return }
    let key = Key(channel: channel, client: id.text)
    guard members.removeValue(forKey: key) != nil else { return }
    // One that presence never heard of need not be taken back.
    if joins.removeValue(forKey: key) == nil {
      leaves[key] = MemberLeave(channel: channel, client: id.text, isClean: isClean)
    }
    schedule()
  }

  /// The gateway goes: its clients are told to come back, so none of them is shown as gone.
  func leaveAll() {}

  private func schedule() {
    guard !isScheduled else { return }
    isScheduled = true
    gateway.loop.atTurnEnd { [weak self] in self?.flush() }
  }

  private func flush() {
    isScheduled = false
    guard let link = gateway.upstreams.presence else {
      // Everything is reported anew when the link is back.
      joins = [:]
      leaves = [:]
      return
    }
    send(link, Array(joins.values), Array(leaves.values), isComplete: false)
    joins = [:]
    leaves = [:]
  }

  /// BUDGET: changes in one frame.
  private static let batchMax = 1000

  private func send(_ link: Link, _ joins: [MemberJoin], _ leaves: [MemberLeave], isComplete: Bool) {
    var joins = joins[...]
    var leaves = leaves[...]
    var isFirst = isComplete
    repeat {
      let batch = PresenceBatch(
        gateway: gateway.identity.instance, incarnation: gateway.identity.incarnation,
        isComplete: isFirst, joins: Array(joins.prefix(Self.batchMax)),
        leaves: Array(leaves.prefix(Self.batchMax)))
      link.send(batch)
      isFirst = false
      joins = joins.dropFirst(Self.batchMax)
      leaves = leaves.dropFirst(Self.batchMax)
    } while !joins.isEmpty || !leaves.isEmpty
  }

  func linkOpened(_ link: Link) {
    renew()
    joins = [:]
    leaves = [:]
    send(link, Array(members.values), [], isComplete: true)
    for name in watchers.keys { request(name, link) }
  }

  func linkLost() {
    if let leaseTimer { gateway.loop.cancel(leaseTimer) }
    leaseTimer = nil
  }

  private func renew() {
    guard let link = gateway.upstreams.presence else { return }
    let lease = Lease(
      remainingMs: 3000, gateway: gateway.identity.instance,
      incarnation: gateway.identity.incarnation, durationMs: Self.leaseMs)
    link.request(lease, expecting: Leased.self, within: .seconds(3)) { _ in }
    leaseTimer = gateway.loop.after(.milliseconds(Int64(Self.leaseMs) / 3)) { [weak self] in
      self?.renew()
    }
  }

  // MARK: watching

  func watch(_ channel: ChannelName, for session: SocketSession) {
    if watchers[channel] == nil {
      watchers[channel] = Watch(sessions: [session])
      if let link = gateway.upstreams.presence { request(channel, link) }
      return
    }
    watchers[channel]?.sessions.append(session)
    if let watch = watchers[channel], watch.isComplete { show(channel, watch, to: session) }
  }

  func unwatch(_ channel: ChannelName, for session: SocketSession) {
    watchers[channel]?.sessions.removeAll { $0 === session }
    guard let watch = watchers[channel], watch.sessions.isEmpty else { return }
    watchers[channel] = nil
    gateway.upstreams.presence?.send(UnwatchPresence(channel: channel))
  }

  private func request(_ channel: ChannelName, _ link: Link) {
    watchers[channel]?.loading = [:]
    link.send(WatchPresence(remainingMs: 5000, channel: channel))
  }

  func received(_ page: PresencePage) {
    guard watchers[page.channel] != nil else { return }
    for member in page.members {
      watchers[page.channel]?.loading[member.client] = ControlMessage.Person(member)
    }
    guard !page.hasMore, var watch = watchers[page.channel] else { return }
    let before = watch.members
    let wasComplete = watch.isComplete
    watch.members = watch.loading
    watch.loading = [:]
    watch.isComplete = true
    watchers[page.channel] = watch
    guard wasComplete else {
      for session in watch.sessions { show(page.channel, watch, to: session) }
      return
    }
    // A snapshot that came again: only what differs is told.
    for (client, person) in before where watch.members[client] == nil {
      tell(watch, ControlMessage.left(channel: page.channel.text, person))
    }
    for (client, person) in watch.members where before[client] == nil {
      tell(watch, ControlMessage.joined(channel: page.channel.text, person))
    }
  }

  func received(_ changes: PresenceChanges) {
    for change in changes.changes {
      guard watchers[change.channel]?.isComplete == true else { continue }
      for member in change.leaves {
        guard let person = watchers[change.channel]?.members.removeValue(forKey: member.client)
        else { continue }
        if let watch = watchers[change.channel] {
          tell(watch, ControlMessage.left(channel: change.channel.text, person))
        }
      }
      for member in change.joins {
        let person = ControlMessage.Person(member)
        let before = watchers[change.channel]?.members.updateValue(person, forKey: member.client)
        if before == nil, let watch = watchers[change.channel] {
          tell(watch, ControlMessage.joined(channel: change.channel.text, person))
        }
      }
    }
  }

  /// BUDGET: people named in the first message; the total says how many there are.
  private static let shownMax = 1000

  private func show(_ channel: ChannelName, _ watch: Watch, to session: SocketSession) {
    let people = watch.members.values.sorted { $0.client < $1.client }
    session.tell(
      ControlMessage.presence(
        channel: channel.text, Array(people.prefix(Self.shownMax)), total: people.count))
  }

  private func tell(_ watch: Watch, _ message: [UInt8]) {
    for session in watch.sessions { session.tell(message) }
  }
}

extension ControlMessage.Person {
  init(_ member: Member) {
    self.init(client: member.client, user: member.user, info: member.info)
  }
}
