import EngineIO
import TestKit
import Testing

/// Random lives of a session against what a client and a caller may rely on: every exchange is
/// answered once, what is sent arrives in order and whole until the session ends, nothing comes
/// after its end.
@Suite struct EngineModelTests {
  @Test func randomLivesKeepTheirPromises() {
    let seed = UInt64.random(in: .min ... .max)
    for round in UInt64(0)..<1_500 {
      var life = Life(seed: seed &+ round)
      for _ in 0..<120 where life.step() {}
      life.finish()
      #expect(life.failures == [], "seed \(seed &+ round): \(life.failures)")
      if !life.failures.isEmpty { return }
    }
  }
}

private struct Life {
  var random: SeededGenerator
  var session: EngineSession
  var now: UInt64 = 1
  var actions: [EngineAction] = []
  var failures: [String] = []

  private var next: UInt64 = 1
  private var exchanges: Set<EngineCarrierID> = []
  private var sockets: Set<EngineCarrierID> = []
  private var waiting: EngineCarrierID?
  private var posting: EngineCarrierID?
  private var candidate: EngineCarrierID?
  private var current: EngineCarrierID?
  /// What was sent either way, counted; what arrived of it.
  private var sentDown = 0
  private var arrivedDown = 0
  private var sentUp = 0
  private var arrivedUp = 0
  private var isOrderly = false
  private var reason: EngineCloseReason?

  init(seed: UInt64) {
    random = SeededGenerator(seed: seed)
    let overPolling = Bool.random(using: &random)
    let first = EngineCarrierID(0)
    if overPolling { exchanges = [first] } else { sockets = [first] }
    current = overPolling ? nil : first
    var settings = Bench.settings
    settings.queuedPacketsMax = 40
    guard let id = EngineSessionID("s") else { fatalError("a name that is allowed") }
    session = EngineSession(
      id: id, over: overPolling ? .polling : .webSocket, first: first, settings: settings, now: now,
      &actions)
    drain()
  }

  private mutating func fail(_ text: String) { failures.append(text) }

  private mutating func fresh() -> EngineCarrierID {
    next += 1
    return EngineCarrierID(next)
  }

