public import ChannelKit

/// Runs a channel type as the gateways would, on two loops, with no socket and no clock.
///
/// Clients subscribe on loop 0 or 1, send events and see messages; a small sequencer gives offsets
/// and refuses publications that come too late. After every step the bench compares what the loops
/// hold, and throws a `BenchFailure` where they disagree, where deciding twice gives two answers, or
/// where state rebuilt from history or from a checkpoint is another. A test of a plugin, whole:
///
///     @Test func countsBumps() throws {
///       let bench = try ChannelBench(CounterChannel.self)
///       let ann = try bench.subscribe("ann")
///       try bench.expectMessage(Payload(text: "0"), to: ann)
///       try bench.send(Payload(text: "bump"), from: ann)
///       try bench.expectBroadcast(Payload(text: "bump"))
///       try bench.expectRefused(Payload(text: "jump"), from: ann, "invalid_payload")
///     }
///
/// To provoke a race, `hold` a loop: it gets no publications, so that what is decided there is
/// decided on old state, until `release`, or until the sequencer refuses it.
///
/// Instants are simulated: `advance` makes timers and frames due. For tests alone; one thread.
public final class ChannelBench {
  /// Everything that was sequenced, in order.
  public private(set) var published: [Publication] = []
  /// How many publications the sequencer refused because another came first.
  public private(set) var contentions = 0
  /// What each client shows in presence.
  public internal(set) var presence: [ClientID: [UInt8]] = [:]

  var seats: [ClientID: Seat] = [:]
  var order: [ClientID] = []
  var replyToAPI: Payload?
  private var loops: [Loop]
  private var offset = Offset.zero
  /// The client that a publication is not for, by place in `published`.
  private var skipped: [Int: ClientID] = [:]
  private var nowNs: UInt64 = 0
  private let publishers: [Principal]
  private let fresh: () throws(ChannelOptionsError) -> AnyChannel

  private struct Loop {
    var channel: AnyChannel
    /// The last offset applied.
    var head = Offset.zero
    /// How many of `published` have arrived.
    var arrived = 0
    var isHeld = false
    var frame: LatestPerKey?
  }

  /// What the bench holds of one subscription.
  struct Seat {
    let context: ClientContext
    let loop: Int
    var inbox: [Payload] = []
    var reply: Payload?
    var timers: [TimerToken: UInt64] = [:]
    var closed: ChannelError?
  }

  /// - Parameters:
  ///   - history: nil gives the least that the type takes.
  ///   - publish: what a rule's `publish` says; nil leaves it to the type, and then to anyone.
  /// - Errors: `ChannelOptionsError`, as when a configuration is checked.
  public init<Type: ChannelType>(
    _ type: Type.Type, options: [String: OptionValue] = [:], history: ChannelHistory? = nil,
    publish: [Principal]? = nil, channel: String = "bench:1"
  ) throws {
    guard let name = ChannelName(channel) else { throw BenchFailure("\(channel) is no channel") }
    var registry = ChannelRegistry()
    registry.register(type)
    let history =
      history ?? ChannelHistory.allCases.first(where: Type.history.allows) ?? .none
    publishers = publish ?? Type.publishers ?? [.anyone]
    fresh = { [registry] () throws(ChannelOptionsError) in
      try registry.make(
        Type.name, channel: name, options: ChannelOptions(options), history: history)
    }
    loops = []
    for _ in 0..<2 { loops.append(Self.loop(try fresh())) }
  }

  private static func loop(_ channel: AnyChannel) -> Loop {
    var loop = Loop(channel: channel)
    if case .latestPerKey(let framesPerSecond) = channel.delivery {
      loop.frame = LatestPerKey(framesPerSecond: framesPerSecond)
    }
    return loop
  }
}

extension ChannelBench {
  /// Subscribes a client; the snapshot is its first messages.
  /// - Errors: `ChannelError` where the type doesn't admit it.
  @discardableResult
  public func subscribe(
    _ id: String, user: String? = nil, roles: [String] = [], loop: Int = 0
  ) throws -> ClientContext {
    let client = ClientContext(id: ClientID(id), user: user.map { UserID($0) }, roles: roles)
    guard let id = client.id, seats[id] == nil, loops.indices.contains(loop) else {
      throw BenchFailure("\(id) is subscribed already, or there is no loop \(loop)")
    }
    let effects = try decide(on: loop) { channel throws(ChannelError) in
      try channel.admit(client)
    }
    seats[id] = Seat(context: client, loop: loop, inbox: loops[loop].channel.snapshot())
    order.append(id)
    try carryOut(effects, for: client)
    try checkAgreement()
    return client
  }

