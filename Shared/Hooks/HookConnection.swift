internal import Bytes
internal import Config
internal import HTTPCodec
internal import Loop
internal import Platform
internal import TLSStream

/// One connection to a back end: HTTP/1.1, kept alive, one request at a time. Loop-confined.
///
///     connecting ──▶ (opening TLS) ──▶ busy ──answer──▶ idle ──▶ busy …
///          └──────────────┴─────────────┴───────────────┴──▶ ended
final class HookConnection: StreamOwner {
  private weak var pool: HookPool?
  private let target: HookTarget
  private let loop: EventLoop
  private let answerBytesMax: Int
  private var connector: Connector?
  private var stream: Stream?
  private var reader: HTTPAnswerReader
  private(set) var call: HookCall?
  /// It has answered before, so that its end may have crossed with a request.
  private var wasKept = false
  private(set) var idleSince = Instant(nanoseconds: 0)
  private var isEnded = false

  init(_ pool: HookPool, _ target: HookTarget, on loop: EventLoop, answerBytesMax: Int) {
    self.pool = pool
    self.target = target
    self.loop = loop
    self.answerBytesMax = answerBytesMax
    reader = HTTPAnswerReader(answering: .post, bytesMax: answerBytesMax)
  }

  // MARK: asking

  /// Connects to `address` for a call.
  func open(_ address: String, for call: HookCall) {
    take(call)
    let left = call.deadline.since(SystemClock.monotonic())
    connector = Connector(
      to: .tcp(host: address, port: target.url.port), on: loop, within: max(left, .milliseconds(1))
    ) { [weak self] descriptor, error in self?.connected(descriptor, error) }
  }

  /// Sends a call on a connection that is idle.
  func send(_ call: HookCall) {
    take(call)
    wasKept = true
    write()
  }

  private func take(_ call: HookCall) {
    self.call = call
    call.connection = self
    reader = HTTPAnswerReader(answering: .post, bytesMax: answerBytesMax)
  }

  private func connected(_ descriptor: consuming Descriptor?, _ error: SystemError?) {
    connector = nil
    guard !isEnded else { return }
    guard let descriptor else { return fail(error?.reason ?? "no connection") }
    let transform = target.security.map { TLSTransform($0) }
    do throws(SystemError) {
      let stream = Stream(descriptor, on: loop, transform: transform)
      try stream.start(self)
      self.stream = stream
    } catch { return fail(error.reason) }
    if transform == nil { write() }
  }

  func streamOpened(_ stream: Stream) { write() }

  private func write() {
    guard let call, let stream else { return }
    let body = call.request.body
    do throws(HTTPError) {
      var head = try HTTPHeadWriter(
        method: .post, target: target.url.target, host: target.url.authority)
      try head.field("User-Agent", "sapphire")
      try head.field("Content-Type", "application/json")
      head.contentLength(body.count)
      let seconds = SystemClock.wallMilliseconds() / 1000
      if let signature = target.keys.signature(of: body, at: seconds) {
        try head.field(HookKeys.field, signature)
      }
      // A client's own field that can't be written is left out; the question is asked all the same.
      for field in call.request.fields { try? head.field(field.name, field.value) }
      call.wasSent = true
      stream.send(head.end())
      stream.send(body)
    } catch { fail(error.reason) }
  }

  // MARK: the answer

  func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    guard let call else {
      // An answer that nobody asked for: the connection can't be trusted any more.
      close()
      return bytes.count
    }
    var offset = 0
    do throws(HTTPError) {
      guard let answer = try reader.received(bytes, from: &offset) else { return bytes.count }
      answered(call, answer, isWhole: offset == bytes.count)
    } catch {
      finish(.failure(.malformed(reason: error.reason)))
      close()
    }
    return bytes.count
  }

  private func answered(_ call: HookCall, _ answer: HTTPAnswer, isWhole: Bool) {
    let keeps = reader.keepsAlive && isWhole && stream?.queuedBytes == 0
    finish(
      (200...299).contains(answer.status)
        ? .success(answer.body) : .failure(.status(answer.status)))
    guard keeps else { return close() }
    idleSince = loop.now
    pool?.isIdle(self)
  }

  func streamDrained(_ stream: Stream) {}

  func streamEnded(_ stream: Stream, _ end: StreamEnd) {
    self.stream = nil
    guard !isEnded else { return }
    isEnded = true
    pool?.ended(self)
    guard let lost = call else { return }
    if end == .peerClosed, lost.wasSent, let last = try? reader.receivedEnd() {
      return finish(
        (200...299).contains(last.status) ? .success(last.body) : .failure(.status(last.status)))
    }
    call = nil
    lost.connection = nil
    let reason = Self.reason(end)
    guard lost.wasSent else { return missed(lost, reason) }
    let mayHaveCrossed = wasKept && !reader.hasBegun && !lost.wasRepeated
    if mayHaveCrossed, lost.request.repeats == .untilAnswered {
      lost.wasRepeated = true
      return again(lost)
    }
    lost.finish(.failure(.unanswered(reason: reason)))
  }

  private static func reason(_ end: StreamEnd) -> String {
    switch end {
    case .peerClosed, .closedHere: "the connection was closed"
    case .failed(let code): SystemError(code: code, call: "recv").reason
    case .unreadTooLong: "the answer is too long"
    case .broken(let reason): reason
    }
  }

  private func missed(_ call: HookCall, _ reason: String) {
    guard let pool else { return call.finish(.failure(.unreachable(reason: reason))) }
    pool.missed(call, reason)
  }

  private func again(_ call: HookCall) {
    guard let pool else { return call.finish(.failure(.unanswered(reason: "closed here"))) }
    pool.again(call)
  }

  // MARK: the end

  private func finish(_ result: Result<[UInt8], HookFailure>) {
    let done = call
    call = nil
    done?.finish(result)
  }

  /// No connection was had for the call.
  private func fail(_ reason: String) {
    let missed = call
    call = nil
    missed?.connection = nil
    close()
    if let missed { self.missed(missed, reason) }
  }

  /// Gives the call up and the connection with it; whoever asked has been told.
  func abandon() {
    call = nil
    close()
  }

  func close() {
    guard !isEnded else { return }
    isEnded = true
    connector?.cancel()
    connector = nil
    stream?.close()
    stream = nil
    pool?.ended(self)
  }
}

@available(*, unavailable) extension HookConnection: Sendable {}
