import Archive
import Bytes
import SQLite
import Testing
import Wire

@testable import EventStoreCore

struct SnapshotTests {
  private let fold = FoldName("state", version: 1)

  private func filled(_ count: Int, tail: Int = 0) throws -> (TemporaryStore, EventStore) {
    let temporary = try TemporaryStore()
    temporary.options.keepInTail(tail)
    let store = try temporary.open()
    for number in 1...count { _ = try store.append(request("a", "\(number)"), temporary) }
    return (temporary, store)
  }

  private func put(
    _ store: EventStore, _ temporary: TemporaryStore, at offset: UInt64, of stream: String = "a",
    epoch: Epoch? = nil, sha256: [UInt8] = [], version: UInt32 = 1, crc: UInt32? = nil,
    state: [UInt8]? = nil
  ) throws -> SnapshotOutcome {
    let state = state ?? [UInt8]("state at \(offset)".utf8)
    let own = try StoreReader(of: store).head(of: name(stream)).epoch
    return try store.keep(
      PutSnapshot(
        remainingMs: 0, stream: name(stream), fold: FoldName("state", version: version),
        epoch: try #require(epoch ?? own), offset: Offset(offset), sha256: sha256,
        crc: crc ?? crc32c(state), state: state), time: 7, at: temporary.now)
  }

  private func found(
    _ store: EventStore, of stream: String = "a", at offset: UInt64? = nil, version: UInt32 = 1
  ) throws -> SnapshotFound? {
    try StoreReader(of: store).snapshot(
      of: name(stream), FoldName("state", version: version), at: offset.map { Offset($0) },
      wantsState: true)
  }

  private func kept(_ store: EventStore) throws -> [UInt64] {
    try store.snapshots.table.list(of: 1, "state").map(\.offset.value).sorted()
  }

  private func settle(_ store: EventStore, _ temporary: TemporaryStore) throws {
    // What is in the tail becomes segments with a commit behind it.
    for _ in 0..<3 { _ = try store.append(request("other", "x"), temporary) }
    for _ in 0..<50 {
      temporary.pass(milliseconds: 50)
      try store.maintain(at: temporary.now)
    }
  }

  @Test(arguments: [0, 300, 1 << 20]) func theLatestAtOrBeforeAnOffsetIsFound(tail: Int) throws {
    let (temporary, store) = try filled(30, tail: tail)
    for offset: UInt64 in [5, 12, 30] {
      #expect(try put(store, temporary, at: offset) == .kept(Offset(offset)))
    }
    for (at, expected) in [(30, 30), (29, 12), (12, 12), (11, 5), (5, 5)] as [(UInt64, UInt64)] {
      let found = try #require(try found(store, at: at))
      #expect(found.offset.value == expected && found.timeMs == 7)
      #expect(found.state == [UInt8]("state at \(expected)".utf8))
    }
    #expect(try found(store, at: 4) == nil && found(store)?.offset == Offset(30))
    #expect(try found(store, of: "b") == nil && found(store, version: 2) == nil)
    // A store that was opened anew has them, and a power failure takes none.
    let image = try temporary.image()
    #expect(try found(image.open(), at: 29)?.offset == Offset(12))
  }

  @Test func whatIsNotOfTheseEventsIsRefused() throws {
    let (temporary, store) = try filled(10)
    let wrong = [UInt8](repeating: 7, count: 32)
    #expect(try put(store, temporary, at: 5, sha256: wrong) == .otherChain)
    #expect(try put(store, temporary, at: 5, epoch: Epoch("other")) == .otherEpoch)
    #expect(try put(store, temporary, at: 11) == .ahead)
    #expect(try put(store, temporary, at: 0) == .trimmed)
    #expect(try put(store, temporary, at: 5, crc: 1) == .damaged)
    let large = [UInt8](repeating: 0, count: Limits.snapshotBytesMax + 1)
    #expect(try put(store, temporary, at: 5, state: large) == .tooLarge)
    #expect(try put(store, temporary, at: 5, of: "b", epoch: Epoch("e")) == .unknownStream)
    var chain = StreamChain()
    for event in try StoreReader(of: store).read(name("a"), from: .zero, count: 5).events {
      chain.add(event)
    }
    #expect(try put(store, temporary, at: 5, sha256: chain.bytes) == .kept(Offset(5)))
    // Another has reached as far.
    #expect(try put(store, temporary, at: 5) == .found(Offset(5)))
    #expect(try put(store, temporary, at: 3) == .found(Offset(5)))
    #expect(try kept(store) == [5])
  }

