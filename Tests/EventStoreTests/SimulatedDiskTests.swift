import Bytes
import CSimulatedDisk
import SQLite
import StoreSimulation
import Testing
import Wire

@testable import EventStoreCore

/// The store on a disk that forgets what was not synced.
struct SimulatedDiskTests {
  private let now = StoreInstant(monotonic: 1_000, wall: 1_700_000_000_000)
  private let disk = SimulatedDisk(seed: 1)

  private func open() throws -> EventStore {
    var options = EventStore.Options()
    options.disk = disk
    return try EventStore(directory: "/store", options: options, now: now)
  }

  @Test func whatIsAcknowledgedIsThereAfterAPowerFailure() throws {
    var store: EventStore? = try open()
    #expect(try store!.commit([request("a", "1", "2")], at: now)[0].receipt != nil)
    disk.crash(.keepsNone)
    store = nil
    let page = try StoreReader(of: open()).read(name("a"), from: .zero)
    #expect(page.texts == ["1", "2"])
  }

  /// A clean close removes the log; the next store makes it anew. SQLite passes over a failed sync of the
  /// directory then.
  @Test(arguments: 1...3 as ClosedRange<UInt64>)
  func theNameOfANewLogIsDurableBeforeItsFirstOutcome(failing nth: UInt64) throws {
    var store: EventStore? = try open()
    try store!.settle(at: now)
    store = nil
    disk.fail(SD_CALL_SYNC_DIRECTORY, nth: nth, 5)
    store = try? open()
    let outcome = try? store?.commit([request("a", "1")], at: now)[0]
    disk.heal()
    disk.crash(.keepsNone)
    store = nil
    let page = try StoreReader(of: open()).read(name("a"), from: .zero)
    if outcome?.receipt != nil { #expect(page.texts == ["1"]) }
  }

  /// The log is there, and no commit of this process has told how long it is.
  @Test func aDiskThatIsFullWhenTheStoreOpensLeavesTheLogAlone() throws {
    var store: EventStore? = try open()
    let events = (1...40).map { "\($0)" + String(repeating: " ", count: 2_000) }
    for text in events { _ = try store!.commit([request("a", text)], at: now) }
    disk.crash(.process)
    store = nil
    // The log's index has room, and nothing else.
    disk.setCapacity(disk.usedBytes + 32_768)
    store = try open()
    #expect(try store!.probe(at: now) == false)
    disk.crash(.process)
    store = nil
    disk.setCapacity(64 << 20)
    let page = try StoreReader(of: open()).read(name("a"), from: .zero)
    #expect(page.texts == events)
  }

  /// The kernel counts as written what a failed sync did not bring to the disk.
  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func whatAFailedSyncLeftInTheCacheIsWrittenAgain(seed: UInt64) throws {
    let disk = SimulatedDisk(seed: seed)
    var options = EventStore.Options()
    options.disk = disk
    func open() throws -> EventStore {
      try EventStore(directory: "/store", options: options, now: now)
    }
    var store: EventStore? = try open()
    #expect(try store!.commit([request("a", "1")], at: now)[0].receipt != nil)
    disk.setSyncFailure(.forgets)
    disk.fail(SD_CALL_SYNC, 5)
    #expect(throws: StoreFailure.self) { try store!.commit([request("a", "2")], at: now) }
    disk.crash(.process)
    store = nil
    store = try open()
    #expect(try store!.commit([request("a", "3")], at: now)[0].receipt != nil)
    disk.crash(.keepsNone)
    store = nil
    let page = try StoreReader(of: open()).read(name("a"), from: .zero)
    #expect(page.texts == ["1", "2", "3"])
  }

  @Test func anAcceptedLossLeavesNoEpochForTheSuccessorsOfDeletedStreams() throws {
    var store: EventStore? = try open()
    _ = try store!.commit([request("a", "1")], at: now)
    #expect(try store!.delete(name("a"), at: now) == .deleted(forks: 0))
    // What the log has of the tables' making is longer than a few commits; the damage is to the last.
    for number in 1...8 { _ = try store!.commit([request("b", "\(number)")], at: now) }
    let lost = try store!.commit([request("a", "2")], at: now)[0].receipt?.epoch
    // A header, and frames with headers of their own; behind them may be what an earlier log left.
    let logged = 32 + store!.connection.walFrames * (24 + store!.pageBytes)
    disk.crash(.process)
    store = nil
    let log = "/store/\(StoreSchema.fileName)-wal"
    #expect(disk.flip(log, bit: UInt64(logged * 8 - 800)))
    #expect(throws: StoreFailure.self) { try open() }
    var options = EventStore.Options()
    options.disk = disk
    options.loss = .acceptWithNewEpochs
    store = try EventStore(directory: "/store", options: options, now: now)
    let receipt = try store!.commit([request("a", "3")], at: now)[0].receipt
    #expect(receipt?.first == Offset(1))
    #expect(receipt?.epoch != lost)
  }
}
