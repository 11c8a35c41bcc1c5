internal import Config
internal import HTTPCodec
internal import Loop
internal import Platform

/// What a conversation is given time for, what it holds, and how it ends when the gateway does.
extension HTTPConversation {
  func sweep(_ now: Instant) {
    let standing = standing
    let limits = gateway.settings.deadlines
    carryOut(deadlines.ofAnswer(now, standing, limits))
    if !standing.isAnswerQueued, !standing.isStreaming, isClosed || isPaused { return relieved() }
    guard !isClosing, !isPaused else { return }
    carryOut(deadlines.ofRequest(now, standing, limits))
  }

  var standing: HTTPDeadlines.Standing {
    let queued = stream.queuedBytes
    return HTTPDeadlines.Standing(
      received: receivedBytes, sent: sentBytes &- UInt64(clamping: queued),
      isAnswerQueued: queued > 0, isStreaming: exchanges.first?.isStreaming ?? false,
      isHeadBegun: isHeadBegun, isReadingBody: current != nil,
      isBodyHeldBack: current?.upload?.isHoldingBack ?? false, isIdle: exchanges.isEmpty)
  }

  func carryOut(_ verdict: HTTPDeadlines.Verdict) {
    let counters = gateway.metrics.limits
    switch verdict {
    case .nothing: break
    case .abort(let limit):
      if let limit { counters.reached(limit) }
      isClosing = true
      stream.abort()
    case .headIsLate(let limit):
      counters.reached(limit)
      fail(Self.timeout("the request head"))
    case .bodyIsLate(let limit):
      counters.reached(limit)
      fail(Self.timeout("the body"))
    case .bodyIsStuck: fail(.unavailable)
    case .close(let limit):
      counters.reached(limit)
      connection.close()
    }
  }

  static func timeout(_ what: String) -> Refusal {
    Refusal(107, "request_timeout", "\(what) did not come in time", .requestTimeout)
  }

  // MARK: memory

  /// Of the body that is being read, and of requests and answers under way.
  var heldBytes: Int { heldBodyBytes + exchanges.reduce(0) { $0 + $1.heldBytes } }

  var heldBodyBytes: Int {
    switch current?.sink {
    case .collect(let body): body.count
    case .artifact(let upload): upload.heldBytes
    case .discard, nil: 0
    }
  }

  /// A body that can't be held is refused; whoever doesn't take its answers gets no more of them.
  func letGoForMemory() {
    let body = heldBodyBytes
    guard body > 0, body >= stream.queuedBytes + heldBytes - body else { return stream.abort() }
    fail(.noMemory)
  }

  /// The clients whose answers wait for publications.
  var sessions: [ClientSession] { exchanges.compactMap(\.session) }

  func checkIdentity(_ now: Int64, _ due: Authenticator.Due) {
    for session in sessions { session.checkIdentity(now, due) }
  }

  func drain() {
    for exchange in exchanges { exchange.hurried?() }
    if exchanges.isEmpty, current == nil, !isClosed { finishWriting() }
  }

  /// The client sends nothing more (RFC 9112 §9.6). What it has asked is answered all the same,
  /// unless half a request is all there was; an answer without end goes on. Whether anything is still
  /// to be said.
  func peerFinished() -> Bool {
    guard current == nil, !exchanges.isEmpty || stream.queuedBytes > 0 else { return false }
    hasPeerFinished = true
    isClosing = true
    for exchange in exchanges where !exchange.route.isEndless { exchange.hurried?() }
    if exchanges.isEmpty, !isClosed { finishWriting() }
    return true
  }

  func ended() {
    isClosed = true
    giveUpExchanges()
  }
}
