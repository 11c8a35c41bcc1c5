import Bytes
import Glibc
import SQLite
import Testing
import Wire

@testable import EventStoreCore

/// A file system of a few megabytes in memory; nil where this process may not mount one.
final class SmallDisk {
  let path: String

  init?(megabytes: Int) {
    guard let made = try? StoreFiles.makeTemporaryDirectory(under: "/tmp") else { return nil }
    path = made
    guard unsafe mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
      StoreFiles.removeDirectory(path)
      return nil
    }
  }

  deinit {
    _ = unsafe umount2(path, 2)
    StoreFiles.removeDirectory(path)
  }

  private static let isAllowed = SmallDisk(megabytes: 1) != nil
  static var isPossible: Bool { isAllowed }
}

@Suite(.enabled(if: SmallDisk.isPossible, "mounting a tmpfs is not permitted here"))
struct SpaceTests {
  private let block = [UInt8](repeating: 1, count: 64 << 10)

  private func large(_ number: Int) -> AppendRequest {
    AppendRequest(to: name("a"), [NewEvent(payload: Payload(.binary, block))], time: Int64(number))
  }

  // Rows 10 and 11.
  @Test func fullDiskRefusesAppendsServesReadsAndRecovers() throws {
    let disk = try #require(SmallDisk(megabytes: 12))
    let temporary = try TemporaryStore(under: disk.path)
    var store: EventStore? = try temporary.open()
    let reader = try StoreReader(of: store!)
    var accepted: UInt64 = 0
    var refusals = 0
    let ballast = try StoreFile(path: temporary.path("ballast"))
    try ballast.write([UInt8](repeating: 0, count: 4 << 20), at: 0)
    for number in 0..<400 where refusals < 20 {
      switch try store!.append(large(number), temporary) {
      case .committed(let receipt):
        accepted += 1
        #expect(receipt.last.value == accepted)
      case .outOfSpace: refusals += 1
      default: Issue.record("neither stored nor refused")
      }
      try store!.maintain(at: temporary.now)
    }
    #expect(refusals == 20 && accepted > 10)
    #expect(try reader.read(name("a"), from: Offset(accepted - 1)).offsets == [accepted])
    try ballast.truncate(to: 0)
    #expect(try store!.append(large(1_000), temporary).receipt?.last.value == accepted + 1)
    #expect(try store!.append(large(1_001), temporary).receipt?.last.value == accepted + 2)
    store = nil
    store = try temporary.open()
    #expect(store?.position == Int64(accepted) + 2)
  }

  /// Takes all that is left of a disk.
  private func fill(_ temporary: TemporaryStore) throws -> StoreFile {
    let ballast = try StoreFile(path: temporary.path("ballast"))
    var offset = 0
    for piece in [1 << 20, 4_096] {
      while true {
        do throws(StoreFailure) {
          try ballast.write([UInt8](repeating: 0, count: piece), at: offset)
        } catch { break }
        offset += piece
      }
    }
    return ballast
  }

  /// Housekeeping that can't write waits; due at once again it would keep the writer turning.
  @Test func fullDiskDoesNotKeepHousekeepingDue() throws {
    let disk = try #require(SmallDisk(megabytes: 12))
    let temporary = try TemporaryStore(under: disk.path)
    let store = try temporary.open()
    for number in 0..<40 { _ = try store.append(large(number), temporary) }
    _ = try fill(temporary)
    var wasFull = false
    for position in 1...40 as ClosedRange<Int64> {
      store.confirmAnnounced(through: position, at: temporary.now)
      temporary.pass(milliseconds: 60_000)
      try store.maintain(at: temporary.now)
      #expect(store.maintenanceDue > temporary.monotonic)
      wasFull = wasFull || store.announced < position
    }
    #expect(wasFull)
  }

  /// The row of a probe fits where an event of some kilobytes was refused a moment ago.
  @Test func aStoreThatRefusesEventsIsNotSaidToBeWritable() throws {
    let disk = try #require(SmallDisk(megabytes: 12))
    let temporary = try TemporaryStore(under: disk.path)
    let store = try temporary.open()
    let ballast = try StoreFile(path: temporary.path("ballast"))
    try ballast.write([UInt8](repeating: 0, count: 4 << 20), at: 0)
    var outcome = try store.append(large(0), temporary)
    for number in 1..<400 where outcome != .outOfSpace {
      outcome = try store.append(large(number), temporary)
    }
    #expect(outcome == .outOfSpace)
    #expect(try !store.probe(at: temporary.now))
    try ballast.truncate(to: 0)
    #expect(try store.probe(at: temporary.now))
  }

  /// A store whose log is long on disk and holds next to nothing, as after a checkpoint.
  private func afterCheckpoint(on disk: SmallDisk) throws -> (TemporaryStore, position: Int64) {
    let first = try TemporaryStore()
    let store = try first.open()
    while store.connection.walFrames < 4_200 { _ = try store.append(large(1), first) }
    #expect(try store.checkpoint())
    _ = try store.append(request("a", "last"), first)
    #expect(store.connection.walFrames < 100)
    return (try first.image(under: disk.path), store.position)
  }

  /// The index of the log grows in steps of some four thousand pages, after the log itself was
  /// written and synced: what the commit was about is on disk, so nobody may be told that it is not.
  @Test func fullDiskUnderTheIndexOfTheLogStopsTheStoreAndLosesNothing() throws {
    let disk = try #require(SmallDisk(megabytes: 112))
    let (temporary, before) = try afterCheckpoint(on: disk)
    var store: EventStore? = try temporary.open()
    let ballast = try fill(temporary)
    var position = before
    let failure = #expect(throws: StoreFailure.self) {
      for number in 0..<1_000 {
        guard case .committed = try store!.append(large(number), temporary) else { return }
        position += 1
      }
    }
    #expect(failure != .poisoned)
    #expect(failure?.exitCode == 74)
    #expect(failure?.description.contains("the disk is full: the index of the log") == true)
    store = nil
    try ballast.truncate(to: 0)
    let again = try temporary.open()
    #expect(again.position >= position && again.position <= position + 1)
  }

  @Test func fullDiskAtTheStartIsSaidPlainlyAndLosesNothing() throws {
    let disk = try #require(SmallDisk(megabytes: 112))
    let (temporary, position) = try afterCheckpoint(on: disk)
    let ballast = try fill(temporary)
    let failure = #expect(throws: StoreFailure.self) { try temporary.open() }
    #expect(failure?.exitCode == 73)
    #expect(
      failure?.description.contains("No space left on device") == true,
      "\(String(describing: failure))")
    try ballast.truncate(to: 0)
    #expect(try temporary.open().position == position)
  }
}