  /// One thing that happens; false once something is wrong.
  mutating func step() -> Bool {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<22: serverSends()
    case 22..<45: polls()
    case 45..<60: posts()
    case 60..<66: beginsSocket()
    case 66..<78: candidateSpeaks()
    case 78..<86: socketSpeaks()
    case 86..<95: timePasses()
    case 95..<97: losesSomething()
    case 97: session.close(now: now, &actions)
    case 98: misbehaves()
    default: session.flush(&actions)
    }
    drain()
    if (session.deadline == nil) != (session.closeReason != nil) { fail("a wrong deadline") }
    return failures.isEmpty
  }

  /// After whatever happened, a session that is left alone ends, and everything is answered.
  mutating func finish() {
    var turns = 0
    while let deadline = session.deadline, turns < 10 {
      now = max(now, deadline)
      session.deadlineReached(now: now, &actions)
      turns += 1
    }
    drain()
    if reason == nil { fail("it never ends") }
    if !exchanges.isEmpty { fail("\(exchanges.count) exchanges without an answer") }
    if !sockets.isEmpty { fail("\(sockets.count) sockets left open") }
    if isOrderly, arrivedDown != sentDown { fail("\(arrivedDown) of \(sentDown) arrived") }
  }

  private mutating func serverSends() {
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      guard (try? session.send(.text(utf8("4\(sentDown)")), &actions)) != nil else { break }
      sentDown += 1
    }
    if Bool.random(using: &random) { session.flush(&actions) }
  }

  private mutating func polls() {
    guard current == nil, waiting == nil || Int.random(in: 0..<40, using: &random) == 0 else {
      return
    }
    let id = fresh()
    exchanges.insert(id)
    if waiting == nil { waiting = id }
    session.pollBegan(id, &actions)
  }

  private mutating func posts() {
    guard current == nil else { return }
    if let id = posting {
      posting = nil
      let count = Int.random(in: 1...3, using: &random)
      var packets = (0..<count).map { "4\(sentUp + $0)" }
      if Int.random(in: 0..<3, using: &random) == 0 { packets.append("3") }
      if session.isOpen, exchanges.contains(id) { sentUp += count }
      let body = utf8(packets.joined(separator: "\u{1E}"))
      session.dataEnded(id, body.span, now: now, &actions)
      return
    }
    let id = fresh()
    exchanges.insert(id)
    posting = id
    session.dataBegan(id, .text, &actions)
  }

  private mutating func beginsSocket() {
    let id = fresh()
    sockets.insert(id)
    if candidate == nil { candidate = id }
    session.socketBegan(id, now: now, &actions)
  }

  private mutating func candidateSpeaks() {
    guard let candidate else { return }
    // A client has no poll under way when it says the last word.
    let words = waiting == nil ? ["2probe", "5"] : ["2probe"]
    let word = words.randomElement(using: &random) ?? ""
    session.socketReceived(text: utf8(word).span, from: candidate, now: now, &actions)
  }

  private mutating func socketSpeaks() {
    guard let current, sockets.contains(current) else { return }
    if Bool.random(using: &random) {
      session.socketReceived(text: utf8("3").span, from: current, now: now, &actions)
    } else {
      let text = utf8("4\(sentUp)")
      if session.isOpen { sentUp += 1 }
      session.socketReceived(text: text.span, from: current, now: now, &actions)
    }
  }

  private mutating func timePasses() {
    now += UInt64.random(in: 1...120, using: &random) * millisecond
    if let deadline = session.deadline, deadline <= now {
      session.deadlineReached(now: now, &actions)
    }
  }

  private mutating func losesSomething() {
    let all = exchanges.sorted { $0.number < $1.number } + sockets.sorted { $0.number < $1.number }
    guard let id = all.randomElement(using: &random) else { return }
    exchanges.remove(id)
    sockets.remove(id)
    if candidate == id { candidate = nil }
    if waiting == id { waiting = nil }
    if posting == id { posting = nil }
    session.lost(id, &actions)
  }

  private mutating func misbehaves() {
    let words = ["", "x", "2", "1", "b!", "9"]
    let word = utf8(words.randomElement(using: &random) ?? "")
    if let current {
      session.socketReceived(text: word.span, from: current, now: now, &actions)
    } else if let posting {
      self.posting = nil
      session.dataEnded(posting, word.span, now: now, &actions)
    }
  }

  /// Carries out what was said, and holds it against what may be said.
  private mutating func drain() {
    for action in actions {
      if reason != nil, !isRefusal(action) { fail("\(describe(action)) after the end") }
      carryOut(action)
    }
    actions = []
  }

  private func isRefusal(_ action: EngineAction) -> Bool {
    switch action {
    case .refuse, .closeSocket: true
    default: false
    }
  }

  private mutating func carryOut(_ action: EngineAction) {
    switch action {
    case .answerPoll(let id, let payload):
      answered(id)
      for packet in read(payload).packets { arrives(packet) }
    case .acceptData(let id), .refuse(let id, _), .refuseBody(let id): answered(id)
    case .send(let id, let frame):
      if !sockets.contains(id) { fail("a frame on a socket that is gone") }
      if id == current { arrives(try? EnginePacket(text: bytes(of: frame).span)) }
      if id != current, frame != .text(utf8("3probe")) { fail("a frame before the upgrade") }
    case .closeSocket(let id):
      sockets.remove(id)
      if candidate == id { candidate = nil }
    case .received(let message):
      if message != .text(utf8("\(arrivedUp)")) { fail("up: \(message), not \(arrivedUp)") }
      arrivedUp += 1
    case .upgraded(let id):
      current = id
      candidate = nil
      posting = nil
    case .closed(let reason):
      if self.reason != nil { fail("it ended twice") }
      self.reason = reason
    }
  }

  private mutating func answered(_ id: EngineCarrierID) {
    if exchanges.remove(id) == nil { fail("\(id) was answered twice") }
    if waiting == id { waiting = nil }
    if posting == id { posting = nil }
  }

  private mutating func arrives(_ packet: EnginePacket?) {
    guard let packet else { return fail("a frame that can't be read") }
    switch packet {
    case .text(let bytes):
      if bytes != utf8("\(arrivedDown)") { fail("down: \(text(bytes)), not \(arrivedDown)") }
      arrivedDown += 1
    case .control(.close, _): isOrderly = reason == nil && session.closeReason == .forcedClose
    case .control: break
    case .binary: fail("binary out of nowhere")
    }
  }

  private func bytes(of frame: EngineFrame) -> [UInt8] {
    switch frame {
    case .text(let bytes), .binary(let bytes): bytes
    }
  }
}
