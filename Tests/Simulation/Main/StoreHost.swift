internal import Bytes
internal import CSimulatedDisk
internal import EventStoreCore
internal import StoreSimulation
internal import Wire

/// The machine of the event store: the real store and reader on a simulated disk, and a stand-in for the
/// threads and queues around them (`StoreWriter`, `StoreAnswerer`, `WriteQueue`): appends in batches,
/// housekeeping after each, outcomes a moment later, bounds on what waits.
final class StoreHost {
  enum Job {
    case append(AppendRequest, (AppendOutcome?) -> Void)
    case fork(ForkRequest, (ForkOutcome?) -> Void)
    case trim(ChannelName, Offset?, (StreamHead?) -> Void)
    case delete(ChannelName, (EventStore.Deletion?) -> Void)
  }

  let world: World
  let swarm: Swarm
  let judge: Judge
  let disk: SimulatedDisk
  lazy var announcer = StoreAnnouncer(self)
  static let directory = "/store"

  var store: EventStore?
  var reader: StoreReader?
  var generation = 0
  var jobs: [Job] = []
  var readsWaiting = 0
  private var isTurning = false
  var pausedUntil: Int64 = 0
  var confirmed: Int64?
  /// Milliseconds that the clocks are off.
  var wallSkew: Int64 = 0
  var bootedAt: Int64 = 0
  /// The log was damaged: the store is to refuse it, and an operator accepts the loss.
  var isDamaged = false
  /// A loss was accepted while opening.
  var wasAccepted = false
  /// The image is no state that ever was; the run ends here.
  var isBeyondHope = false
  /// Gateways' and the hub's links to this machine.
  var links: [SimulatedLink] = []
  var opens = 0
  private(set) var commits = 0

  init(_ world: World, _ swarm: Swarm, _ judge: Judge) {
    self.world = world
    self.swarm = swarm
    self.judge = judge
    disk = SimulatedDisk(seed: world.random.next(), capacity: 8 << 20)
    disk.seedSQLite()
    disk.setSyncFailure(swarm.syncFailure)
  }

  var isOpen: Bool { store != nil }
  var position: Int64 { store?.position ?? 0 }

  var instant: StoreInstant {
    StoreInstant(
      monotonic: (world.now - bootedAt) / 1_000 + 1,
      wall: 1_700_000_000_000 + world.now / 1_000 + wallSkew)
  }

  /// How long the files are, as they are seen and as they are durable.
  var files: String {
    ["events.sqlite", "events.sqlite-wal", "head.mark"].map { name in
      let path = "\(Self.directory)/\(name)"
      return "\(name) \(disk.peekBytes(path))/\(disk.peekBytes(path, durable: true))"
    }.joined(separator: ", ")
  }

  func connect() -> SimulatedLink? {
    guard isOpen else { return nil }
    let link = SimulatedLink(world, swarm.linkDelay)
    links = links.filter(\.isUp) + [link]
    return link
  }

  // MARK: work

  /// Takes a job, or says at once that there is no room (nil stands for *overloaded*: try again).
  func take(_ job: Job) -> Bool {
    guard isOpen, jobs.count < swarm.queueMax else { return false }
    jobs.append(job)
    poke()
    return true
  }

  func confirm(_ position: Int64) {
    confirmed = max(confirmed ?? 0, position)
    poke()
  }

  func poke() {
    guard isOpen, !isTurning else { return }
    isTurning = true
    let ready = max(pausedUntil - world.now, world.between(100...1_500))
    world.after(ready) { [self, generation] in
      isTurning = false
      guard generation == self.generation else { return poke() }
      if world.now < pausedUntil { return poke() }
      turn()
      wait()
    }
  }

  /// Housekeeping is due though nothing comes.
  private func wait() {
    guard let store else { return }
    if !jobs.isEmpty { return poke() }
    let due = store.maintenanceDue - instant.monotonic
    guard due < 5_000 else { return }
    world.after(max(1, due) * 1_000) { [self, generation] in
      if generation == self.generation { poke() }
    }
  }

  func turn() {
    guard let store else { return }
    do throws(StoreFailure) {
      if let position = confirmed.take() { store.confirmAnnounced(through: position, at: instant) }
      try takeJobs(store)
      try store.maintain(at: instant)
    } catch {
      return fell("\(error)")
    }
    if disk.isOff { fell("power went") }
  }

  /// A batch of appends, or one job of another kind.
  private func takeJobs(_ store: EventStore) throws(StoreFailure) {
    var batch: [(request: AppendRequest, done: (AppendOutcome?) -> Void)] = []
    while batch.count < swarm.commitRequests, case .append(let request, let done)? = jobs.first {
      batch.append((request, done))
      jobs.removeFirst()
    }
    if !batch.isEmpty { return try commit(batch, store) }
    guard !jobs.isEmpty else { return }
    try administer(jobs.removeFirst(), store)
  }

