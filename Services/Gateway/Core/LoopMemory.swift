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
  /// Publications that channels hold until they can be applied or told.
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
    counted(gateway.tallyConnections())
  }

  /// Every connection has been looked at.
  func counted(_ connections: MemoryTally) {
    countedAt = gateway.loop.now
    switch report(connections) {
    case .fine: break
    case .uncertain: shared.wakeOthers(than: gateway.index)
    case .over(let relief):
      relieve(relief)
      _ = report(gateway.tallyConnections())
      shared.wakeOthers(than: gateway.index)
    }
  }

  private func report(_ connections: MemoryTally) -> ClientMemory.Verdict {
    var tally = connections
    if heldByChannels >= step {
      gateway.forEachChannelHolding { tally.add($0.heldBytes) }
    } else {
      tally.add(heldByChannels)
    }
    grown = 0
    let (verdict, total) = shared.counted(tally, at: gateway.index)
    gateway.metrics.clientMemory.set(total)
    return verdict
  }

  // MARK: letting go

  private enum Holder {
    case connection(Connection)
    case channel(LocalChannel)
  }

  private func relieve(_ relief: MemoryRelief) {
    var left = relief.bytes
    var count = 0
    var freed = 0
    for (bytes, holder) in holders(from: relief.size) {
      let isOfLastSize = MemoryTally.size(of: bytes) == relief.size
      guard !isOfLastSize || left > 0 else { break }
      if isOfLastSize { left -= bytes }
      switch holder {
      case .connection(let connection): connection.letGoForMemory()
      case .channel(let channel): channel.letGoOfHeld()
      }
      gateway.metrics.limits.reached(.clientMemoryBytes)
      count += 1
      freed += bytes
    }
    if count > 0 { tell(count, freed) }
  }

  /// Those that hold most first.
  private func holders(from size: Int) -> [(bytes: Int, holder: Holder)] {
    var found: [(bytes: Int, holder: Holder)] = []
    for connection in gateway.connections.values where !connection.isLeaving {
      let bytes = connection.heldBytes
      if bytes > 0, MemoryTally.size(of: bytes) >= size { found.append((bytes, .connection(connection))) }
    }
    gateway.forEachChannelHolding { channel in
      let bytes = channel.heldBytes
      if MemoryTally.size(of: bytes) >= size { found.append((bytes, .channel(channel))) }
    }
    return found.sorted { $0.bytes > $1.bytes }
  }

  /// Once a second at most: who fills the memory must not fill the log.
  private func tell(_ count: Int, _ bytes: Int) {
    if let toldAt, gateway.loop.now.since(toldAt) < .seconds(1) { return }
    toldAt = gateway.loop.now
    gateway.logger.warning(
      "clients made the gateway hold more than limits.clientMemoryBytes: those that held most were let go",
      ["count": .int(Int64(count)), "bytes": .int(Int64(bytes))])
  }
}
