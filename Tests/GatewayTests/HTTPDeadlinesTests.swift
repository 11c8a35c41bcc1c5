import Config
import Platform
import Testing
import WebSocketCodec

@testable import GatewayCore

/// Deadlines that an expectation may hold: `#expect` takes its operands as values.
private final class Deadlines {
  private var deadlines: HTTPDeadlines
  init(_ now: Instant) { deadlines = HTTPDeadlines(now) }
  func headEnded() { deadlines.headEnded() }
  func headBegins(_ now: Instant) { deadlines.headBegins(now) }
  func bytesWent(_ now: Instant) { deadlines.bytesWent(now) }

  func ofRequest(
    _ now: Instant, _ standing: HTTPDeadlines.Standing, _ limits: HTTPDeadlines.Limits
  ) -> HTTPDeadlines.Verdict {
    deadlines.ofRequest(now, standing, limits)
  }

  func ofAnswer(
    _ now: Instant, _ standing: HTTPDeadlines.Standing, _ limits: HTTPDeadlines.Limits
  ) -> HTTPDeadlines.Verdict {
    deadlines.ofAnswer(now, standing, limits)
  }
}

/// When a conversation or a socket has waited long enough, whatever else it does.
struct HTTPDeadlinesTests {
  typealias Standing = HTTPDeadlines.Standing

  private let limits = HTTPDeadlines.Limits(
    firstHead: .seconds(5), head: .seconds(3), body: .seconds(10), idle: .seconds(60),
    bytesPerSecond: 100)

  private func at(_ seconds: UInt64) -> Instant {
    Instant(nanoseconds: 1_000_000_000_000 + seconds * 1_000_000_000)
  }

  private func fresh() -> Deadlines { Deadlines(at(0)) }
  private func asked(_ moment: UInt64 = 0) -> Deadlines {
    let deadlines = fresh()
    deadlines.headEnded()
    deadlines.bytesWent(at(moment))
    return deadlines
  }

