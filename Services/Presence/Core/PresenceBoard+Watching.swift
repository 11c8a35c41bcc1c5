// Links that watch channels: a snapshot in pages, then changes, as fast as the link takes them.

package import Bytes

extension PresenceBoard {
  struct Link: Sendable {
    let lane: Int
    var isStalled = false
    var watches: [Int: Watch] = [:]
    /// Rosters with something for this link, in turn.
    var queue: [Int] = []

    init(lane: Int) { self.lane = lane }

    var isServable: Bool { !isStalled && !queue.isEmpty }

    mutating func enqueue(_ roster: Int) {
      guard watches[roster]?.isQueued == false else { return }
      watches[roster]?.isQueued = true
      queue.append(roster)
    }
  }

  struct Watch: Sendable {
    enum Snapshot: Sendable {
      /// To be sent from the start; changes so far don't matter.
      case due
      case underWay(next: Int)
      case sent
    }
    /// The last change this link has been given or doesn't need.
    var version = PresenceVersion(0)
    var snapshot = Snapshot.due
    var isQueued = false
  }

  // MARK: Events

  /// The link wants the channel's members: a snapshot, then changes. Asking again starts over.
  package mutating func watched(_ channel: ChannelName, by link: LinkID) {
    guard let watchCount = links[link]?.watches.count else { return }
    let known = rosterNumbers[channel].flatMap { links[link]?.watches[$0] }
    guard known != nil || watchCount < limits.watchesPerLinkMax else {
      return refuse(channel, .tooManyWatches, link)
    }
    guard let number = roster(of: channel) else { return refuse(channel, .tooManyChannels, link) }
    list(number)
    rosters[number].watchers.insert(link)
    if known == nil { links[link]?.watches[number] = Watch() }
    restartSnapshot(of: number, for: link)
  }

  /// The link wants nothing more of the channel.
  package mutating func unwatched(_ channel: ChannelName, by link: LinkID) {
    guard let number = rosterNumbers[channel],
      links[link]?.watches.removeValue(forKey: number) != nil
    else { return }
    rosters[number].watchers.remove(link)
    list(number)
  }

  /// The link has as much to send as it should have; it is given no more until `linkDrained`.
  package mutating func linkStalled(_ link: LinkID) { links[link]?.isStalled = true }

  package mutating func linkDrained(_ link: LinkID) { links[link]?.isStalled = false }

  private mutating func refuse(
    _ channel: ChannelName, _ refusal: PresenceRefusal, _ link: LinkID
  ) {
    outbox.append(.refuseWatch(channel, refusal, to: link))
    counters.refusals += 1
  }

  /// Takes the link and its watches out.
  mutating func forget(_ link: LinkID) {
    guard let gone = links.removeValue(forKey: link) else { return }
    for number in gone.watches.keys.sorted() {
      rosters[number].watchers.remove(link)
      list(number)
    }
  }

  // MARK: Serving

  func servableLinks() -> [LinkID] {
    links.filter(\.value.isServable).keys.sorted { $0.value < $1.value }
  }

  /// Gives a link what waits for it, channel by channel in turn, up to its share of the turn.
  mutating func serve(_ id: LinkID) {
    // Taken out while it is worked on, so that its tables are changed in place.
    guard var link = links.removeValue(forKey: id) else { return }
    var budget = limits.linkBytesPerTurn
    var served = 0
    while served < link.queue.count, budget > 0 {
      let number = link.queue[served]
      served += 1
      // A roster that is no longer watched may still be queued.
      guard var watch = link.watches[number] else { continue }
      watch.isQueued = false
      if let cost = serve(number, to: id, &watch) {
        budget -= cost
        watch.isQueued = true
        link.queue.append(number)
      }
      link.watches[number] = watch
      list(number)
    }
    link.queue.removeFirst(served)
    links[id] = link
  }

  /// Sends one message of a watch and gives its cost in bytes; nil if there is nothing to send.
  private mutating func serve(_ number: Int, to link: LinkID, _ watch: inout Watch) -> Int? {
    let log = rosters[number].log
    if watch.version < log.base, !watch.isSnapshotDue {
      watch.snapshot = .due
      counters.snapshotsForced += 1
    }
    switch watch.snapshot {
    case .due:
      watch.version = log.head
      return sendPage(of: number, from: 0, to: link, &watch)
    case .underWay(let next):
      return sendChanges(of: number, to: link, &watch)
        ?? sendPage(of: number, from: next, to: link, &watch)
    case .sent:
      return sendChanges(of: number, to: link, &watch)
    }
  }

  private mutating func sendChanges(
    of number: Int, to link: LinkID, _ watch: inout Watch
  ) -> Int? {
    let log = rosters[number].log
    guard let slice = log.slice(after: watch.version, bytesMax: limits.messageBytesMax) else {
      return nil
    }
    let changes = PresenceChanges(
      channel: rosters[number].channel, after: watch.version, changes: Array(slice))
    watch.version = watch.version.advanced(by: slice.count)
    outbox.append(.sendChanges(changes, to: link))
    return slice.reduce(64) { $0 + $1.byteCount }
  }

  /// Sends a page; the link has every change up to the version it shows.
  private mutating func sendPage(
    of number: Int, from start: Int, to link: LinkID, _ watch: inout Watch
  ) -> Int {
    let (entries, next) = rosters[number].page(
      from: start, countMax: limits.pageEntriesMax, bytesMax: limits.messageBytesMax)
    watch.snapshot = next.map { .underWay(next: $0) } ?? .sent
    let page = PresencePage(
      channel: rosters[number].channel, version: watch.version, entries: entries,
      isFirst: start == 0, isLast: next == nil,
      completeness: wasWithholding ? .rebuilding : .complete)
    outbox.append(.sendPage(page, to: link))
    return entries.reduce(64) { $0 + $1.byteCount }
  }

  // MARK: Starting over

  private mutating func restartSnapshot(of number: Int, for link: LinkID) {
    links[link]?.watches[number]?.snapshot = .due
    links[link]?.enqueue(number)
    list(number)
  }

  /// All watchers get a complete snapshot: the service knows again who is there.
  mutating func restartAllSnapshots() {
    for link in links.keys {
      for number in (links[link]?.watches.keys.sorted() ?? []) {
        restartSnapshot(of: number, for: link)
      }
    }
  }

  /// Brings the bytes kept for slow watchers below the bound: first at the cost of stalled links,
  /// then of all that are behind.
  mutating func limitPendingBytes() {
    guard pendingBytes > limits.pendingBytesMax else { return }
    for (link, state) in links where state.isStalled {
      for (number, watch) in state.watches where watch.version < rosters[number].version {
        restartSnapshot(of: number, for: link)
        counters.snapshotsForced += 1
        trimLog(of: number)
      }
    }
    guard pendingBytes > limits.pendingBytesMax else { return }
    for number in rosterNumbers.values { changeLog(of: number) { $0.clearLog() } }
  }

  /// Lets go of the changes that every watcher has, or will have by its snapshot.
  mutating func trimLog(of number: Int) {
    guard rosters.at(number, { $0.log.count > 0 }) else { return }
    var needed = rosters[number].log.head
    for watcher in rosters[number].watchers {
      guard let watch = links[watcher]?.watches[number], !watch.isSnapshotDue else { continue }
      needed = min(needed, watch.version)
    }
    changeLog(of: number) { $0.trimLog(to: needed) }
  }
}

extension PresenceBoard.Watch {
  var isSnapshotDue: Bool {
    if case .due = snapshot { true } else { false }
  }
}
