import Bytes
import Config
import HTTPCodec
import Loop
import Platform
import TLS
import TestKit
import Testing

@testable import Hooks

@Suite struct HookPoolTests {
  private let turns: TestLoop
  private var loop: EventLoop { turns.loop }

  init() throws { turns = try TestLoop() }

  private func pool(
    _ backEnd: FakeBackEnd, _ limits: HookLimits = HookLimits(), path: String = "/hook"
  ) throws -> HookPool {
    let target = try HookTarget(backEnd.url(path), HookKeys(nil), roots: nil)
    return HookPool(target, limits, on: loop)
  }

  private func request(_ text: String = "{}", within: Duration = .seconds(5)) -> HookRequest {
    HookRequest([UInt8](text.utf8), within: within)
  }

  /// What came of one request.
  private func outcome(
    _ pool: HookPool, _ request: HookRequest
  ) throws -> Result<String, HookFailure> {
    var found: Result<String, HookFailure>?
    pool.ask(request) { found = $0.map { String(decoding: $0, as: UTF8.self) } }
    try turns.wait("an outcome") { found != nil }
    return found ?? .failure(.unwanted)
  }

  private func failure(_ outcome: Result<String, HookFailure>) -> HookFailure? {
    if case .failure(let failure) = outcome { failure } else { nil }
  }

  // MARK: asking

