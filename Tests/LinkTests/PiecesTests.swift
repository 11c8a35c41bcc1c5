import Platform
import TestKit
import Testing
import Wire

@testable import Link

struct CreditWindowTests {
  @Test func whatIsSentIsTakenAndWhatIsGrantedComesBackNeverBeyondTheWindow() {
    var credit = CreditWindow(window: 100)
    credit.sent(60)
    #expect(credit.sendable == 40)
    _ = credit.granted(30)
    #expect(credit.sendable == 70)
    _ = credit.granted(.max / 2)
    #expect(credit.sendable == 100)
  }

  @Test func aReceiverGivesBackInStepsOfHalfAWindow() {
    var credit = CreditWindow(window: 100)
    let granted = [49, 1, 10, 300].map { credit.consumed($0) }
    #expect(granted == [nil, 50, nil, 310])
  }

  @Test func nothingMoreIsAllowedOnceTheWindowIsUsedUp() {
    var credit = CreditWindow(window: 100)
    #expect(credit.allows(100))
    credit.sent(90)
    #expect(credit.allows(10) && !credit.allows(11))
    credit.sent(10)
    #expect(!credit.allows(1))
  }

  /// A sender and a receiver that takes everything never come to a stop, whatever the sizes.
  @Test(arguments: [1, 2, 3] + [UInt64.random(in: 100...(.max))])
  func framesUpToHalfTheWindowNeverGetStuck(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var (sender, receiver) = (CreditWindow(window: 1000), CreditWindow(window: 1000))
    for _ in 0..<5_000 {
      let bytes = Int.random(in: 1...530, using: &random)
      #expect(sender.allows(bytes), "seed \(seed): \(bytes) of \(sender.sendable)")
      guard sender.allows(bytes) else { return }
      sender.sent(bytes)
      if let granted = receiver.consumed(bytes) { _ = sender.granted(granted) }
    }
  }

  @Test func reliefIsToldOnceForEachTimeThatCreditComesAfterARefusal() {
    var credit = CreditWindow(window: 100)
    credit.sent(100)
    let unasked = credit.granted(10)
    credit.refused()
    credit.refused()
    let (first, second) = (credit.granted(10), credit.granted(10))
    #expect(!unasked && first && !second)
  }

  /// Refused while the relief before is being told: the next credit relieves again.
  @Test func aRefusalInTheTurnOfTheReliefIsRelievedByTheNextCredit() {
    var credit = CreditWindow(window: 100)
    credit.sent(100)
    credit.refused()
    let first = credit.granted(50)
    credit.sent(50)
    credit.refused()
    let second = credit.granted(50)
    #expect(first && second)
  }

  /// Whatever is refused, in whatever order it is sent and dealt with: once the receiver has dealt
  /// with all there is, everyone who was refused has been told that credit is back.
  @Test(arguments: [1, 2, 3] + [UInt64.random(in: 100...(.max))])
  func whoeverWasRefusedIsRelievedOnceTheReceiverHasDealtWithAll(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var (sender, receiver) = (CreditWindow(window: 1000), CreditWindow(window: 1000))
    var underWay: [Int] = []
    var isOwed = false
    func deal(_ count: Int) {
      for bytes in underWay.prefix(count) {
        if let granted = receiver.consumed(bytes), sender.granted(granted) { isOwed = false }
      }
      underWay.removeFirst(min(count, underWay.count))
    }
    for round in 0..<2_000 {
      let bytes = Int.random(in: 1...900, using: &random)
      if sender.allows(bytes) {
        sender.sent(bytes)
        underWay.append(bytes)
      } else {
        sender.refused()
        isOwed = true
      }
      if round % 7 == 0 { deal(Int.random(in: 0...4, using: &random)) }
      if round % 50 == 0 {
        deal(underWay.count)
        #expect(!isOwed, "seed \(seed), round \(round)")
      }
    }
  }
}

struct RequestTableTests {
  private func completion(_ note: @escaping (RequestTable.Outcome) -> Void = { _ in })
    -> RequestTable.Completion
  {
    RequestTable.Completion { outcome, _ in note(outcome) }
  }