  @Test func whoNeverAsksIsClosedAndWhoNeverEndsItsFirstHeadIsAnswered() {
    let silent = fresh()
    #expect(silent.ofRequest(at(5), Standing(isIdle: true), limits) == .nothing)
    #expect(
      silent.ofRequest(at(6), Standing(isIdle: true), limits) == .close(.wsHandshakeTimeout))
    // A first head may begin late, and its own time runs with the connection's.
    let late = fresh()
    late.headBegins(at(4))
    #expect(
      late.ofRequest(at(6), Standing(isHeadBegun: true), limits)
        == .headIsLate(.wsHandshakeTimeout))
  }

  @Test func everyLaterHeadHasItsTime() {
    let deadlines = asked()
    deadlines.headBegins(at(100))
    #expect(deadlines.ofRequest(at(103), Standing(isHeadBegun: true), limits) == .nothing)
    #expect(
      deadlines.ofRequest(at(104), Standing(isHeadBegun: true), limits)
        == .headIsLate(.httpHeadTimeout))
  }

  @Test func aConnectionWithoutRequestsIsClosedOnceItsIdleTimeIsOver() {
    let deadlines = asked(10)
    #expect(deadlines.ofRequest(at(70), Standing(isIdle: true), limits) == .nothing)
    #expect(
      deadlines.ofRequest(at(71), Standing(isIdle: true), limits) == .close(.httpIdleTimeout))
    #expect(deadlines.ofRequest(at(999), Standing(isIdle: false), limits) == .nothing)
  }

  @Test func aBodyHasToComeOnAndNotOnlyToTrickle() {
    let silent = asked()
    #expect(silent.ofRequest(at(0), Standing(isReadingBody: true), limits) == .nothing)
    #expect(
      silent.ofRequest(at(10), Standing(isReadingBody: true), limits)
        == .bodyIsLate(.httpBodyTimeout))
    let trickle = asked()
    var verdict = HTTPDeadlines.Verdict.nothing
    var second: UInt64 = 0
    while verdict == .nothing, second < 100 {
      verdict = trickle.ofRequest(
        at(second), Standing(received: second * 10, isReadingBody: true), limits)
      second += 1
    }
    #expect(verdict == .bodyIsLate(.transferRate) && second == 11)
  }

  @Test func aBodyThatTheStoreDoesNotTakeIsOurFault() {
    let deadlines = asked()
    let held = Standing(received: 5, isReadingBody: true, isBodyHeldBack: true)
    #expect(deadlines.ofRequest(at(10), held, limits) == .nothing)
    #expect(deadlines.ofRequest(at(11), held, limits) == .bodyIsStuck)
  }

  @Test func anAnswerThatIsNotTakenOrTakenTooSlowlyIsCutOff() {
    let stuck = asked()
    let queued = Standing(sent: 1, isAnswerQueued: true)
    #expect(stuck.ofAnswer(at(0), queued, limits) == .nothing)
    #expect(stuck.ofAnswer(at(59), queued, limits) == .nothing)
    #expect(stuck.ofAnswer(at(60), queued, limits) == .abort(.httpIdleTimeout))
    let slow = asked()
    var verdict = HTTPDeadlines.Verdict.nothing
    var second: UInt64 = 0
    while verdict == .nothing, second < 200 {
      verdict = slow.ofAnswer(at(second), Standing(sent: second, isAnswerQueued: true), limits)
      second += 1
    }
    #expect(verdict == .abort(.transferRate) && second == 61)
  }

  @Test func anAnswerThatTheServiceStopsSendingIsCutOffWithoutBlamingTheClient() {
    let deadlines = asked()
    deadlines.bytesWent(at(5))
    let streaming = Standing(isStreaming: true)
    #expect(deadlines.ofAnswer(at(65), streaming, limits) == .nothing)
    #expect(deadlines.ofAnswer(at(66), streaming, limits) == .abort(nil))
  }

  // MARK: sockets

  private func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
    [first, 0x80 | UInt8(payload.count), 0, 0, 0, 0] + payload
  }

  private func feed(_ reader: inout WebSocketReader, _ bytes: [UInt8]) throws {
    var offset = 0
    while try reader.next(bytes.span, from: &offset) != nil {}
  }

  @Test func framesAreCountedControlFramesAndFragmentsIncluded() throws {
    var reader = WebSocketReader(role: .server)
    var watch = SocketWatch()
    let rate = Rate(perSecond: 4, burst: .seconds(1))
    try feed(&reader, frame(0x81, [65]) + frame(0x89, []) + frame(0x01, [66]) + frame(0x80, []))
    #expect(reader.frameCount == 4 && reader.messageCount == 2)
    func exceeds() -> Bool { watch.exceeds(rate, reader, at(0)) }
    #expect(!exceeds())
    try feed(&reader, frame(0x8a, []))
    #expect(exceeds())
  }

  @Test func aMessageThatStandsStillIsStalledThoughPingsComeBetween() throws {
    var reader = WebSocketReader(role: .server)
    var watch = SocketWatch()
    func isStalled(_ second: UInt64) -> Bool {
      watch.isStalled(reader, at(second), window: .seconds(10), bytesPerSecond: 1)
    }
    #expect(!isStalled(0))
    try feed(&reader, frame(0x01, [65, 66]))
    for second in 1...10 {
      try feed(&reader, frame(0x89, []))
      #expect(!isStalled(UInt64(second)))
    }
    #expect(isStalled(11))
  }

  @Test func whoIsAlwaysWithinSomeMessageIsNotStalled() throws {
    var reader = WebSocketReader(role: .server)
    var watch = SocketWatch()
    for second in 0..<100 {
      // The end of one and the beginning of the next, of the same length each time.
      if second > 0 { try feed(&reader, frame(0x80, [66])) }
      try feed(&reader, frame(0x01, [65]))
      let isStalled = watch.isStalled(
        reader, at(UInt64(second)), window: .seconds(3), bytesPerSecond: 9)
      #expect(!isStalled)
    }
  }
}
