import Bytes
import SQLite
import Testing
import Wire

@testable import EventStoreCore

@Suite struct ProducerTests {
  private func append(
    _ store: EventStore, _ here: TemporaryStore, _ epoch: UInt64, _ sequence: UInt64,
    id: String = "p", to stream: String = "a"
  ) throws -> AppendOutcome {
    var new = request(stream, "\(epoch)/\(sequence)")
    new.producer = ProducerMark(id: id, epoch: epoch, sequence: sequence)
    return try store.append(new, here)
  }

  @Test func eachAppendIsTakenOnceInOrderAndByTheLatestIncarnation() throws {
    let here = try TemporaryStore()
    let store = try here.open()
    #expect(try append(store, here, 3, 1) == .sequenceGap(expected: 0))
    let first = try #require(try append(store, here, 3, 0).receipt)
    #expect(first.first == Offset(1) && first.origin == .appended)
    let second = try #require(try append(store, here, 3, 1).receipt)
    #expect(try append(store, here, 3, 3) == .sequenceGap(expected: 2))
    for repeated in [UInt64(0), 1] {
      let again = try #require(try append(store, here, 3, repeated).receipt)
      #expect(again.origin == .duplicate && again.last == second.last && again.epoch == first.epoch)
    }
    #expect(try append(store, here, 2, 0) == .fenced(epoch: 3))
    #expect(try append(store, here, 4, 1) == .sequenceGap(expected: 0))
    #expect(try append(store, here, 4, 0).receipt?.first == Offset(3))
    #expect(try append(store, here, 3, 2) == .fenced(epoch: 4))
    // Others count for themselves.
    #expect(try append(store, here, 0, 0, id: "q").receipt?.first == Offset(4))
    #expect(try append(store, here, 0, 0, to: "b").receipt?.first == Offset(1))
  }

  @Test func oneBatchHoldsAProducersAppendsInTheirOrder() throws {
    let here = try TemporaryStore()
    let store = try here.open()
    let batch = [UInt64(0), 1, 1, 3].map { sequence in
      var new = request("a", "\(sequence)")
      new.producer = ProducerMark(id: "p", epoch: 0, sequence: sequence)
      return new
    }
    let outcomes = try store.commit(batch, at: here.now)
    #expect(outcomes.map { $0.receipt?.origin } == [.appended, .appended, .duplicate, nil])
    #expect(outcomes[3] == .sequenceGap(expected: 2))
  }

  @Test func aRestartForgetsNoneAndAForkBeginsWithNone() throws {
    let here = try TemporaryStore()
    var store: EventStore? = try here.open()
    _ = try append(store!, here, 7, 0)
    let image = try here.image()
    store = try image.open()
    #expect(try append(store!, image, 6, 0) == .fenced(epoch: 7))
    #expect(try append(store!, image, 7, 1).receipt?.first == Offset(2))
    _ = try store!.fork(
      ForkRequest(of: name("a"), as: name("a@f"), time: here.wall), at: image.now)
    #expect(try append(store!, image, 6, 0, to: "a@f").receipt?.first == Offset(3))
    try store!.settle(at: image.now)
    store = nil
    #expect(
      StoreVerifier.verify(image.directory, scratch: "/tmp", now: image.now).problem == nil)
  }

  @Test func aProducerExpiresAsAKeyDoesAndAConflictCountsNothing() throws {
    let here = try TemporaryStore()
    here.options.keysKept = 1_000
    let store = try here.open()
    _ = try append(store, here, 1, 0)
    var conflicting = request("a", "x", expected: 9)
    conflicting.producer = ProducerMark(id: "p", epoch: 1, sequence: 1)
    #expect(try store.append(conflicting, here) == .conflict(epoch: nil, head: Offset(1)).with(store))
    #expect(try append(store, here, 1, 1).receipt != nil)
    here.pass(milliseconds: 1_001)
    #expect(try append(store, here, 1, 2) == .sequenceGap(expected: 0))
    #expect(try append(store, here, 0, 0).receipt != nil)
  }

  @Test func aStreamKnowsSoManyProducersAndRefusesOneMoreUntilSomeExpire() throws {
    let here = try TemporaryStore()
    here.options.keysKept = 1_000
    let store = try here.open()
    for number in 0..<StoreLimits.producersMax {
      var new = request("a", "x")
      new.producer = ProducerMark(id: "p\(number)", epoch: 0, sequence: 0)
      _ = try store.append(new, here)
    }
    #expect(try append(store, here, 0, 0, id: "more") == .refused(.tooManyProducers))
    #expect(try append(store, here, 0, 1, id: "p0").receipt != nil)
    here.pass(milliseconds: 1_001)
    #expect(try append(store, here, 0, 0, id: "more").receipt != nil)
  }

  @Test func aDamagedRowIsFoundByTheVerifier() throws {
    let here = try TemporaryStore()
    var store: EventStore? = try here.open()
    _ = try append(store!, here, 5, 0)
    try store!.connection.execute("UPDATE producers SET sequence = 1")
    try store!.settle(at: here.now)
    store = nil
    let problem = StoreVerifier.verify(here.directory, scratch: "/tmp", now: here.now).problem
    #expect("\(String(describing: problem))".contains("producer"))
  }

  @Test func whatIsOutsideItsRangeIsRefused() throws {
    let here = try TemporaryStore()
    let store = try here.open()
    #expect(try append(store, here, 0, 0, id: "") == .refused(.producerOutOfRange))
    let long = String(repeating: "x", count: 256)
    #expect(try append(store, here, 0, 0, id: long) == .refused(.producerOutOfRange))
    var both = request("a", "x", key: "k")
    both.producer = ProducerMark(id: "p", epoch: 0, sequence: 0)
    #expect(try store.append(both, here) == .refused(.producerAndKey))
    #expect(try append(store, here, .max, 0).receipt != nil)
    #expect(try append(store, here, .max, .max) == .sequenceGap(expected: 1))
  }
}

extension AppendOutcome {
  /// The same with the epoch that the stream has.
  fileprivate func with(_ store: EventStore) throws -> AppendOutcome {
    guard case .conflict(_, let head) = self else { return self }
    return .conflict(epoch: try StoreReader(of: store).head(of: name("a")).epoch, head: head)
  }
}
