internal import Config
internal import Loop
internal import Observe
internal import Platform

/// What clients make one loop hold, and who is let go where all loops hold too much.
///
/// Counted, not kept account of: once a second what each connection holds is read, in the sweep that
/// looks at each anyway. In between it is only noted how much may have been added, by whatever takes
/// larger things in; where that could be too much, it is counted at once. Loop-confined.
final class LoopMemory {
  private unowned let gateway: GatewayLoop
  private let shared: ClientMemory
  private var grown = 0
  private var isCountDue = false
  private var countedAt = Instant(nanoseconds: 0)
  private var toldAt: Instant?
  /// Publications that channels hold until they can be applied or told, sequenced or decided.
  private(set) var heldByChannels = 0
  private var step: Int

  /// BUDGET: between two counts that are made for want of room; a count looks at every connection.
  private static let pause = Duration.milliseconds(10)

  init(_ gateway: GatewayLoop) {
    self.gateway = gateway
    shared = gateway.settings.memory
    step = Self.step(gateway.settings.memoryMax)
    shared.allow(gateway.settings.memoryMax)
  }

  /// What is noted together. Loops may hold so much, each, that nobody else knows of yet.
  private static func step(_ most: Int) -> Int { max(4_096, min(1 << 20, most / 64)) }

  func adopt(_ most: Int) {
    step = Self.step(most)
    shared.allow(most)
  }

  /// So many bytes were taken in that may stay for a while.
  func grew(by bytes: Int) {
    grown += bytes
    if grown >= step { noteGrowth() }
  }

  func channelsHold(_ bytes: Int) {
    heldByChannels += bytes
    if bytes > 0 { grew(by: bytes) }
  }

  private func noteGrowth() {
    let bytes = grown
    grown = 0
    if shared.grew(by: bytes, at: gateway.index) != .fine { countSoon() }
  }

  /// Counts at the end of this turn, or a little later where that was done just now.
  func countSoon() {
    guard !isCountDue else { return }
    isCountDue = true
    let rest = Self.pause - gateway.loop.now.since(countedAt)
    if rest > .zero {
      gateway.loop.after(rest) { [self] in count() }
    } else {
      gateway.loop.atTurnEnd { [self] in count() }
    }
  }

  private func count() {
    isCountDue = false
    counted(gateway.tallyClients())
  }

  /// Every connection has been looked at.
  func counted(_ clients: MemoryTally) {
    countedAt = gateway.loop.now
    switch report(clients) {
    case .fine: break
    case .uncertain: shared.wakeOthers(than: gateway.index)
    case .over:
      relieve()
      _ = report(gateway.tallyClients())
      shared.wakeOthers(than: gateway.index)
    }
  }

  private func report(_ clients: MemoryTally) -> ClientMemory.Verdict {
    var tally = clients
    if heldByChannels >= step {
      forEachHolderInChannels { tally.add($1, of: $0.account) }
    } else {
      tally.add(loose: heldByChannels)
    }
    grown = 0
    let (verdict, total) = shared.counted(tally, at: gateway.index)
    gateway.metrics.clientMemory.set(total)
    return verdict
  }

  // MARK: letting go

  private func relieve() {
    var tally = MemoryTally()
    var holders: [MemoryHolder] = []
    func note(_ holder: MemoryHolder, _ bytes: Int) {
      guard bytes > 0 else { return }
      tally.add(bytes, of: holder.account)
      holders.append(holder)
    }
    forEachClient(note, loose: { tally.add(loose: $0) })
    forEachHolderInChannels(note)
    _ = shared.counted(tally, at: gateway.index)
    letGo(shared.relief(at: gateway.index).map { (holders[$0], tally.holders[$0].bytes) })
  }

  private func letGo(_ holders: [(MemoryHolder, Int)]) {
    guard !holders.isEmpty else { return }
    for (holder, _) in holders {
      holder.letGo()
      gateway.metrics.limits.reached(.clientMemoryBytes)
    }
    tell(holders.count, holders.reduce(0) { $0 + $1.1 })
  }

  private func forEachClient(_ body: (MemoryHolder, Int) -> Void, loose: (Int) -> Void) {
    for connection in gateway.connections.all {
      if connection.isLeaving {
        loose(connection.heldBytes)
      } else {
        body(.connection(connection), connection.heldBytes)
      }
    }
    for client in gateway.engines.all { body(.engine(client), client.heldBytes) }
  }

  private func forEachHolderInChannels(_ body: (MemoryHolder, Int) -> Void) {
    guard heldByChannels > 0 else { return }
    for channel in gateway.channels.all { channel.forEachHolder(body) }
  }

  /// Once a second at most: who fills the memory must not fill the log.
  private func tell(_ count: Int, _ bytes: Int) {
    if let toldAt, gateway.loop.now.since(toldAt) < .seconds(1) { return }
    toldAt = gateway.loop.now
    gateway.logger.warning(
      "clients made the gateway hold more than limits.clientMemoryBytes: "
        + "the users and addresses that held most lost their largest",
      ["count": .int(Int64(count)), "bytes": .int(Int64(bytes))])
  }
}

/// Something that can be let go, with the memory that it holds.
enum MemoryHolder {
  case connection(Connection)
  case engine(EngineClient)
  /// What a channel holds until it is applied or a seam has been found: it is read again.
  case channel(LocalChannel)
  /// A publication that waits for its channel to be opened.
  case waiting(WaitingPublications, WaitingPublications.Entry)
  /// An event that waits to be decided.
  case undecided(Decisions, number: UInt64, PublishRequest)

  var account: MemoryAccount {
    switch self {
    case .connection(let connection): connection.memoryAccount
    case .engine(let client): client.memoryAccount
    case .channel(let channel): .alone(ObjectIdentifier(channel))
    case .waiting(_, let entry): entry.request.memoryAccount
    case .undecided(_, _, let request): request.memoryAccount
    }
  }

  func letGo() {
    switch self {
    case .connection(let connection): connection.letGoForMemory()
    case .engine(let client): client.letGoForMemory()
    case .channel(let channel): channel.letGoOfHeld()
    case .waiting(let publications, let entry): publications.letGo(entry.number)
    case .undecided(let decisions, let number, _): decisions.letGo(number)
    }
  }
}
