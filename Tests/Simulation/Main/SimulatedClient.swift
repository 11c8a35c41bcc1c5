internal import Bytes
internal import EventStoreCore
internal import Wire

/// A client: appends with keys until it knows the outcome, subscribes, comes back to where it was, and is
/// sometimes an operator who forks, trims and deletes. Checks all that it is given.
final class SimulatedClient {
  /// An append until it is known what became of it.
  private struct Sending {
    let name: ChannelName
    let texts: [String]
    let key: String
    let expected: Offset?
    let deletions: Int
    let losses: Int
  }

  /// Where it stands in a channel.
  private struct Following {
    /// Of this subscription; answers to an earlier one are not heard.
    var number = 0
    var place: Position?
    /// Asked to go on from there and not told yet where it begins.
    var resumes: Position?
    var isBegun = false
    /// It begins elsewhere than it asked for: told so before any event.
    var isOwedWord = false
  }

  private let world: World
  private let swarm: Swarm
  private let judge: Judge
  private let gateways: [SimulatedGateway]
  private let names: [ChannelName]
  private let number: Int
  private var gateway: SimulatedGateway?
  private var link: SimulatedLink?
  private var following: [ChannelName: Following] = [:]
  private var wanted: [ChannelName] = []
  private var subscriptions = 0
  private var sent = 0
  private var isSending = false
  private(set) var refused: [(text: String, name: String, deletions: Int)] = []
  private(set) var received = 0
  /// No new appends; what is under way is finished.
  var isDone = false

  init(
    _ world: World, _ swarm: Swarm, _ judge: Judge, _ gateways: [SimulatedGateway],
    _ names: [ChannelName], number: Int
  ) {
    (self.world, self.swarm, self.judge) = (world, swarm, judge)
    (self.gateways, self.names, self.number) = (gateways, names, number)
    dial()
    think()
  }

  // MARK: connection

  private func dial() {
    world.after(world.between(1_000...200_000)) { [self] in
      guard link == nil else { return }
      let gateway = world.one(of: gateways)
      guard let made = gateway.connect() else { return dial() }
      link = made
      self.gateway = gateway
      made.onCut.append { [weak self] in
        guard let self, link === made else { return }
        link = nil
        dial()
      }
      for name in wanted { subscribe(name) }
    }
  }

  func disconnect() { link?.cut() }

  private func subscribe(_ name: ChannelName) {
    guard let link, let gateway else { return }
    subscriptions += 1
    var place = following[name, default: Following()]
    place.number = subscriptions
    place.resumes = place.place
    place.isBegun = false
    place.isOwedWord = false
    following[name] = place
    link.send { [self, number = subscriptions, since = place.place] in
      gateway.subscribe(self, to: name, link, number, since: since)
    }
  }

  // MARK: what it is given

  private func hears(_ name: ChannelName, _ number: Int) -> Bool {
    following[name]?.number == number
  }

  func begins(after position: Position?, of name: ChannelName, _ number: Int) {
    guard hears(name, number), var place = following[name] else { return }
    world.note("begins", self.number, Int(position?.offset.value ?? 0))
    if place.isBegun, position != place.place { place.isOwedWord = true }
    if let asked = place.resumes, asked != position { place.isOwedWord = true }
    place.resumes = nil
    place.isBegun = true
    place.place = position
    following[name] = place
  }

  func got(_ arrival: Arrival, of name: ChannelName, _ number: Int) {
    guard hears(name, number), var place = following[name] else { return }
    received += 1
    world.note(
      "got", self.number, Int(arrival.position.offset.value), text: "\(name) \(arrival.text)")
    judge.saw(arrival.text, at: arrival.position, by: "client \(self.number)")
    if !place.isBegun {
      world.fail("client \(self.number) got an event of \(name) before it began")
    }
    if place.isOwedWord {
      world.fail("client \(self.number) begins elsewhere in \(name) without a word")
    }
    guard let last = place.place, last.epoch == arrival.position.epoch,
      arrival.position.offset == last.offset.next
    else {
      return world.fail(
        "client \(self.number) got \(arrival.position) of \(name), it stood at "
          + (place.place?.description ?? "nothing"))
    }
    place.place = arrival.position
    following[name] = place
  }

  /// There is no such fork: it asks again later.
  func refused(_ name: ChannelName, _ number: Int) {
    guard hears(name, number) else { return }
    world.note("refused", self.number, text: name.text)
    following[name]?.isBegun = false
    world.after(world.between(50_000...1_000_000)) { [self] in
      if hears(name, number) { subscribe(name) }
    }
  }

