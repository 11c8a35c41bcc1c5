internal import Bytes

/// The members of one channel, and the changes that its watchers have not been given yet.
///
/// Members stand in slots that never move, so that a snapshot can be read page by page while they
/// come and go: a member missed by a page has been, or will be, told as a change. Within a turn
/// members change at once, and the version only in `commit`, which compares each member touched
/// with how it stood when the turn began. Knows no gateways, leases or time.
struct Roster: Placed, Sendable {
  struct Member: Placed, Sendable {
    var entry: PresenceEntry
    /// Indices of its connections, live and lost.
    var connections: Connections
    /// How it stood when the turn began has been noted.
    var isTouched: Bool
  }

  /// One or more; most members have one, which takes no memory of its own.
  struct Connections: Sendable {
    private var oldest: Int
    private var others: [Int] = []

    init(_ only: Int) { oldest = only }

    var count: Int { 1 + others.count }

    mutating func append(_ index: Int) { others.append(index) }

    /// Whether others are left; the last one stays.
    mutating func remove(_ index: Int) -> Bool {
      guard index == oldest else {
        others.removeAll { $0 == index }
        return true
      }
      guard !others.isEmpty else { return false }
      oldest = others.removeFirst()
      return true
    }

    func first(where isMeant: (Int) -> Bool) -> Int? {
      isMeant(oldest) ? oldest : others.first(where: isMeant)
    }
  }

  private struct Touch {
    let key: MemberKey
    /// Where the member stood last.
    let slot: Int
    let before: PresenceEntry?
  }

  let channel: ChannelName
  /// What of the channel a back end is told.
  let told: ChannelNews.Kinds
  private var wasOccupied = false
  private(set) var log = ChangeLog()
  var watchers: Set<LinkID> = []
  private var members = Slab<Member>()
  private var slots = MemberSlots()
  private var touched: [Touch] = []
  /// Touched members that are gone now.
  private var gone: Set<MemberKey> = []
  private(set) var connectionCount = 0
  /// It is on the board's list of those to look at when the turn ends.
  var isListed = false

  init(channel: ChannelName, told: ChannelNews.Kinds = []) {
    self.channel = channel
    self.told = told
  }

  var version: PresenceVersion { log.head }
  var memberCount: Int { members.count }
  var isTouched: Bool { !touched.isEmpty }
  var isUnused: Bool { members.isEmpty && watchers.isEmpty && touched.isEmpty }

  /// Indices of the member's connections; nil if it isn't here.
  func connections(of key: MemberKey) -> Connections? {
    slots[key].map { members[$0].connections }
  }

  // MARK: Changes within a turn

  /// Adds a connection: the member is here with its first.
  mutating func insert(_ connection: Int, of entry: PresenceEntry) {
    connectionCount += 1
    if let slot = slots[entry.key] {
      touch(slot)
      members[slot].connections.append(connection)
      members[slot].entry.info = entry.info
      return
    }
    let slot = members.insert(
      Member(entry: entry, connections: Connections(connection), isTouched: true))
    slots.add(entry.key, at: slot)
    // One that was here when the turn began has been noted as it was then.
    let isBack = !gone.isEmpty && gone.remove(entry.key) != nil
    if !isBack { touched.append(Touch(key: entry.key, slot: slot, before: nil)) }
  }

  /// Takes a connection away: the member is gone with its last.
  mutating func remove(_ connection: Int, of key: MemberKey) {
    guard let slot = slots[key] else { preconditionFailure("a connection has a member") }
    touch(slot)
    connectionCount -= 1
    if members[slot].connections.remove(connection) { return }
    members.remove(at: slot)
    slots.remove(key)
    gone.insert(key)
  }

  mutating func update(_ info: [UInt8], of key: MemberKey) {
    guard let slot = slots[key] else { preconditionFailure("a connection has a member") }
    touch(slot)
    members[slot].entry.info = info
  }

  private mutating func touch(_ slot: Int) {
    guard !members[slot].isTouched else { return }
    let entry = members[slot].entry
    members[slot].isTouched = true
    touched.append(Touch(key: entry.key, slot: slot, before: entry))
  }

  // MARK: At the end of a turn

  /// Turns what was touched into changes, in the order it was touched first.
  ///
  /// With `leaves` withheld, watchers aren't told who has gone; a complete snapshot has to follow later.
  ///
  /// Gives what a back end is to be told, in order: that the channel is occupied before who joined,
  /// that it is vacated behind who left.
  mutating func commit(leaves: LeavePolicy) -> [ChannelNews] {
    // With nobody watching, the version is all that has to be kept.
    let isWatched = !watchers.isEmpty
    if !isWatched { log.removeAll() }
    var news: [ChannelNews] = []
    if told.contains(.occupied), !members.isEmpty, !wasOccupied { news.append(.occupied) }
    for touch in touched {
      guard let change = change(touch) else { continue }
      if !told.isEmpty, let event = event(touch, change) { news.append(event) }
      if case .left = change, leaves == .withheld { continue }
      if isWatched { log.append(change) } else { log.pass() }
    }
    if told.contains(.vacated), members.isEmpty, wasOccupied { news.append(.vacated) }
    wasOccupied = !members.isEmpty
    touched = []
    gone = []
    return news
  }

  private mutating func change(_ touch: Touch) -> PresenceChange? {
    switch (touch.before, settled(touch)) {
    case (nil, let entry?): .joined(entry)
    case (_?, nil): .left(touch.key)
    case (let old?, let new?): old != new ? .updated(new) : nil
    case (nil, nil): nil
    }
  }

  private func event(_ touch: Touch, _ change: PresenceChange) -> ChannelNews? {
    switch change {
    case .joined(let entry): told.contains(.join) ? .joined(entry) : nil
    case .left: told.contains(.leave) ? touch.before.map { .left($0) } : nil
    case .updated: nil
    }
  }

  /// How a member stands that was touched; nil if it is gone.
  private mutating func settled(_ touch: Touch) -> PresenceEntry? {
    func settle(_ member: inout Member) -> PresenceEntry? {
      guard member.entry.key == touch.key else { return nil }
      member.isTouched = false
      return member.entry
    }
    if members.isUsed(touch.slot), let entry = members.at(touch.slot, settle) { return entry }
    return slots[touch.key].flatMap { members.at($0, settle) }
  }

  mutating func limitLog(to countMax: Int) { log.limit(to: countMax) }
  mutating func trimLog(to version: PresenceVersion) { log.trim(to: version) }
  mutating func clearLog() { log.removeAll() }

  /// Members from slot `start` on, at most `countMax` of about `bytesMax` together, at least one if
  /// there is one; and the slot to go on from, nil after the last. Looks at no more than
  /// `8 × countMax` slots, so a sparse roster gives pages that are short or empty.
  func page(
    from start: Int, countMax: Int, bytesMax: Int
  ) -> (entries: [PresenceEntry], next: Int?) {
    var entries: [PresenceEntry] = []
    var bytes = 0
    var slot = start
    while slot < members.end {
      guard entries.count < countMax, slot - start < 8 * countMax else { return (entries, slot) }
      if let member = members.element(at: slot) {
        bytes += member.entry.byteCount
        guard bytes <= bytesMax || entries.isEmpty else { return (entries, slot) }
        entries.append(member.entry)
      }
      slot += 1
    }
    return (entries, nil)
  }
}

/// Whether a commit tells watchers who has gone.
enum LeavePolicy {
  case shown
  case withheld
}