  @Test func aRequestIsAPostOfJSONToTheHooksAddress() throws {
    let backEnd = try FakeBackEnd(on: loop) { talk, _ in talk.answer("[1]") }
    var asked = request(#"{"a":1}"#)
    asked.fields = [("Cookie", "a=b"), ("Bad", "x\r\ny")]
    #expect(try outcome(pool(backEnd, path: "/a/b?c=d"), asked) == .success("[1]"))
    let seen = try #require(backEnd.requests.first)
    #expect(seen.head.method == .post && seen.head.rawTarget == "/a/b?c=d")
    #expect(seen.text == #"{"a":1}"#)
    #expect(seen.head.headers.first("content-type") == "application/json")
    #expect(seen.head.headers.first("host") == "127.0.0.1:\(backEnd.port)")
    #expect(seen.head.headers.first("cookie") == "a=b")
    #expect(!seen.head.headers.contains("bad"))
    #expect(!seen.head.headers.contains("sapphire-signature"))
  }

  @Test func aConnectionIsKeptForTheNextRequest() throws {
    let backEnd = try FakeBackEnd(on: loop) { talk, request in talk.answer(request.text) }
    let pool = try pool(backEnd)
    for index in 0..<5 { #expect(try outcome(pool, request("\(index)")) == .success("\(index)")) }
    #expect(backEnd.connections.count == 1)
  }

  @Test func anAnswerInChunksIsWhole() throws {
    let backEnd = try FakeBackEnd(on: loop) { talk, _ in
      talk.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    }
    #expect(try outcome(pool(backEnd), request()) == .success("{}"))
  }

  @Test func anAnswerMayEndWithItsConnection() throws {
    let backEnd = try FakeBackEnd(on: loop) { talk, _ in
      talk.raw("HTTP/1.0 200 OK\r\n\r\n{}")
      talk.stream.closeAfterWriting()
    }
    #expect(try outcome(pool(backEnd), request()) == .success("{}"))
  }

  @Test func requestsBeyondTheConnectionsWaitInTheirOrder() throws {
    var held: [Talk] = []
    let backEnd = try FakeBackEnd(on: loop) { talk, _ in held.append(talk) }
    let pool = try pool(backEnd, HookLimits(connectionsMax: 2))
    var answered: [Int] = []
    for index in 0..<6 { pool.ask(request("\(index)")) { _ in answered.append(index) } }
    try turns.wait("two requests") { held.count == 2 }
    turns.run(for: .milliseconds(30))
    #expect(held.count == 2 && backEnd.connections.count == 2 && pool.waitingCount == 4)
    while answered.count < 6 {
      try turns.wait("a request") { !held.isEmpty }
      held.removeFirst().answer("{}")
      let before = answered.count
      try turns.wait("its answer") { answered.count > before }
    }
    #expect(backEnd.connections.count == 2)
    #expect(Set(backEnd.requests.prefix(2).map(\.text)).isSubset(of: ["0", "1", "2", "3", "4", "5"]))
    for talk in backEnd.connections {
      let order = talk.requests.compactMap { Int($0.text) }
      #expect(order == order.sorted())
    }
  }

  @Test func oneMoreThanMayWaitIsRefusedAtOnce() throws {
    let backEnd = try FakeBackEnd(on: loop) { _, _ in }
    let pool = try pool(backEnd, HookLimits(connectionsMax: 1, waitingMax: 2))
    var failures: [HookFailure] = []
    for _ in 0..<4 {
      pool.ask(request(within: .seconds(20))) {
        if case .failure(let failure) = $0 { failures.append(failure) }
      }
    }
    try turns.wait("a refusal") { !failures.isEmpty }
    #expect(failures == [.queueFull])
    pool.close()
    try turns.wait("the others") { failures.count == 4 }
  }

  @Test func whatNobodyWaitsForIsNotSent() throws {
    var held: [Talk] = []
    let backEnd = try FakeBackEnd(on: loop) { talk, _ in held.append(talk) }
    let pool = try pool(backEnd, HookLimits(connectionsMax: 1))
    pool.ask(request("first")) { _ in }
    var second = request("second")
    second.isWanted = { false }
    var failed: HookFailure?
    pool.ask(second) { if case .failure(let failure) = $0 { failed = failure } }
    try turns.wait("the first") { held.count == 1 }
    held[0].answer("{}")
    try turns.wait("the second's end") { failed != nil }
    #expect(failed == .unwanted && backEnd.requests.map(\.text) == ["first"])
  }

  // MARK: what goes wrong

  @Test func aStatusThatIsNotOfSuccessIsAFailure() throws {
    let backEnd = try FakeBackEnd(on: loop) { talk, _ in talk.answer("{}", status: 500) }
    let pool = try pool(backEnd)
    #expect(failure(try outcome(pool, request())) == .status(500))
    // The connection is as good as before.
    #expect(failure(try outcome(pool, request())) == .status(500))
    #expect(backEnd.connections.count == 1)
  }

  @Test(arguments: [
    "hello\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
  ])
  func whatIsNoHTTPIsAFailureAndEndsTheConnection(_ text: String) throws {
    let backEnd = try FakeBackEnd(on: loop) { talk, _ in talk.raw(text) }
    guard case .malformed? = failure(try outcome(pool(backEnd), request())) else {
      Issue.record("this is no answer")
      return
    }
    try turns.wait("its end") { backEnd.openCount == 0 }
  }

  @Test func anAnswerThatIsTooLongIsCutOff() throws {
    let backEnd = try FakeBackEnd(on: loop) { talk, request in
      talk.answer(String(repeating: "x", count: request.text == "short" ? 1_000 : 1_001))
    }
    let pool = try pool(backEnd, HookLimits(answerBytesMax: 1_000))
    #expect(try outcome(pool, request("short")).map(\.count) == .success(1_000))
    #expect(failure(try outcome(pool, request("long"))) == .malformed(reason: "body too large"))
    try turns.wait("its end") { backEnd.openCount == 0 }
  }

  @Test func anAnswerThatNobodyAskedForEndsTheConnection() throws {
    let backEnd = try FakeBackEnd(on: loop) { talk, _ in
      talk.answer("{}")
      talk.answer("[]")
    }
    #expect(try outcome(pool(backEnd), request()) == .success("{}"))
    try turns.wait("its end") { backEnd.openCount == 0 }
  }

  @Test func aBackEndThatDoesNotAnswerIsGivenUpInTime() throws {
    let backEnd = try FakeBackEnd(on: loop) { talk, request in
      if request.text == "fast" { talk.answer("{}") }
    }
    let pool = try pool(backEnd)
    let begun = SystemClock.monotonic()
    #expect(
      failure(try outcome(pool, request("slow", within: .milliseconds(60))))
        == .unanswered(reason: "it took too long"))
    #expect(SystemClock.monotonic().since(begun) >= .milliseconds(60))
    try turns.wait("the connection's end") { backEnd.openCount == 0 }
    #expect(try outcome(pool, request("fast")) == .success("{}"))
  }

  @Test func aDeadlineHoldsForThoseThatWaitToo() throws {
    let backEnd = try FakeBackEnd(on: loop) { _, _ in }
    let pool = try pool(backEnd, HookLimits(connectionsMax: 1))
    pool.ask(request(within: .seconds(20))) { _ in }
    guard case .unreachable? = failure(try outcome(pool, request(within: .milliseconds(40)))) else {
      Issue.record("nothing of it was sent")
      return
    }
    #expect(pool.waitingCount == 0)
  }

  @Test func nobodyListeningIsToldAfterAFewTries() throws {
    let backEnd = try FakeBackEnd(on: loop) { _, _ in }
    backEnd.close()
    let pool = try pool(backEnd)
    guard case .unreachable? = failure(try outcome(pool, request())) else {
      Issue.record("nobody listens")
      return
    }
    #expect(pool.connectionCount == 0 && pool.waitingCount == 0)
  }

  @Test func aBackEndThatIsStartedAnewIsWaitedFor() throws {
    let old = try FakeBackEnd(on: loop) { _, _ in }
    let pool = try pool(old)
    old.close()
    var outcome: Result<[UInt8], HookFailure>?
    pool.ask(request()) { outcome = $0 }
    turns.run(for: .milliseconds(20))
    let new = try FakeBackEnd(on: loop, port: old.port) { talk, _ in talk.answer("{}") }
    try turns.wait("an outcome") { outcome != nil }
    #expect(outcome == .success([UInt8]("{}".utf8)))
    new.close()
  }

  // MARK: sending once more

  /// A back end whose first connection answers once and ends with the second request.
  private func crossing() throws -> FakeBackEnd {
    try FakeBackEnd(on: loop) { talk, _ in
      if talk.requests.count == 1 { talk.answer("{}") } else { talk.stream.close() }
    }
  }

  @Test func whatMayHaveBeenDoneIsNotSentAgain() throws {
    let backEnd = try crossing()
    let pool = try pool(backEnd)
    #expect(try outcome(pool, request("1")) == .success("{}"))
    guard case .unanswered? = failure(try outcome(pool, request("2"))) else {
      Issue.record("the second request may have been carried out")
      return
    }
    #expect(backEnd.requests.map(\.text) == ["1", "2"])
  }

  @Test func whatIsOnlyAskedIsSentOnceMoreWhereItCrossedWithTheEnd() throws {
    let backEnd = try crossing()
    let pool = try pool(backEnd)
    var asked = request("1")
    asked.repeats = .untilAnswered
    #expect(try outcome(pool, asked) == .success("{}"))
    asked.body = [UInt8]("2".utf8)
    #expect(try outcome(pool, asked) == .success("{}"))
    #expect(backEnd.requests.map(\.text) == ["1", "2", "2"])
  }

  @Test func aNewConnectionThatEndsWithoutAnAnswerIsAFailure() throws {
    let backEnd = try FakeBackEnd(on: loop) { talk, _ in talk.stream.close() }
    var asked = request()
    asked.repeats = .untilAnswered
    guard case .unanswered? = failure(try outcome(pool(backEnd), asked)) else {
      Issue.record("the connection was lost")
      return
    }
    #expect(backEnd.requests.count == 1)
  }

  @Test func connectionsThatNothingIsAskedOnAreClosed() throws {
    let backEnd = try FakeBackEnd(on: loop) { talk, _ in talk.answer("{}") }
    var limits = HookLimits()
    limits.idleMax = .milliseconds(100)
    let pool = try pool(backEnd, limits)
    #expect(try outcome(pool, request()) == .success("{}"))
    #expect(pool.connectionCount == 1)
    try turns.wait("its end", within: .seconds(15)) { pool.connectionCount == 0 }
  }

  // MARK: https

  @Test func httpsIsSpokenToWhomTheCertificatesAreFor() throws {
    let certificate = try TLSCertificate.selfSigned(names: ["localhost", "127.0.0.1"])
    let backEnd = try FakeBackEnd(on: loop, certificate: certificate) { talk, request in
      talk.answer(request.text)
    }
    let url = try backEnd.url("/", scheme: "https")
    let believed = HookPool(
      try HookTarget(url, HookKeys(nil), roots: certificate.chain), HookLimits(), on: loop)
    #expect(try outcome(believed, request("1")) == .success("1"))
    #expect(try outcome(believed, request("2")) == .success("2"))
    #expect(backEnd.connections.count == 1)
    let doubted = HookPool(
      try HookTarget(
        url, HookKeys(nil), roots: TLSCertificate.selfSigned(names: ["127.0.0.1"]).chain),
      HookLimits(), on: loop)
    guard case .unreachable? = failure(try outcome(doubted, request())) else {
      Issue.record("nobody trusted vouches for it")
      return
    }
    #expect(backEnd.requests.count == 2)
  }

  @Test func aNameIsLookedUpAndEachOfItsAddressesTried() throws {
    let backEnd = try FakeBackEnd(on: loop) { talk, _ in talk.answer("{}") }
    let target = try HookTarget(backEnd.url("/", host: "localhost"), HookKeys(nil), roots: nil)
    let pool = HookPool(target, HookLimits(), on: loop)
    #expect(try outcome(pool, request()) == .success("{}"))
    #expect(backEnd.requests.first?.head.headers.first("host") == "localhost:\(backEnd.port)")
  }
}