  /// What was decided leaves the process a moment later, if that is still there.
  func hand(_ body: @escaping () -> Void) {
    world.after(world.between(10...400)) { [self, generation] in
      if generation == self.generation { body() }
    }
  }

  private func commit(
    _ batch: [(request: AppendRequest, done: (AppendOutcome?) -> Void)], _ store: EventStore
  ) throws(StoreFailure) {
    var next = judge.model
    let expected = batch.map { stage($0.request, &next, store.time(at: instant)) }
    next.commit()
    judge.tries(next)
    commits += 1
    let outcomes = try store.commit(batch.map(\.request), at: instant)
    if outcomes.contains(.outOfSpace) {
      judge.wasRefused()
    } else {
      judge.wentThrough()
      for (index, outcome) in outcomes.enumerated() {
        compare(outcome, expected[index], batch[index].request)
      }
    }
    world.note("committed", batch.count, Int(store.position))
    for (entry, outcome) in zip(batch, outcomes) { hand { entry.done(outcome) } }
    announcer.committed(zip(batch, outcomes).map { ($0.request, $1) })
  }

  private func stage(_ request: AppendRequest, _ model: inout StoreModel, _ now: Int64)
    -> StoreModel.Appended
  {
    model.append(
      request.stream.text,
      request.events.map { String(decoding: $0.payload.bytes, as: UTF8.self) },
      expected: request.expected.map { Int($0.value) }, key: request.idempotencyKey, now: now)
  }

  private func compare(
    _ outcome: AppendOutcome, _ expected: StoreModel.Appended, _ request: AppendRequest
  ) {
    let seen: StoreModel.Appended? =
      switch outcome {
      case .committed(let receipt) where receipt.origin == .duplicate:
        .duplicate(first: Int(receipt.first.value))
      case .committed(let receipt):
        .appended(first: Int(receipt.first.value), last: Int(receipt.last.value))
      case .conflict(_, let head): .conflict(head: Int(head.value))
      case .idempotencyConflict(_, let first): .keyConflict(first: Int(first.value))
      case .refused(.noSuchFork): .noSuchFork
      case .fenced, .sequenceGap, .refused, .outOfSpace: nil
      }
    if seen != expected {
      world.fail("an append to \(request.stream): \(outcome), not \(expected)")
    }
    if case .committed(let receipt) = outcome {
      judge.learn(receipt.epoch, of: request.stream.text)
    }
  }

  private func administer(_ job: Job, _ store: EventStore) throws(StoreFailure) {
    var next = judge.model
    switch job {
    case .append: return
    case .fork(let request, let done):
      let expected = next.fork(
        request.source.text, as: request.name.text, at: request.at.map { Int($0.value) })
      judge.tries(next)
      let outcome = try store.fork(request, at: instant)
      if outcome == .outOfSpace { judge.wasRefused() } else { judge.wentThrough() }
      compare(outcome, expected, request)
      hand { done(outcome) }
    case .trim(let name, let offset, let done):
      let floor = next.trim(name.text, through: offset.map { Int($0.value) })
      judge.tries(next)
      let head = try store.trim(name, through: offset, at: instant)
      if head == nil { judge.wasRefused() } else { judge.wentThrough() }
      if let head, Int(head.floor.value) != floor { world.fail("\(name) trimmed to \(head.floor)") }
      hand { done(head) }
    case .delete(let name, let done):
      let was = next.delete(name.text)
      judge.tries(next)
      judge.wasDeleted(name.text)
      let deletion = try store.delete(name, at: instant)
      if deletion == .outOfSpace { judge.wasRefused() } else { judge.wentThrough() }
      if deletion != .outOfSpace, (deletion == .unknownStream) == was {
        world.fail("the deletion of \(name): \(deletion)")
      }
      hand { done(deletion) }
    }
    world.note("administered", Int(store.position))
  }

  private func compare(
    _ outcome: ForkOutcome, _ expected: StoreModel.Forked, _ request: ForkRequest
  ) {
    let seen: StoreModel.Forked? =
      switch outcome {
      case .forked(_, _, .made): .made
      case .forked(_, _, .found): .found
      case .unknownStream: .unknown
      case .trimmed: .trimmed
      case .ahead: .ahead
      case .nameTaken: .taken
      case .refused: .refused
      case .otherEpoch, .outOfSpace: nil
      }
    guard outcome != .outOfSpace else { return }
    if seen != expected { world.fail("a fork \(request.name): \(outcome), not \(expected)") }
    if case .forked(let head, _, _) = outcome, let epoch = head.epoch {
      judge.learn(epoch, of: request.name.text)
    }
  }

}