  @Test func correlationsAreNeverZeroAndNeverTwiceAtOnce() {
    var table = RequestTable()
    let numbers = (0..<100).compactMap { _ in table.add(.distantFuture, completion()) }
    #expect(Set(numbers).count == 100 && !numbers.contains(0))
  }

  @Test func aReplyIsTakenOnce() throws {
    var table = RequestTable()
    let added = table.add(.distantFuture, completion())
    let number = try #require(added)
    let (first, second, other) = (table.take(number), table.take(number), table.take(number &+ 1))
    #expect(first != nil && second == nil && other == nil)
    #expect(table.isEmpty)
  }

  @Test func whatIsDueComesInTheOrderItWasSentAndTheRestStays() {
    var table = RequestTable()
    var expired: [Int] = []
    for index in 0..<4 {
      let deadline = Instant(nanoseconds: index == 2 ? 100 : 10)
      _ = table.add(deadline, completion { _ in expired.append(index) })
    }
    let early = table.takeExpired(Instant(nanoseconds: 9))
    #expect(early.isEmpty)
    for due in table.takeExpired(Instant(nanoseconds: 10)) {
      due.body(.failed(Failure(.deadlineExceeded)), [UInt8]().span)
    }
    #expect(expired == [0, 1, 3])
    #expect(!table.isEmpty)
    let rest = table.takeAll()
    #expect(rest.count == 1 && table.isEmpty)
  }

  @Test func oneThatWaitsLongIsNotMixedUpWithThoseThatComeAndGo() {
    var table = RequestTable()
    var told: [String] = []
    let patient = table.add(.distantFuture, completion { _ in told.append("patient") }) ?? 0
    for round in 0..<70_000 {
      let quick = table.add(.distantFuture, completion()) ?? 0
      let late = quick
      #expect(quick != 0 && quick != patient)
      let (first, second) = (table.take(quick), table.take(late))
      #expect(first != nil && second == nil, "round \(round)")
    }
    #expect(table.count == 1)
    table.take(patient)?.body(.failed(Failure(.linkLost)), [UInt8]().span)
    #expect(told == ["patient"])
  }

  @Test func aTableThatGrewKeepsAllThatWait() {
    var table = RequestTable()
    var told: Set<Int> = []
    var numbers: [Int: UInt32] = [:]
    for index in 0..<5_000 {
      numbers[index] = table.add(.distantFuture, completion { _ in told.insert(index) })
      if index % 3 == 0, let number = numbers.removeValue(forKey: index / 2) { _ = table.take(number) }
    }
    #expect(table.count == numbers.count)
    for (_, number) in numbers.sorted(by: { $0.key > $1.key }) {
      table.take(number)?.body(.failed(Failure(.linkLost)), [UInt8]().span)
    }
    #expect(told == Set(numbers.keys) && table.isEmpty)
    let again = table.add(.distantFuture, completion())
    #expect(again != nil && !numbers.values.contains(again ?? 0))
  }

  @Test func aFullTableTakesNoMoreUntilOneIsTaken() {
    var table = RequestTable()
    var last: UInt32 = 0
    for _ in 0..<RequestTable.countMax { last = table.add(.distantFuture, completion()) ?? 0 }
    let beyond = table.add(.distantFuture, completion())
    #expect(last != 0 && beyond == nil)
    _ = table.take(last)
    let again = table.add(.distantFuture, completion())
    #expect(again != nil)
  }
}

struct BackoffTests {
  @Test(arguments: [1, 2] + [UInt64.random(in: 100...(.max))])
  func waitsDoubleToTheirMostEachBetweenHalfAndTheWhole(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var backoff = Backoff(first: .milliseconds(50), most: .seconds(2))
    for step in [50, 100, 200, 400, 800, 1600, 2000, 2000, 2000] {
      let wait = backoff.next(using: &random)
      #expect(wait >= .milliseconds(step / 2) && wait <= .milliseconds(step), "seed \(seed) step \(step)")
    }
    backoff.succeeded()
    let first = backoff.next(using: &random)
    #expect(first <= .milliseconds(50))
  }
}