  func lost(_ word: Unrecoverable, of name: ChannelName, _ number: Int) {
    guard hears(name, number), var place = following[name] else { return }
    world.note("lost", self.number, Int(word.head.value), text: "\(name) \(word.reason)")
    if word.reason == .ahead { world.fail("client \(self.number) was ahead in \(name)") }
    place.isOwedWord = false
    let offset = word.reason == .trimmed ? word.floor : word.head
    place.place = word.epoch.map { Position(epoch: $0, offset: offset) }
    following[name] = place
  }

  /// Where it stands in each channel that it follows, to be compared with the store.
  var places: [(name: ChannelName, place: Position?, isBegun: Bool)] {
    wanted.map { ($0, following[$0]?.place, following[$0]?.isBegun ?? false) }
  }

  var isConnected: Bool { link != nil }
  var isQuiet: Bool { !isSending }

  // MARK: what it does

  private func think() {
    guard !isDone else { return }
    world.after(world.between(swarm.thinkingMs) * 1_000) { [self] in
      act()
      think()
    }
  }

  private func act() {
    switch world.below(100) {
    case 0..<62: append()
    case 62..<80: follow()
    case 80..<86: if !world.isHealed { disconnect() }
    case 86..<92: fork()
    case 92..<97: trim()
    default: if world.chance(400) { delete() }
    }
  }

  private func anyName() -> ChannelName {
    let root = world.one(of: names)
    guard world.chance(250) else { return root }
    return ChannelName("\(root)@f\(world.below(3))") ?? root
  }

  private func follow() {
    let name = anyName()
    guard !wanted.contains(name) else { return }
    wanted.append(name)
    subscribe(name)
  }

  private func append() {
    guard !isSending else { return }
    isSending = true
    let name = anyName()
    let texts = (0..<(1 + world.below(3))).map { "\(number).\(sent).\($0)" }
    let known = following[name]?.place?.offset
    let sending = Sending(
      name: name, texts: texts, key: "\(number)-\(sent)", expected: world.chance(300) ? known : nil,
      deletions: judge.deletions[name.text, default: 0], losses: judge.losses)
    sent += 1
    attempt(sending)
  }

  private func attempt(_ sending: Sending) {
    guard let gateway, let link else { return again(sending) }
    var request = AppendRequest(
      to: sending.name, sending.texts.map { NewEvent(payload: Payload(text: $0)) },
      expected: sending.expected, idempotencyKey: sending.key, time: world.now / 1_000)
    request.publisher = Publisher(client: UInt64(number), user: "")
    link.ask(within: 3_000_000) { [request] answer in
      gateway.pass({ .append(request, $0) }, answer)
    } _: { [weak self] (outcome: AppendOutcome??) in
      guard let self else { return }
      guard let outcome = outcome ?? nil, outcome != .outOfSpace else { return again(sending) }
      settled(sending, outcome)
    }
  }

  private func again(_ sending: Sending) {
    world.after(world.between(20_000...400_000)) { [weak self] in self?.attempt(sending) }
  }

  private func settled(_ sending: Sending, _ outcome: AppendOutcome) {
    isSending = false
    guard case .committed(let receipt) = outcome else {
      if judge.losses == sending.losses {
        refused += sending.texts.map { ($0, sending.name.text, sending.deletions) }
      }
      return
    }
    guard judge.losses == sending.losses else { return }
    for (index, text) in sending.texts.enumerated() {
      let offset = Offset(receipt.first.value + UInt64(index))
      judge.saw(text, at: Position(epoch: receipt.epoch, offset: offset), by: "publisher \(number)")
    }
  }

  // MARK: as an operator

  private func fork() {
    guard let gateway else { return }
    let source = anyName()
    guard let root = source.text.split(separator: "@").first,
      let name = ChannelName("\(root)@f\(world.below(3))")
    else { return }
    let at = world.chance(500) ? nil : following[source]?.place?.offset
    let request = ForkRequest(of: source, as: name, at: at, time: world.now / 1_000)
    gateway.pass({ .fork(request, $0) }) { (_: ForkOutcome?) in }
  }

  private func trim() {
    let name = anyName()
    guard let offset = following[name]?.place?.offset else { return }
    let through = world.chance(200) ? nil : Offset(offset.value / 2)
    gateway?.pass({ .trim(name, through, $0) }) { (_: StreamHead?) in }
  }

  private func delete() {
    let name = anyName()
    gateway?.pass({ .delete(name, $0) }) { (_: EventStore.Deletion?) in }
  }
}