  /// Ends a client's subscription.
  public func leave(_ client: ClientContext) throws {
    guard let id = client.id, let seat = seats.removeValue(forKey: id) else {
      throw BenchFailure("\(client) is not subscribed")
    }
    order.removeAll { $0 == id }
    presence[id] = nil
    try perform(client, on: seat.loop) { channel throws(ChannelError) in
      try channel.left(client)
    }
  }

  /// Sends an event, from a client or, with `ClientContext.api`, through the API.
  /// - Errors: `ChannelError` where it is refused; nothing was published.
  public func send(
    _ payload: Payload, from client: ClientContext, name: String? = nil
  ) throws {
    let loop = try loop(of: client)
    guard client.isAPI || publishers.include(client) else {
      throw ChannelError.notPermitted("the rule lets this client not publish")
    }
    let event = ChannelEvent(payload, name: name)
    if let id = client.id { seats[id]?.reply = nil } else { replyToAPI = nil }
    try perform(client, on: loop) { channel throws(ChannelError) in
      try channel.decide(event, from: client)
    }
    if loops[loop].channel.isPassThrough, published.last?.payload != payload {
      throw BenchFailure("passes every payload through, and decided otherwise")
    }
  }

  /// Keeps publications from a loop until it is released.
  public func hold(loop: Int) { loops[loop].isHeld = true }

  /// Lets a loop have what was kept from it.
  public func release(loop: Int) throws {
    loops[loop].isHeld = false
    deliver()
    try checkAgreement()
  }

  /// Lets time pass: timers and frames that come due on the way are carried out in order.
  public func advance(by duration: Duration) throws {
    let end = nowNs + nanoseconds(duration)
    while let next = nextDue(), next <= end {
      nowNs = max(nowNs, next)
      try fireTimers()
      sendFrames()
    }
    nowNs = end
    try checkAgreement()
  }

  /// What a newcomer on loop 0 would see first.
  public func snapshot() -> [Payload] { loops[0].channel.snapshot() }

  private func loop(of client: ClientContext) throws -> Int {
    guard let id = client.id else { return 0 }
    guard let seat = seats[id] else { throw BenchFailure("\(id) is not subscribed") }
    return seat.loop
  }
}

// MARK: - Deciding

extension ChannelBench {
  private typealias Decision = (AnyChannel) throws(ChannelError) -> [Effect]

  /// Decides, publishes and carries out, deciding again while others come first.
  private func perform(_ client: ClientContext, on loop: Int, _ decision: Decision) throws {
    for _ in 0..<Effects.decisionsMax {
      let effects = try decide(on: loop, decision)
      let isLate = loops[loop].head != offset && effects.contains(where: \.expectsUnchanged)
      if !isLate {
        try carryOut(effects, for: client)
        return try checkAgreement()
      }
      contentions += 1
      catchUp(loop)
    }
    throw ChannelError.contended
  }

  /// One decision, taken twice, and on the other loop too where that stands at the same offset.
  private func decide(on loop: Int, _ decision: Decision) throws -> [Effect] {
    let outcome = result(of: decision, loops[loop].channel)
    guard result(of: decision, loops[loop].channel) == outcome else {
      throw BenchFailure("decides the same event differently the second time")
    }
    let other = loops[1 - loop]
    if other.arrived == loops[loop].arrived, result(of: decision, other.channel) != outcome {
      throw BenchFailure("decides the same event differently on the other loop")
    }
    return try outcome.get()
  }

  private func result(of decision: Decision, _ channel: AnyChannel)
    -> Result<[Effect], ChannelError>
  {
    do throws(ChannelError) { return .success(try decision(channel)) } catch {
      return .failure(error)
    }
  }

  private func carryOut(_ effects: [Effect], for client: ClientContext) throws {
    for case .publish(let effect) in effects {
      for payload in [effect.payload] + effect.following { sequence(effect, payload, from: client) }
    }
    deliver()
    guard let id = client.id else {
      for case .reply(let payload) in effects { replyToAPI = payload }
      return
    }
    for effect in effects {
      switch effect {
      case .publish: continue
      case .reply(let payload): seats[id]?.reply = payload
      case .send(let payload): seats[id]?.inbox.append(payload)
      case .track(let info): presence[id] = info
      case .untrack: presence[id] = nil
      case .after(let delay, let timer): try set(timer, delay, for: id)
      case .close(let reason): seats[id]?.closed = reason
      }
    }
  }

