import Archive
import Bytes
import SQLite
import Testing
import Wire

@testable import EventStoreCore

struct ForkTests {
  private func filled(_ count: Int, tail: Int) throws -> (TemporaryStore, EventStore) {
    let temporary = try TemporaryStore()
    temporary.options.keepInTail(tail)
    let store = try temporary.open()
    for number in 1...count { _ = try store.append(request("a", "\(number)"), temporary) }
    return (temporary, store)
  }

  private func fork(
    _ source: String, _ fork: String, at offset: UInt64?, _ store: EventStore, _ temporary: TemporaryStore
  ) throws -> ForkOutcome {
    try store.fork(
      ForkRequest(
        of: name(source), as: name(fork), at: offset.map { Offset($0) }, author: "ada", time: 7),
      at: temporary.now)
  }

  /// Wherever the fork point is: in a segment, at its edge, in the tail, before the first event.
  @Test(arguments: [0, 300, 1 << 20]) func aForkHasItsSourcesChainAtEachOffset(tail: Int) throws {
    let (temporary, store) = try filled(20, tail: tail)
    var chain = StreamChain()
    for event in try StoreReader(of: store).read(name("a"), from: .zero).events {
      _ = try fork("a", "a@\(event.offset.value - 1)", at: event.offset.value - 1, store, temporary)
      let made = try #require(
        try StoreReader(of: store).descriptions(prefix: "a@\(event.offset.value - 1)").first {
          $0.head.name.text == "a@\(event.offset.value - 1)"
        })
      #expect(made.sha256 == chain.bytes && made.isFork && made.source == "a" && made.author == "ada")
      chain.add(event)
    }
    // What is appended to both alike keeps them alike.
    _ = try fork("a", "a@twin", at: nil, store, temporary)
    for stream in ["a", "a@twin"] { _ = try store.append(request(stream, "same"), temporary) }
    let chains = try StoreReader(of: store).descriptions().filter {
      ["a", "a@twin"].contains($0.head.name.text)
    }.map(\.sha256)
    #expect(chains.count == 2 && chains[0] == chains[1])
  }

  @Test func forksOfForksAreReadBothWaysToAStatedDepth() throws {
    let (temporary, store) = try filled(1, tail: 0)
    var source = "a"
    for depth in 1..<Lineage.depthMax {
      let next = "a@\(depth)"
      guard case .forked(_, _, .made) = try fork(source, next, at: nil, store, temporary) else {
        Issue.record("depth \(depth)")
        return
      }
      _ = try store.append(request(next, "\(depth + 1)"), temporary)
      source = next
    }
    #expect(try fork(source, "a@more", at: nil, store, temporary) == .refused(.depth))
    let all = (1...Lineage.depthMax).map(String.init)
    let reader = try StoreReader(of: store)
    #expect(try reader.read(name(source), from: .zero).texts == all)
    #expect(try reader.read(name(source), from: .zero, .backwards).texts == all.reversed())
    #expect(try temporary.image().open().position == Int64(Lineage.depthMax))
  }

  /// What was kept for a fork goes with the fork, rows of deleted streams and their keys too.
  @Test func nothingIsLeftOfWhatNobodyNeeds() throws {
    let (temporary, store) = try filled(30, tail: 0)
    _ = try store.append(request("a", "keyed", key: "k"), temporary)
    _ = try fork("a", "a@f", at: 20, store, temporary)
    _ = try fork("a@f", "a@g", at: 10, store, temporary)
    _ = try store.append(request("a@f", "own"), temporary)
    func settle() throws {
      // What is in the tail becomes segments with a commit behind it.
      for _ in 0..<3 { _ = try store.append(request("other", "x"), temporary) }
      for _ in 0..<50 {
        temporary.pass(milliseconds: 50)
        try store.maintain(at: temporary.now)
      }
    }
    func count(_ sql: StaticString) throws -> Int64 { try store.connection.integer(sql) ?? -1 }
    #expect(try store.delete(name("a"), at: temporary.now) == .deleted(forks: 2))
    try settle()
    #expect(try StoreReader(of: store).read(name("a@g"), from: .zero).offsets.count == 10)
    // Of the source what either fork has in common with it.
    #expect(try count("SELECT sum(count) FROM places WHERE stream = 1") == 20)
    #expect(try store.delete(name("a@f"), at: temporary.now) == .deleted(forks: 0))
    try settle()
    #expect(try count("SELECT sum(count) FROM places WHERE stream = 1") == 10)
    #expect(try store.delete(name("a@g"), at: temporary.now) == .deleted(forks: 0))
    try settle()
    #expect(try count("SELECT count(*) FROM streams WHERE name IS NULL") == 0)
    #expect(try count("SELECT count(*) FROM places WHERE stream < 4") == 0)
    #expect(try count("SELECT count(*) FROM segments WHERE stream < 4") == 0)
    #expect(try count("SELECT count(*) FROM keys") == 0)
  }

  /// Found by `Tests/Crash/run`, seed 4005: what follows the fork point in the source is nobody's.
  @Test func aForkIsForkedAtItsForkPointThoughItsSourceGoesOnElsewhere() throws {
    let (temporary, store) = try filled(10, tail: 0)
    _ = try fork("a", "a@f", at: 5, store, temporary)
    _ = try store.append(request("a@f", "own"), temporary)
    _ = try store.trim(name("a"), at: temporary.now)
    for _ in 0..<3 { _ = try store.append(request("other", "x"), temporary) }
    for _ in 0..<50 {
      temporary.pass(milliseconds: 50)
      try store.maintain(at: temporary.now)
    }
    #expect(try store.connection.integer("SELECT sum(count) FROM places WHERE stream = 1") == 5)
    guard case .forked(_, _, .made) = try fork("a@f", "a@g", at: 5, store, temporary) else {
      Issue.record("not forked")
      return
    }
    _ = try store.append(request("a@g", "own"), temporary)
    let reader = try StoreReader(of: store)
    #expect(try reader.read(name("a@g"), from: .zero).texts == ["1", "2", "3", "4", "5", "own"])
    let chains = try reader.descriptions(prefix: "a@").map(\.sha256)
    #expect(chains.count == 2 && chains[0] == chains[1])
  }

  /// Another stream has the name while a reader has the old one's in mind.
  @Test func aReaderNoticesThatANameIsAnothers() throws {
    let (temporary, store) = try filled(3, tail: 0)
    let reader = try StoreReader(of: store)
    let before = try reader.read(name("a"), from: .zero)
    _ = try store.delete(name("a"), at: temporary.now)
    let between = try reader.read(name("a"), from: .zero)
    _ = try store.append(request("a", "new"), temporary)
    let after = try reader.read(name("a"), from: .zero)
    #expect(between.events.isEmpty && after.texts == ["new"])
    #expect(before.epoch != between.epoch && between.epoch == after.epoch)
    _ = try fork("a", "a@f", at: nil, store, temporary)
    #expect(try reader.read(name("a@f"), from: .zero).texts == ["new"])
    _ = try store.delete(name("a@f"), at: temporary.now)
    #expect(throws: ReadFailure.noSuchFork(name("a@f"))) { try reader.read(name("a@f"), from: .zero) }
    _ = try fork("a", "a@f", at: 0, store, temporary)
    #expect(try reader.read(name("a@f"), from: .zero).texts.isEmpty)
  }
}