  @Test func aForkBeginsFromWhatItsSourceHasUpToTheForkPoint() throws {
    let (temporary, store) = try filled(20)
    for offset: UInt64 in [5, 10, 15] { _ = try put(store, temporary, at: offset) }
    for (source, fork, at) in [("a", "a@f", 12), ("a@f", "a@g", 12)] as [(String, String, UInt64)] {
      _ = try store.fork(
        ForkRequest(of: name(source), as: name(fork), at: Offset(at), time: 7), at: temporary.now)
    }
    _ = try store.append(request("a@f", "own"), temporary)
    #expect(try found(store, of: "a@f")?.offset == Offset(10))
    #expect(try found(store, of: "a@g", at: 9)?.offset == Offset(5))
    #expect(try put(store, temporary, at: 13, of: "a@f") == .kept(Offset(13)))
    #expect(try found(store, of: "a@f")?.offset == Offset(13))
    #expect(try found(store, of: "a@g")?.offset == Offset(10))
    // What a fork folded of what both have is found by the source as well.
    #expect(try put(store, temporary, at: 12, of: "a@g") == .kept(Offset(12)))
    #expect(try found(store, at: 14)?.offset == Offset(12))
    // The source is deleted and trimmed; what it left stays its forks'.
    _ = try store.delete(name("a"), at: temporary.now)
    try settle(store, temporary)
    #expect(try found(store, of: "a@f", at: 12)?.offset == Offset(12))
    #expect(try put(store, temporary, at: 11, of: "a@f") == .kept(Offset(11)))
    for fork in ["a@f", "a@g"] { _ = try store.delete(name(fork), at: temporary.now) }
    try settle(store, temporary)
    #expect(try store.connection.integer("SELECT count(*) FROM snapshots") == 0)
  }

  @Test func whatIsBelowTheFloorIsNoUseAndGoes() throws {
    let (temporary, store) = try filled(20)
    for offset: UInt64 in [5, 10, 15] { _ = try put(store, temporary, at: offset) }
    _ = try store.trim(name("a"), through: Offset(10), at: temporary.now)
    #expect(try found(store, at: 12)?.offset == Offset(10) && found(store, at: 9) == nil)
    #expect(try put(store, temporary, at: 9) == .trimmed)
    try settle(store, temporary)
    #expect(try kept(store) == [10, 15])
  }

  @Test func aDamagedOneIsPassedOverAndSeenByTheVerifier() throws {
    let (temporary, store) = try filled(20)
    for offset: UInt64 in [5, 10, 15] { _ = try put(store, temporary, at: offset) }
    try store.connection.execute("UPDATE snapshots SET state = x'00' WHERE offset = 15")
    #expect(try found(store)?.offset == Offset(10))
    try store.connection.execute("UPDATE snapshots SET time = 8 WHERE offset = 10")
    #expect(try found(store)?.offset == Offset(5))
    try store.settle(at: temporary.now)
    let image = try temporary.image()
    let report = StoreVerifier.verify(image.directory, scratch: "/tmp", now: image.now)
    #expect(report.problem != nil)
    let (other, sound) = try filled(20)
    _ = try put(sound, other, at: 15)
    let whole = try other.image()
    #expect(StoreVerifier.verify(whole.directory, scratch: "/tmp", now: whole.now).problem == nil)
  }

  /// As if it had been made of events that were lost since: its sums are right.
  @Test func oneOfOtherEventsIsPassedOverAndReplaced() throws {
    let (temporary, store) = try filled(20)
    let state = [UInt8]("other".utf8)
    try store.snapshots.keep(
      SnapshotRow(
        stream: 1, fold: fold, offset: Offset(15), chain: StreamChain(), time: 7,
        sum: crc32c(state), bytes: state.count), state)
    #expect(try found(store) == nil)
    let image = try temporary.image()
    #expect(StoreVerifier.verify(image.directory, scratch: "/tmp", now: image.now).problem != nil)
    #expect(try put(store, temporary, at: 12) == .kept(Offset(12)))
    #expect(try kept(store) == [12] && found(store)?.offset == Offset(12))
  }

  @Test func fewOldOnesAreKeptSparserTheFurtherBack() {
    func row(_ offset: UInt64, _ version: UInt32 = 1, bytes: Int = 1) -> SnapshotRow {
      SnapshotRow(
        id: Int64(offset) + Int64(version) << 32, stream: 1, fold: FoldName("f", version: version),
        offset: Offset(offset), chain: StreamChain(), time: 0, sum: 0, bytes: bytes)
    }
    var rows: [SnapshotRow] = []
    for step in 1...1_000 as ClosedRange<UInt64> {
      rows.append(row(step * 1_000))
      let gone = Set(SnapshotChoice.leaving(rows, for: 1))
      rows.removeAll { gone.contains($0.id) }
      #expect(rows.count <= SnapshotChoice.newest + 20)
      // Any offset has one not much further before it than it is from the newest.
      let offsets = rows.map(\.offset.value).sorted()
      #expect(Array(offsets.suffix(4)) == (max(4, step) - 3...max(4, step)).filter { $0 <= step }.map { $0 * 1_000 })
    }
    let distances = rows.map { 1_000_000 - $0.offset.value }.filter { $0 > 3_000 }.sorted()
    for (near, far) in zip(distances, distances.dropFirst()) { #expect(far <= near * 8) }
    // Another version keeps its newest, a third none; what is too much in bytes goes, the oldest first.
    let mixed = [row(10, 2), row(20, 2), row(5, 3), row(6, 3), row(30, 1)]
    #expect(Set(SnapshotChoice.leaving(mixed, for: 1)) == Set([row(10, 2), row(20, 2), row(5, 3)].map(\.id)))
    let heavy = (1...4 as ClosedRange<UInt64>).map { row($0, bytes: SnapshotChoice.bytesMax / 2) }
    #expect(Set(SnapshotChoice.leaving(heavy, for: 1)) == Set([row(1), row(2)].map(\.id)))
  }
}
