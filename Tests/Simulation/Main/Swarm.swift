internal import CSimulatedDisk
internal import EventStoreCore

/// What one seed has: how many take part, which bounds are tiny, and which faults come how often.
///
/// A run with every fault at once is over before anything deep has happened; so each seed draws some.
struct Swarm {
  let gateways: Int
  let clients: Int
  let streams: Int
  /// Microseconds with faults, and after them until all must be well.
  let stormMicroseconds: Int64
  static let calmMicroseconds: Int64 = 40_000_000

  /// Milliseconds between what one client does.
  let thinkingMs: ClosedRange<Int64>
  let linkDelay: ClosedRange<Int64>
  /// Reads, appends and administration that may wait at the store.
  let queueMax: Int
  let commitRequests: Int
  let pageCount: Int
  let announcePage: Int
  let heldMax: Int
  let keysKept: Int64

  // Mean milliseconds between two of a kind; 0 never.
  let killEvery: Int
  let powerCutEvery: Int
  let crashModes: [sd_crash_mode]
  let stopEvery: Int
  let pauseEvery: Int
  let hubKillEvery: Int
  let gatewayKillEvery: Int
  let linkCutEvery: Int
  let clockJumpEvery: Int
  let fullEvery: Int
  let lossEvery: Int
  /// One announcement in so many is dropped by a full link, and told as a gap; 0 none.
  let gapEvery: Int
  let faults: sd_faults
  let syncFailure: sd_sync_failure
  let storeOptions: EventStore.Options

  init(_ world: World) {
    func some(_ perMille: Int, _ range: ClosedRange<Int64>) -> Int {
      let value = Int(world.between(range))
      return world.chance(perMille) ? value : 0
    }
    gateways = 1 + world.below(3)
    clients = 5 + world.below(16)
    streams = 1 + world.below(4)
    stormMicroseconds = world.between(4_000...9_000) * 1_000
    let pace = world.between(20...120) * Int64(clients)
    thinkingMs = pace / 4...pace
    linkDelay = world.chance(300) ? 100...80_000 : 100...3_000
    queueMax = world.chance(200) ? 3 : 200
    commitRequests = world.chance(300) ? 1 + world.below(3) : 64
    pageCount = world.chance(500) ? 1 + world.below(5) : 100
    announcePage = world.chance(500) ? 1 + world.below(5) : 512
    heldMax = world.chance(300) ? 1 + world.below(4) : 1_000
    keysKept = world.chance(200) ? 1_500 : 20 * 3_600_000
    killEvery = some(450, 700...4_000)
    powerCutEvery = some(550, 700...4_000)
    let modes: [sd_crash_mode] = [.keepsNone, .keepsAll, .keepsSome, .tears]
    crashModes = world.chance(500) ? modes : [world.one(of: modes)]
    stopEvery = some(250, 1_000...5_000)
    pauseEvery = some(250, 800...4_000)
    hubKillEvery = some(300, 700...4_000)
    gatewayKillEvery = some(250, 800...4_000)
    linkCutEvery = some(500, 200...2_000)
    clockJumpEvery = some(300, 500...3_000)
    fullEvery = some(250, 800...4_000)
    lossEvery = some(150, 1_500...5_000)
    gapEvery = some(200, 3...40)
    var faults = sd_faults()
    let rate = UInt32(world.between(50...1_500))
    if world.chance(200) { faults.write_error = rate }
    if world.chance(250) { faults.sync_error = rate * 3 }
    if world.chance(150) { faults.read_error = rate }
    if world.chance(150) { faults.open_error = rate }
    if world.chance(200) { faults.no_space = rate }
    if world.chance(200) { faults.short_write = rate * 5 }
    if world.chance(200) { faults.short_read = rate * 5 }
    self.faults = faults
    syncFailure = world.one(of: [.keeps, .forgets, .reverts])
    storeOptions = Self.options(world, keysKept, hasLoss: lossEvery > 0)
  }

  private static func options(_ world: World, _ keysKept: Int64, hasLoss: Bool)
    -> EventStore.Options
  {
    var options = EventStore.Options()
    options.keysKept = keysKept
    options.tailBytes = world.one(of: [0, 100, 600, 5_000, 1 << 20])
    options.sweptEvents = Int64(world.one(of: [1, 3, 50, 4_096]))
    // What is damaged in the log is to be the end of the history, not a page of the database's.
    options.checkpointPages = hasLoss ? 1 << 20 : world.one(of: [4, 20, 100, 2_048])
    // Rot of the log's last moments together with a power failure may pass unnoticed otherwise.
    options.markSync =
      world.chance(hasLoss ? 1_000 : 300) ? .beforeOutcome : .within(world.one(of: [0, 5, 50]))
    return options
  }
}
