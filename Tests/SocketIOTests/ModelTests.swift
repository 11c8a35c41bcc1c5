import SocketIO
import TestKit
import Testing

/// Random lives of a connection against what its caller may rely on: every ask has one end, every
/// answer is sent once at most, nothing comes of a namespace the client isn't in, and nothing after
/// the end.
@Suite struct SocketModelTests {
  @Test func randomLivesKeepTheirPromises() {
    let seed = UInt64.random(in: .min ... .max)
    for round in UInt64(0)..<800 {
      var life = Life(seed: seed &+ round)
      for _ in 0..<150 where life.failures.isEmpty { life.step() }
      life.finish()
      #expect(life.failures == [], "seed \(seed &+ round): \(life.failures)")
      if !life.failures.isEmpty { return }
    }
  }
}

private struct Life {
  private static let names = ["/", "/a", "/b", "/c"].map(namespace)

  var random: SeededGenerator
  var failures: [String] = []

  private var connection: SocketConnection
  private var now: UInt64 = second
  private var actions: [SocketAction] = []
  /// What the client believes: asked for, or in.
  private var asked: Set<SocketNamespace> = []
  private var inside: Set<SocketNamespace> = []
  private var asks: Set<String> = []
  private var answers: [SocketAnswer] = []
  private var answered: Set<SocketAnswer> = []
  private var nextID: UInt64 = 0
  private var isOver = false

  init(seed: UInt64) {
    random = SeededGenerator(seed: seed)
    var settings = SocketSettings()
    settings.namespacesMax = 3
    settings.asksMax = 5
    settings.unansweredMax = 6
    connection = SocketConnection(settings: settings, now: now)
  }

  mutating func step() {
    let name = Self.names.randomElement(using: &random) ?? .main
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<15: clientConnects(name)
    case 15..<30: serverDecides(name)
    case 30..<50: clientSpeaks(name)
    case 50..<62: serverAsks(name)
    case 62..<74: clientAcknowledges(name)
    case 74..<84: serverAnswers()
    case 84..<90: timePasses()
    case 90..<94: clientLeaves(name)
    case 94..<97: connection.disconnect(name, &actions)
    case 97: misbehaves(name)
    case 98: connection.close(.serverShuttingDown, &actions)
    default: connection.sessionEnded(.transportClose, &actions)
    }
    drain()
    if connection.isClosed, connection.deadline != nil { fail("a deadline after the end") }
    if Set(connection.namespaces) != inside, !connection.isClosed { fail("another membership") }
  }

  mutating func finish() {
    connection.sessionEnded(.transportClose, &actions)
    drain()
    if !asks.isEmpty { fail("\(asks.count) asks without an end") }
    if !inside.isEmpty { fail("\(inside.count) namespaces without an end") }
  }

  private mutating func fail(_ text: String) { failures.append(text) }

  private mutating func hears(_ written: String) {
    connection.received(text: utf8(written).span, now: now, &actions)
  }

  /// How the client names it in a packet.
  private func prefix(_ name: SocketNamespace) -> String { name == .main ? "" : "\(name)," }

  private mutating func clientConnects(_ name: SocketNamespace) {
    guard !inside.contains(name), !asked.contains(name) else { return }
    asked.insert(name)
    hears("0" + prefix(name))
  }

  private mutating func serverDecides(_ name: SocketNamespace) {
    let wasAsked = asked.remove(name) != nil && !connection.isClosed
    if Int.random(in: 0..<4, using: &random) == 0 {
      connection.refuse(name, message: "no", &actions)
      return
    }
    let isIn = connection.accept(name, sid: "s", &actions)
    if isIn != wasAsked { fail("let in: \(isIn)") }
    if isIn { inside.insert(name) }
  }

  private mutating func clientSpeaks(_ name: SocketNamespace) {
    guard inside.contains(name) else { return }
    guard Bool.random(using: &random) else { return hears("2\(prefix(name))[\"e\"]") }
    // More than may wait is another test's.
    guard answers.count - answered.count < 5 else { return }
    nextID += 1
    hears("2\(prefix(name))\(nextID)[\"e\"]")
  }

  private mutating func serverAsks(_ name: SocketNamespace) {
    let timeout = Duration.seconds(Int.random(in: 1...9, using: &random))
    do {
      let id = try connection.ask(event("q"), in: name, within: timeout, now: now, &actions)
      if !inside.contains(name) { fail("asked who isn't there") }
      if !asks.insert("\(name) \(id)").inserted { fail("\(id) was given twice") }
    } catch .notConnected {
      if inside.contains(name), !connection.isClosed { fail("refused to ask") }
    } catch {
      if asks.count < 5 { fail("too early: \(asks.count) asks") }
    }
  }

  private mutating func clientAcknowledges(_ name: SocketNamespace) {
    guard inside.contains(name) else { return }
    hears("3\(prefix(name))\(Int.random(in: 0...20, using: &random))[]")
  }

  private mutating func serverAnswers() {
    guard let answer = answers.randomElement(using: &random) else { return }
    let count = actions.count
    let isSent = connection.answer(answer, with: acknowledgement("1"), &actions)
    if isSent, !answered.insert(answer).inserted { fail("answered twice") }
    if isSent != (actions.count > count) { fail("said to be sent, and wasn't") }
    if isSent, !inside.contains(answer.namespace) { fail("answered who has left") }
  }

  private mutating func timePasses() {
    now += UInt64.random(in: 1...4, using: &random) * second
    while let deadline = connection.deadline, deadline <= now {
      connection.deadlineReached(now: now, &actions)
      if connection.deadline == deadline { return fail("a deadline that stays") }
    }
  }

  private mutating func clientLeaves(_ name: SocketNamespace) {
    guard inside.contains(name) else { return }
    hears("1" + prefix(name))
  }

  private mutating func misbehaves(_ name: SocketNamespace) {
    let words = ["x", "2{}", "51-[\"a\"]", "2/nowhere,[\"a\"]", "0"]
    hears(words.randomElement(using: &random) ?? "")
    if Bool.random(using: &random) {
      connection.received(binary: [1], now: now, &actions)
    }
  }

  private mutating func drain() {
    for action in actions {
      if isOver { fail("\(action) after the end") }
      switch action {
      case .event(let name, _, let answer):
        if !inside.contains(name) { fail("an event of \(name)") }
        if let answer { answers.append(answer) }
      case .acknowledged(let name, let id, _), .unacknowledged(let name, let id):
        if asks.remove("\(name) \(id)") == nil { fail("\(id) ended twice, or was never asked") }
      case .disconnected(let name, _):
        if inside.remove(name) == nil { fail("left \(name) without having been in") }
        answers.removeAll { $0.namespace == name && !answered.contains($0) }
      case .connectRequested(let name, _): asked.insert(name)
      case .send(let frames):
        if text(frames.text).contains("Too many") { asked.subtract(refusedName(frames)) }
      case .close: isOver = true
      }
    }
    actions = []
    if connection.isClosed { asked = [] }
  }

  private func refusedName(_ frames: SocketFrames) -> [SocketNamespace] {
    Self.names.filter { text(frames.text).hasPrefix("44\(prefix($0)){") }
  }
}
