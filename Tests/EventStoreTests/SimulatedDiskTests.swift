import Bytes
import CSimulatedDisk
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
}
