internal import Bytes

/// The members of one channel, and the changes that its watchers have not been given yet.
///
/// Members stand in slots that never move, so that a snapshot can be read page by page while they
/// come and go: a member missed by a page has been, or will be, told as a change. Within a turn
/// members change at once, and the version only in `commit`, which compares each member touched
/// with how it stood when the turn began. Knows no gateways, leases or time.
struct Roster: Sendable {
  struct Member: Sendable {
    var entry: PresenceEntry
    /// Indices of its connections, live and lost.
    var connections: Connections
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

  let channel: ChannelName
  private(set) var log = ChangeLog()
  var watchers: Set<LinkID> = []
  private var members = Slab<Member>()
  private var slots: [MemberKey: Int] = [:]
  private var touched: [(key: MemberKey, before: PresenceEntry?)] = []
  private var touchedKeys: Set<MemberKey> = []
  private(set) var connectionCount = 0

  init(channel: ChannelName) { self.channel = channel }

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
    touch(entry.key)
    connectionCount += 1
    if let slot = slots[entry.key] {
      members[slot].connections.append(connection)
      members[slot].entry.info = entry.info
    } else {
      slots[entry.key] = members.insert(Member(entry: entry, connections: Connections(connection)))
    }
  }

  /// Takes a connection away: the member is gone with its last.
  mutating func remove(_ connection: Int, of key: MemberKey) {
    guard let slot = slots[key] else { preconditionFailure("a connection has a member") }
    touch(key)
    connectionCount -= 1
    if members[slot].connections.remove(connection) { return }
    members.remove(at: slot)
    slots[key] = nil
  }

  mutating func update(_ info: [UInt8], of key: MemberKey) {
    guard let slot = slots[key] else { preconditionFailure("a connection has a member") }
    touch(key)
    members[slot].entry.info = info
  }

  private mutating func touch(_ key: MemberKey) {
    guard touchedKeys.insert(key).inserted else { return }
    touched.append((key, slots[key].map { members[$0].entry }))
  }

  // MARK: At the end of a turn

  /// Turns what was touched into changes, in the order it was touched first.
  ///
  /// With `leaves` withheld, who has gone is not told; a complete snapshot has to follow later.
  mutating func commit(leaves: LeavePolicy) {
    for (key, before) in touched {
      let now = slots[key].map { members[$0].entry }
      switch (before, now) {
      case (nil, let entry?): log.append(.joined(entry))
      case (_?, nil): if leaves == .shown { log.append(.left(key)) }
      case (let old?, let new?): if old != new { log.append(.updated(new)) }
      case (nil, nil): break
      }
    }
    touched = []
    touchedKeys = []
    // With nobody watching, the version is all that has to be kept.
    if watchers.isEmpty { log.removeAll() }
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
