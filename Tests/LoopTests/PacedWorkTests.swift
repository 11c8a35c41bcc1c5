import Platform
import TestKit
import Testing

@testable import Loop

@Suite struct PacedWorkTests {
  @Test func theFirstNewsIsServedInItsTurn() throws {
    let loop = try EventLoop()
    var times = 0
    let work = PacedWork(loop, every: .seconds(100)) { times += 1 }
    work.ask()
    work.ask()
    #expect(times == 0)
    loop.turn(waiting: .zero)
    #expect(times == 1)
  }

  @Test func aBurstIsServedOnceInAnInterval() throws {
    let loop = try EventLoop()
    var served: [Instant] = []
    let interval = Duration.milliseconds(20)
    let work = PacedWork(loop, every: interval) { served.append(loop.now) }
    turn(loop, "three servings") {
      work.ask()
      return served.count == 3
    }
    for (earlier, later) in zip(served, served.dropFirst()) {
      #expect(later.since(earlier) >= interval)
    }
  }

  @Test func newsInsideTheIntervalIsNotForgotten() throws {
    let loop = try EventLoop()
    var times = 0
    let work = PacedWork(loop, every: .milliseconds(20)) { times += 1 }
    work.ask()
    loop.turn(waiting: .zero)
    work.ask()
    turn(loop, "the second serving") { times == 2 }
  }

  @Test func whatIsUrgentDoesNotWait() throws {
    let loop = try EventLoop()
    var times = 0
    let work = PacedWork(loop, every: .seconds(100)) { times += 1 }
    work.ask()
    loop.turn(waiting: .zero)
    work.ask()
    work.askNow()
    work.askNow()
    loop.turn(waiting: .zero)
    #expect(times == 2)
  }

  @Test func whatWasUrgentIsNotDoneAgain() throws {
    let loop = try EventLoop()
    var times = 0
    let work = PacedWork(loop, every: .milliseconds(5)) { times += 1 }
    work.ask()
    work.askNow()
    loop.turn(waiting: .zero)
    #expect(times == 1)
    var isOver = false
    loop.at(SystemClock.monotonic() + .milliseconds(30)) { isOver = true }
    turn(loop, "thirty milliseconds") { isOver }
    #expect(times == 1)
  }
}
