internal import Bytes
internal import CSimulatedDisk
internal import EventStoreCore
internal import StoreSimulation
internal import TestKit
internal import Wire

/// Bits that turn over at rest: the store alone, some history, a crash, one flipped bit. It is refused, or
/// says *corrupt* for what is damaged; whatever it does serve is what was stored, under the same epoch.
final class RotRun {
  private let world: World
  private let disk: SimulatedDisk
  private var options = EventStore.Options()
  private var texts: [ChannelName: [String]] = [:]
  private var epochs: [ChannelName: Epoch] = [:]
  private let now = StoreInstant(monotonic: 1_000, wall: 1_700_000_000_000)
  private static let directory = "/store"

  init(seed: UInt64, isTold: Bool) {
    world = World(seed: seed, isTold: isTold)
    disk = SimulatedDisk(seed: world.random.next())
    disk.seedSQLite()
    options.disk = disk
    options.entropy = StoreEntropy { [seed] in seed &* 0x9E37_79B9_7F4A_7C15 }
    options.tailBytes = world.one(of: [0, 100, 5_000, 1 << 20])
    options.sweptEvents = Int64(world.one(of: [1, 50, 4_096]))
    options.checkpointPages = world.one(of: [4, 30, 2_048])
    options.markSync = .within(0)
  }

  func run() -> RunResult {
    var commits = 0
    do {
      var store: EventStore? = try EventStore(directory: Self.directory, options: options, now: now)
      for number in 0..<(5 + world.below(60)) {
        if let store { try append(number, to: store) }
        commits += 1
      }
      if world.chance(300) { try store?.settle(at: now) } else { disk.crash(.process) }
      store = nil
    } catch {
      world.fail("a sound disk: \(error)")
    }
    for _ in 0..<4 where world.flaw == nil {
      look(at: SimulatedDisk(copyOf: disk, seed: world.random.next()))
    }
    world.mix(disk.trace)
    return RunResult(seed: world.seed, hash: world.hash, flaw: world.flaw, commits: commits)
  }

  private func append(_ number: Int, to store: EventStore) throws {
    guard let name = ChannelName("s\(world.below(3))") else { return }
    let new = (0..<(1 + world.below(3))).map { "\(number).\($0)" }
    let request = AppendRequest(to: name, new.map { NewEvent(payload: Payload(text: $0)) }, time: 1)
    guard case .committed(let receipt) = try store.commit([request], at: now)[0] else {
      return world.fail("an append was refused")
    }
    texts[name, default: []] += new
    epochs[name] = receipt.epoch
    try store.maintain(at: now)
  }

  private func look(at image: SimulatedDisk) {
    let log = "events.sqlite-wal"
    let file = world.one(of: ["events.sqlite", log, log, "head.mark"])
    let path = "\(Self.directory)/\(file)"
    let bytes = image.peekBytes(path)
    guard bytes > 0 else { return }
    let bit = world.between(0...(bytes * 8 - 1))
    guard image.flip(path, bit: UInt64(bit)) else { return world.fail("no such bit") }
    var damaged = options
    damaged.disk = image
    do {
      let store = try EventStore(directory: Self.directory, options: damaged, now: now)
      let reader = try StoreReader(of: store)
      world.note("served", text: "\(file) \(bit)")
      for name in texts.keys.sorted(by: { $0.text < $1.text }) { compare(name, reader, file) }
    } catch {
      world.note("refused", text: "\(file) \(bit): \(error)")
    }
  }

  private func compare(_ name: ChannelName, _ reader: StoreReader, _ file: String) {
    let expected = texts[name] ?? []
    do throws(ReadFailure) {
      let head = try reader.head(of: name)
      guard Int(head.head.value) == expected.count, head.epoch == epochs[name] else {
        return world.fail(
          "a flipped bit of \(file): \(name) is at \(head.head) of \(expected.count)")
      }
    } catch { return }
    for from in expected.indices {
      do throws(ReadFailure) {
        let page = try reader.read(name, from: Offset(UInt64(from)), count: 1)
        let found = page.events.map { String(decoding: $0.payload.bytes, as: UTF8.self) }
        if found != [expected[from]] {
          world.fail(
            "a flipped bit of \(file): \(name) \(from + 1) is \(found), not \(expected[from])")
        }
      } catch { continue }
    }
  }
}
