import Loop
import Platform
import Testing

@Suite struct StreamReadingTests {
  @Test func bytesAreGivenToTheOwner() throws {
    let wired = try Wired()
    wired.peerSends([1, 2, 3])
    turn(wired.loop, "three bytes") { wired.owner.received == [1, 2, 3] }
  }

  @Test func whatIsLeftComesBackInFrontOfWhatIsNew() throws {
    let wired = try Wired()
    wired.owner.takes = { $0 / 4 * 4 }
    wired.peerSends([1, 2, 3])
    settle(wired.loop)
    #expect(wired.owner.received == [])
    wired.peerSends([4, 5])
    settle(wired.loop)
    #expect(wired.owner.received == [1, 2, 3, 4])
    wired.peerSends([6, 7, 8])
    settle(wired.loop)
    #expect(wired.owner.received == [1, 2, 3, 4, 5, 6, 7, 8])
  }

  @Test func aProtocolThatTakesNothingIsCutOff() throws {
    let wired = try Wired()
    wired.owner.takes = { _ in 0 }
    var sent = 0
    while wired.owner.end == nil, sent < 2 * Stream.unreadBytesMax {
      wired.peerSends([UInt8](repeating: 1, count: 16_384))
      sent += 16_384
      settle(wired.loop, turns: 2)
    }
    #expect(wired.owner.end == .unreadTooLong)
    #expect(sent == Stream.unreadBytesMax + 16_384)
  }

  @Test func aPeersCloseIsToldOnceAfterItsLastBytes() throws {
    let wired = try Wired()
    wired.peerSends([1, 2, 3])
    wired.peer.close()
    turn(wired.loop, "the end") { wired.owner.end != nil }
    settle(wired.loop)
    #expect(wired.owner.received == [1, 2, 3])
    #expect(wired.owner.end == .peerClosed)
    #expect(wired.owner.ends == 1)
  }

  @Test func aPausedStreamReadsNothingUntilItIsResumed() throws {
    let wired = try Wired()
    wired.stream.pauseReading()
    wired.peerSends([1, 2, 3])
    settle(wired.loop)
    #expect(wired.owner.calls == 0)
    wired.stream.resumeReading()
    turn(wired.loop, "three bytes") { wired.owner.received == [1, 2, 3] }
  }

  @Test func whatWasLeftBeforeAPauseIsOfferedOnResuming() throws {
    let wired = try Wired()
    wired.owner.takes = { _ in 1 }
    wired.owner.onReceived = { $0.pauseReading() }
    wired.peerSends([1, 2, 3])
    settle(wired.loop)
    #expect(wired.owner.received == [1])
    wired.stream.resumeReading()
    settle(wired.loop)
    #expect(wired.owner.received == [1, 2])
    wired.stream.resumeReading()
    settle(wired.loop)
    #expect(wired.owner.received == [1, 2, 3])
  }

  @Test func theLastBytesOfAPeerThatClosedDuringAPauseAreNotLost() throws {
    let wired = try Wired()
    wired.stream.pauseReading()
    settle(wired.loop)
    wired.peerSends([1, 2, 3])
    wired.peer.close()
    settle(wired.loop)
    wired.stream.resumeReading()
    turn(wired.loop, "the end") { wired.owner.end != nil }
    #expect(wired.owner.received == [1, 2, 3])
    #expect(wired.owner.end == .peerClosed)
  }

  @Test func aLoopSleepsWhileAPausedPeerIsGone() throws {
    let wired = try Wired()
    wired.stream.pauseReading()
    wired.peerSends([1])
    wired.peer.close()
    settle(wired.loop)
    let start = SystemClock.monotonic()
    wired.loop.turn(waiting: .milliseconds(50))
    #expect(SystemClock.monotonic().since(start) >= .milliseconds(40))
  }

  @Test func whatWasLeftIsOfferedBeforeTheEndOfAResumedStream() throws {
    let wired = try Wired()
    wired.owner.takes = { min(1, $0) }
    wired.owner.onReceived = { if $0.isOpen { $0.pauseReading() } }
    wired.peerSends([1, 2])
    settle(wired.loop)
    // Resumed in the dispatch step, with the peer's end next in the same batch.
    let event = try Syscalls.makeEventDescriptor()
    let handler = Resumer(wired.stream)
    _ = try wired.loop.add(handler, event, .read)
    Syscalls.signal(event: event)
    wired.peer.close()
    turn(wired.loop, "the second byte", within: .seconds(2)) { wired.owner.received.count == 2 }
    #expect(wired.owner.received == [1, 2])
  }

  @Test func oneReadTakesABoundedShare() throws {
    let wired = try Wired()
    var largest = 0
    wired.owner.takes = {
      largest = max(largest, $0)
      return $0
    }
    for _ in 0..<12 { wired.peerSends([UInt8](repeating: 1, count: 16_384)) }
    settle(wired.loop, turns: 20)
    #expect(wired.owner.received.count == 12 * 16_384)
    #expect(largest <= EventLoop.receiveBytesMax)
  }

  private final class Resumer: LoopHandler {
    let stream: Stream
    init(_ stream: Stream) { self.stream = stream }
    func ready(_ readiness: Readiness) { stream.resumeReading() }
  }
}

/// Reading before the kernel is asked to watch.
extension StreamReadingTests {
  @Test func whatHasComeAlreadyIsGivenBeforeTheFirstTurn() throws {
    let wired = try Wired(start: false)
    wired.peerSends([1, 2, 3])
    #expect(wired.stream.startReading(wired.owner))
    #expect(wired.owner.received == [1, 2, 3])
    wired.peerSends([4])
    turn(wired.loop, "what follows") { wired.owner.received == [1, 2, 3, 4] }
  }

  @Test func whereNothingHasComeItIsWaitedFor() throws {
    let wired = try Wired(start: false)
    #expect(!wired.stream.startReading(wired.owner))
    #expect(wired.owner.calls == 0)
    wired.peerSends([1])
    turn(wired.loop, "a byte") { wired.owner.received == [1] }
  }

  @Test func whatTheOwnerLeavesOfTheFirstBytesIsKept() throws {
    let wired = try Wired(start: false)
    wired.owner.takes = { $0 / 4 * 4 }
    wired.peerSends([1, 2, 3])
    #expect(wired.stream.startReading(wired.owner))
    #expect(wired.owner.received == [])
    wired.peerSends([4])
    turn(wired.loop, "four bytes") { wired.owner.received == [1, 2, 3, 4] }
  }

  @Test func aPeerThatHasGoneAlreadyIsToldAtTheTurnsEnd() throws {
    let wired = try Wired(start: false)
    wired.peer.close()
    #expect(wired.stream.startReading(wired.owner))
    #expect(!wired.stream.isOpen && wired.owner.ends == 0)
    settle(wired.loop)
    #expect(wired.owner.end == .peerClosed && wired.owner.ends == 1)
  }

  @Test func whoPausesAtTheFirstBytesIsNotReadOn() throws {
    let wired = try Wired(start: false)
    let stream = wired.stream
    wired.owner.takes = { count in
      stream.pauseReading()
      return count
    }
    wired.peerSends([1])
    #expect(stream.startReading(wired.owner))
    wired.peerSends([2])
    settle(wired.loop)
    #expect(wired.owner.received == [1])
    stream.resumeReading()
    turn(wired.loop, "the rest") { wired.owner.received == [1, 2] }
  }
}
