import Bytes
import PresenceCore
import Testing

/// SplitMix64: the same steps for the same seed on every machine.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// Gateways and their clients as they really are, driving a board over links that may fail, and what
/// observers at the ends of the links ought to show.
struct World {
  struct Lane {
    let gateway: Int
    let number: UInt16
    var link: LinkID?
    var hasHadLink = false
    var owesReport = false
    var watches: Set<ChannelName> = []
    var live: [PresenceJoin] = []
  }
  struct Gateway {
    var incarnation: UInt64 = 1
    var frozenUntil: Instant?
  }
  struct Lost {
    var join: PresenceJoin
    var key: MemberKey
    var until: Instant
  }

  static let channels = ["lobby", "hall", "yard"].map { channelName($0) }
  static let grace = Duration.seconds(5)

  var scene = Scene(.justNow)
  var random: SeededRandom
  var gateways = [Gateway](repeating: Gateway(), count: 3)
  var lanes: [Lane]
  var lost: [Lost] = []
  /// Batches sent before, with their links: what a network may deliver again.
  var sent: [(batch: PresenceBatch, link: LinkID)] = []
  private var lastName = 0
  private var answered = 0

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    lanes = (0..<6).map { Lane(gateway: $0 / 2, number: UInt16($0 % 2)) }
    for lane in lanes.indices { link(lane) }
    advance(by: .seconds(11))
  }

  // MARK: What a client does

  mutating func join() {
    lastName += 1
    let isKnown = Bool.random(using: &random)
    let hasSession = Int.random(in: 0..<4, using: &random) > 0
    let join = joining(
      "c\(lastName)", user: isKnown ? "u\(Int.random(in: 0..<6, using: &random))" : nil,
      session: hasSession ? "s\(lastName)" : nil, in: pick(Self.channels))
    enter(join, lane: pick(Array(lanes.indices)))
  }

  mutating func leave(_ manner: PresenceLeave.Manner) {
    let lane = pick(Array(lanes.indices))
    guard let index = lanes[lane].live.indices.randomElement(using: &random) else { return }
    let join = lanes[lane].live.remove(at: index)
    if manner == .lost { lose(join, lane) }
    send(.left(PresenceLeave(channel: join.channel, client: join.client, manner: manner)), lane)
  }

  private mutating func lose(_ join: PresenceJoin, _ lane: Int) {
    let key = key(join, lanes[lane].gateway)
    lost.append(Lost(join: join, key: key, until: scene.now + Self.grace))
  }

  /// A client that lost its connection comes back by any gateway, under another client id.
  mutating func resume() {
    lost.removeAll { $0.until <= scene.now }
    guard let index = lost.indices.randomElement(using: &random) else { return }
    var join = lost[index].join
    if join.session != nil { lost.remove(at: index) }
    lastName += 1
    join.client = clientID("c\(lastName)")
    enter(join, lane: pick(Array(lanes.indices)))
  }

  private mutating func enter(_ join: PresenceJoin, lane: Int) {
    lanes[lane].live.append(join)
    send(.joined(join), lane)
  }

  // MARK: What a gateway does

  private mutating func send(_ event: PresenceEvent, _ lane: Int) {
    guard let link = lanes[lane].link else { return }
    // A stopped gateway has seen it, and says so in the report that its thawing brings.
    guard gateways[lanes[lane].gateway].frozenUntil == nil else {
      lanes[lane].owesReport = true
      return
    }
    sent.append((scene.send([event], on: link), link))
  }

  mutating func link(_ lane: Int) {
    let gateway = lanes[lane].gateway
    guard lanes[lane].link == nil, gateways[gateway].frozenUntil == nil else { return }
    let link = scene.open(
      "g\(gateway)", incarnation: gateways[gateway].incarnation, lane: lanes[lane].number,
      contact: lanes[lane].hasHadLink ? .again : .first)
    scene.observers[link] = observers[lane] ?? Observer()
    lanes[lane].link = link
    lanes[lane].hasHadLink = true
    report(lane)
    for channel in lanes[lane].watches.sorted(by: { $0.text < $1.text }) {
      scene.board.watched(channel, by: link)
    }
  }

  private mutating func report(_ lane: Int) {
    guard let link = lanes[lane].link else { return }
    lanes[lane].owesReport = false
    scene.send(lanes[lane].live.map { .joined($0) }, .wholeReport, on: link)
  }

  mutating func toggleWatch() {
    let lane = pick(Array(lanes.indices))
    let channel = pick(Self.channels)
    guard let link = lanes[lane].link else { return }
    if lanes[lane].watches.insert(channel).inserted {
      scene.board.watched(channel, by: link)
    } else {
      lanes[lane].watches.remove(channel)
      scene.board.unwatched(channel, by: link)
      scene.observers[link]?.forget(channel)
    }
  }

  // MARK: What goes wrong

  mutating func fail() {
    let lane = pick(Array(lanes.indices))
    let gateway = lanes[lane].gateway
    switch Int.random(in: 0..<9, using: &random) {
    case 0: cut(lane, closing: true)
    case 1: cut(lane, closing: false)
    case 2: link(lane)
    case 3: crash(gateway)
    case 4:
      let pause = Duration.milliseconds(Int.random(in: 0..<15_000, using: &random))
      gateways[gateway].frozenUntil = scene.now + pause
    case 5:
      guard let old = sent.randomElement(using: &random) else { return }
      scene.board.receivedBatch(old.batch, from: old.link, now: scene.now)
    case 6: if let link = lanes[lane].link { scene.lose(on: link) }
    case 7: if let link = lanes[lane].link { scene.board.linkStalled(link) }
    default: if let link = lanes[lane].link { scene.board.linkDrained(link) }
    }
  }

  private var observers: [Int: Observer] = [:]

  /// The link breaks; the board may not learn of it before the lane's next link.
  private mutating func cut(_ lane: Int, closing: Bool) {
    guard let link = lanes[lane].link else { return }
    observers[lane] = scene.observers[link]
    observers[lane]?.linkLost()
    lanes[lane].link = nil
    if closing { scene.close(link) }
  }

  private mutating func crash(_ gateway: Int) {
    for lane in lanes.indices where lanes[lane].gateway == gateway {
      cut(lane, closing: Bool.random(using: &random))
      observers[lane] = nil
      for join in lanes[lane].live { lose(join, lane) }
      lanes[lane].live = []
      lanes[lane].watches = []
      lanes[lane].hasHadLink = false
    }
    gateways[gateway].incarnation += 1
    gateways[gateway].frozenUntil = nil
  }

  mutating func restartService() {
    for lane in lanes.indices { cut(lane, closing: false) }
    scene.restartBoard()
  }

  // MARK: Time

  mutating func advance(by duration: Duration) {
    for gateway in gateways.indices {
      guard let end = gateways[gateway].frozenUntil, end <= scene.now else { continue }
      gateways[gateway].frozenUntil = nil
      for lane in lanes.indices where lanes[lane].gateway == gateway { report(lane) }
    }
    let alive = lanes.filter { gateways[$0.gateway].frozenUntil == nil }.compactMap(\.link)
    scene.advance(by: duration, alive: alive)
    answer()
  }

  /// Gateways do what the board asks of them.
  private mutating func answer() {
    for action in scene.answers[answered...] {
      switch action {
      case .requestReport(let link):
        for lane in lanes.indices where lanes[lane].link == link {
          if gateways[lanes[lane].gateway].frozenUntil == nil {
            report(lane)
          } else {
            lanes[lane].owesReport = true
          }
        }
      case .fence(let link, _):
        for lane in lanes.indices where lanes[lane].link == link { cut(lane, closing: true) }
      default: Issue.record("the board refuses: \(action)")
      }
    }
    answered = scene.answers.count
    scene.turn()
  }

  /// Everything works again, and nobody comes or goes any more.
  mutating func heal() {
    for gateway in gateways.indices { gateways[gateway].frozenUntil = scene.now }
    for _ in 0..<40 {
      advance(by: .seconds(1))
      for lane in lanes.indices {
        link(lane)
        guard let link = lanes[lane].link else { continue }
        scene.board.linkDrained(link)
        scene.send([], on: link)
      }
    }
    lost = []
  }

  // MARK: What ought to be shown

  /// Who has a connection, or lost one so recently that it may resume.
  func present(in channel: ChannelName) -> Set<MemberKey> {
    var keys: Set<MemberKey> = []
    for lane in lanes {
      for join in lane.live where join.channel == channel { keys.insert(key(join, lane.gateway)) }
    }
    for lost in lost where lost.join.channel == channel && lost.until > scene.now {
      keys.insert(lost.key)
    }
    return keys
  }

  private func key(_ join: PresenceJoin, _ gateway: Int) -> MemberKey {
    if let user = join.user { return .user(user) }
    if let session = join.session { return .session(session) }
    return .client(join.client, at: GatewayRun(of: gatewayID("g\(gateway)"), Incarnation(gateways[gateway].incarnation)))
  }

  mutating func pick<T>(_ choices: [T]) -> T {
    choices[Int.random(in: 0..<choices.count, using: &random)]
  }
}