  private func set(_ timer: TimerToken, _ delay: Duration, for id: ClientID) throws {
    seats[id]?.timers[timer] = nowNs + nanoseconds(delay)
    guard (seats[id]?.timers.count ?? 0) <= Effects.timersMax else {
      throw BenchFailure("\(id) has more than \(Effects.timersMax) timers")
    }
  }

  private func fireTimers() throws {
    for id in order {
      guard let seat = seats[id] else { continue }
      let due = seat.timers.filter { $0.value <= nowNs }.keys.sorted { $0.value < $1.value }
      for timer in due {
        seats[id]?.timers[timer] = nil
        try perform(seat.context, on: seat.loop) { channel throws(ChannelError) in
          try channel.due(timer, for: seat.context)
        }
      }
    }
  }
}

// MARK: - Sequencing and delivering

extension ChannelBench {
  /// The simulated sequencer's clock, in milliseconds since 1970.
  private var timeMs: Int64 { 1_700_000_000_000 + Int64(nowNs / 1_000_000) }

  private func sequence(
    _ effect: PublishEffect, _ payload: Payload, from client: ClientContext
  ) {
    var publication = Publication(
      offset: nil, timeMs: timeMs, payload: payload, publisher: client.id,
      user: client.user)
    if effect.persistence == .byRule, loops[0].channel.history != .none {
      offset = offset.next
      publication.offset = offset
    }
    if effect.audience == .others, let id = client.id { skipped[published.count] = id }
    published.append(publication)
  }

  private func deliver() {
    for loop in loops.indices where !loops[loop].isHeld { catchUp(loop) }
    sendFrames()
  }

  private func catchUp(_ loop: Int) {
    while loops[loop].arrived < published.count {
      let index = loops[loop].arrived
      let publication = published[index]
      loops[loop].arrived += 1
      loops[loop].head = publication.offset ?? loops[loop].head
      loops[loop].channel.apply(publication)
      if loops[loop].frame != nil, let key = loops[loop].channel.mergeKey(of: publication) {
        loops[loop].frame?.keep(publication, key: key)
      } else {
        hand(publication.payload, toLoop: loop, except: skipped[index])
      }
    }
  }

  private func hand(_ payload: Payload, toLoop loop: Int, except skipped: ClientID? = nil) {
    for id in order where id != skipped && seats[id]?.loop == loop {
      seats[id]?.inbox.append(payload)
    }
  }

  private func sendFrames() {
    for loop in loops.indices {
      let frame = loops[loop].frame?.takeFrame(atNs: nowNs) ?? []
      guard !frame.isEmpty else { continue }
      for payload in loops[loop].channel.frame(frame) { hand(payload, toLoop: loop) }
    }
  }

  private func nextDue() -> UInt64? {
    (loops.compactMap { $0.frame?.dueNs } + seats.values.flatMap { $0.timers.values }).min()
  }

  private func nanoseconds(_ duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    return UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds)) / 1_000_000_000
  }
}

// MARK: - Agreement

extension ChannelBench {
  /// Compares what the loops hold, and both with state rebuilt from history and from a checkpoint.
  public func checkAgreement() throws {
    let channel = loops[0].channel
    guard loops.allSatisfy({ $0.arrived == published.count }) else { return }  // one is held
    try compare(channel, loops[1].channel, "the two loops")
    if channel.traits.state == .folded {
      var rebuilt = try fresh()
      for publication in published { rebuilt.apply(publication) }
      try compare(channel, rebuilt, "a loop and one that applied the whole history")
    }
    if let checkpoint = channel.checkpoint() {
      var restored = try fresh()
      try restored.restore(checkpoint)
      try compare(channel, restored, "a loop and one restored from its checkpoint")
    }
  }

  private func compare(_ a: AnyChannel, _ b: AnyChannel, _ what: String) throws {
    guard a.snapshot() == b.snapshot() else { throw BenchFailure("\(what) show other snapshots") }
    guard a.checkpoint() == b.checkpoint() else {
      throw BenchFailure("\(what) write other checkpoints")
    }
  }
}
