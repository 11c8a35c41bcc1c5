import Bytes
import Testing
import Wire

@testable import EventStoreCore

struct RemovalTests {
  @Test(arguments: [0, 100, 1 << 20]) func nothingBeforeTheHeadIsReadAnyMore(tail: Int) throws {
    let temporary = try TemporaryStore()
    temporary.options.keepInTail(tail)
    let store = try temporary.open()
    let reader = try StoreReader(of: store)
    let epoch = try store.append(request("a", "1", "2"), temporary).receipt?.epoch
    _ = try store.append(request("b", "other"), temporary)
    let removed = try store.removeHistory(of: name("a"), at: temporary.now)
    #expect(
      removed == StreamHead(name: name("a"), epoch: epoch, floor: Offset(2), head: Offset(2)))
    #expect(try reader.head(of: name("a")) == removed)
    #expect(try reader.streams().first == removed)
    let page = try reader.read(name("a"), from: .zero)
    #expect(page.events.isEmpty && page.floor == Offset(2) && page.head == Offset(2))
    _ = try store.append(request("a", "3", expected: 2), temporary)
    #expect(try reader.read(name("a"), from: .zero).offsets == [3])
    #expect(try reader.read(name("a"), from: .zero, .backwards).offsets == [3])
    #expect(try reader.read(name("b"), from: .zero).texts == ["other"])
  }

  @Test func aSecondRemovalOfTheSameCostsNoCommit() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    _ = try store.append(request("a", "1"), temporary)
    let first = try store.removeHistory(of: name("a"), at: temporary.now)
    let commits = store.commits
    #expect(try store.removeHistory(of: name("a"), at: temporary.now) == first)
    #expect(try store.removeHistory(of: name("none"), at: temporary.now)?.head == .zero)
    #expect(store.commits == commits)
  }

  /// Acknowledged means on disk; with events after it that the index does not have.
  @Test func removalsOutliveAPowerFailure() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    _ = try store.append(request("a", "1", "2"), temporary)
    _ = try store.removeHistory(of: name("a"), at: temporary.now)
    _ = try store.append(request("a", "3"), temporary)
    let image = try temporary.image()
    let again = try image.open()
    let page = try StoreReader(of: again).read(name("a"), from: .zero)
    #expect(page.texts == ["3"] && page.floor == Offset(2) && page.head == Offset(3))
    withExtendedLifetime(store) {}
  }

  /// What nobody reads any more is accounted for: the chain is that of all events, and each is counted.
  @Test func whatWasRemovedIsVerifiedAllTheSame() throws {
    let temporary = try TemporaryStore()
    var store: EventStore? = try temporary.open()
    _ = try store?.append(request("a", "1", "2"), temporary)
    func verify() throws -> StoreReport {
      try store?.settle(at: temporary.now)
      store = nil
      let report = StoreVerifier.verify(temporary.directory, scratch: "/tmp", now: temporary.now)
      store = try temporary.open()
      return report
    }
    let before = try verify()
    _ = try store?.removeHistory(of: name("a"), at: temporary.now)
    let after = try verify()
    #expect(before.problem == nil && after.problem == nil)
    #expect(after.streams.map(\.chain) == before.streams.map(\.chain))
    #expect(after.streams.first?.head.floor == Offset(2))
    #expect(after.lines.first?.contains("\"floor\":2") == true)
  }

  @Test func keysAndAnnouncementsAreAsBefore() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    _ = try store.append(request("a", "1", key: "once"), temporary)
    _ = try store.removeHistory(of: name("a"), at: temporary.now)
    let again = try store.append(request("a", "1", key: "once"), temporary).receipt
    #expect(again?.origin == .duplicate && again?.first == Offset(1))
    #expect(try StoreReader(of: store).unannounced(after: 0).announcements.count == 1)
  }

  @Test func appendsBeforeARemovalAreGoneWithItAndThoseBehindItStay() throws {
    let queue = try WriteQueue()
    _ = queue.add(request("a", "1"), 1)
    _ = queue.add(.trim(name("a"), through: nil), 2)
    _ = queue.add(request("a", "2"), 3)
    _ = queue.add(.trim(name("b"), through: nil), 4)
    _ = queue.add(.trim(name("c"), through: nil), 5)
    _ = queue.add(request("a", "3"), 6)
    var turns: [([UInt64], [UInt64])] = []
    queue.stop()
    while case let work = queue.take(waiting: 0), !work.appends.isEmpty || !work.orders.isEmpty {
      turns.append((work.appends.map(\.tag), work.orders.map(\.tag)))
      #expect(work.isLast == (work.appends.last?.tag == 6))
    }
    #expect(turns.map(\.0) == [[1], [3], [6]] && turns.map(\.1) == [[2], [4, 5], []])
  }

  @Test func removalsBeyondTheirBoundAreOverloaded() throws {
    let queue = try WriteQueue()
    for tag in 0..<StoreLimits.queueOrdersMax {
      #expect(queue.add(.trim(name("a"), through: nil), UInt64(tag)) == .accepted)
    }
    #expect(queue.add(.trim(name("a"), through: nil), 0) == .overloaded)
    queue.stop()
    #expect(queue.add(.trim(name("a"), through: nil), 0) == .stopped)
  }
}
