import Platform
import TestKit
import Testing

@testable import Loop

@Suite struct TimerTests {
  private func instant(_ nanoseconds: Int) -> Instant {
    Instant(nanoseconds: UInt64(nanoseconds))
  }

  @Test func timersRunInTheOrderOfTheirDeadlines() throws {
    let loop = try EventLoop()
    var order: [Int] = []
    let start = loop.now
    for delay in [5, 1, 3, 2, 4] {
      loop.at(start + .milliseconds(delay)) { order.append(delay) }
    }
    turn(loop, "five timers") { order.count == 5 }
    #expect(order == [1, 2, 3, 4, 5])
  }

  @Test func timersOfOneDeadlineRunInTheOrderTheyWereAdded() {
    var queue = TimerQueue()
    var order: [Int] = []
    for index in 0..<100 { _ = queue.add(instant(7)) { order.append(index) } }
    while let body = queue.popDue(instant(7)) { body() }
    #expect(order == Array(0..<100))
  }

  @Test func aTimerDoesNotRunBeforeItsDeadline() throws {
    let loop = try EventLoop()
    let deadline = SystemClock.monotonic() + .milliseconds(30)
    var ranAt: Instant?
    loop.at(deadline) { ranAt = SystemClock.monotonic() }
    turn(loop, "the timer") { ranAt != nil }
    #expect(try #require(ranAt) >= deadline)
  }

  @Test func aWaitingLoopSleepsUntilItsTimer() throws {
    let loop = try EventLoop()
    var turns = 0
    var isDone = false
    loop.after(.milliseconds(50)) { isDone = true }
    while !isDone {
      loop.turn()
      turns += 1
    }
    #expect(turns <= 3, "it woke \(turns) times for one timer")
  }

  @Test func aCancelledTimerDoesNotRun() throws {
    let loop = try EventLoop()
    var ran: [String] = []
    let first = loop.after(.milliseconds(1)) { ran.append("first") }
    loop.after(.milliseconds(2)) { ran.append("second") }
    loop.cancel(first)
    loop.cancel(first)
    turn(loop, "the second timer") { !ran.isEmpty }
    #expect(ran == ["second"])
    loop.cancel(first)
  }

  @Test func aTimerMayCancelOneThatIsDueInTheSameTurn() throws {
    let loop = try EventLoop()
    var ran: [String] = []
    var second: TimerID?
    loop.at(instant(1)) {
      ran.append("first")
      if let second { loop.cancel(second) }
    }
    second = loop.at(instant(2)) { ran.append("second") }
    settle(loop)
    #expect(ran == ["first"])
  }

  @Test func aTimerAddedByATimerRunsInALaterTurn() throws {
    let loop = try EventLoop()
    var count = 0
    func again() {
      count += 1
      if count < 5 { loop.after(.zero, again) }
    }
    loop.after(.zero, again)
    turn(loop, "five in a row") { count == 5 }
  }

  @Test func tenThousandTimersWithHalfOfThemCancelledRunInOrder() {
    let seed = UInt64.random(in: .min ... .max)
    var random = SeededGenerator(seed: seed)
    var queue = TimerQueue()
    var live: [(id: TimerID, deadline: Int)] = []
    var expected: [Int] = []
    var ran: [Int] = []
    for _ in 0..<10_000 {
      let deadline = Int.random(in: 0..<5_000, using: &random)
      live.append((queue.add(instant(deadline)) { ran.append(deadline) }, deadline))
    }
    live.shuffle(using: &random)
    for timer in live.prefix(5_000) { queue.cancel(timer.id) }
    expected = live.dropFirst(5_000).map(\.deadline).sorted()
    for now in stride(from: 0, through: 5_000, by: 50) {
      while let body = queue.popDue(instant(now)) { body() }
      #expect(ran.allSatisfy { $0 <= now }, "seed \(seed)")
    }
    #expect(ran == expected, "seed \(seed)")
    #expect(queue.nextDeadline == nil)
  }

  @Test func cancelledTimersDoNotPileUp() {
    var queue = TimerQueue()
    let keeper = queue.add(.distantFuture) {}
    for index in 0..<100_000 { queue.cancel(queue.add(instant(index)) {}) }
    #expect(queue.entryCount <= 130)
    queue.cancel(keeper)
  }
}
