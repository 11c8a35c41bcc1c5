internal import Bytes
internal import CSimulatedDisk
internal import EventStoreCore
internal import StoreSimulation
internal import Wire

/// What one seed came to.
struct RunResult {
  let seed: UInt64
  let hash: UInt64
  let flaw: String?
  var steps = 0
  var commits = 0
  var opens = 0
  var received = 0
  var losses = 0
  var isBeyondHope = false
}

/// One run: a storm, in which nothing wrong may be seen, and a calm, in which all has to come right.
final class Run {
  private let world: World
  private let swarm: Swarm
  private let judge: Judge
  private let store: StoreHost
  private let hub: SimulatedHub
  private let gateways: [SimulatedGateway]
  private let clients: [SimulatedClient]
  private var isClosing = false

  init(seed: UInt64, isTold: Bool) {
    let world = World(seed: seed, isTold: isTold)
    let swarm = Swarm(world)
    let judge = Judge(world, keysKept: swarm.keysKept, keepsPast: swarm.lossEvery > 0)
    (self.world, self.swarm, self.judge) = (world, swarm, judge)
    store = StoreHost(world, swarm, judge)
    hub = SimulatedHub(world, swarm)
    store.announcer.hub = hub
    let (hub, store) = (hub, store)
    gateways = (0..<swarm.gateways).map { _ in SimulatedGateway(world, swarm, hub, store) }
    let names = (0..<swarm.streams).compactMap { ChannelName("s\($0)") }
    let gateways = gateways
    clients = (1...swarm.clients).map {
      SimulatedClient(world, swarm, judge, gateways, names, number: $0)
    }
  }

  func run() -> RunResult {
    world.note("swarm", text: "\(swarm)")
    store.open()
    plan()
    world.run(until: swarm.stormMicroseconds) { !store.isBeyondHope }
    if world.flaw == nil, !store.isBeyondHope { calm() }
    world.mix(store.disk.trace)
    world.end()
    return RunResult(
      seed: world.seed, hash: world.hash, flaw: world.flaw, steps: world.stepCount,
      commits: store.commits, opens: store.opens,
      received: clients.reduce(0) { $0 + $1.received }, losses: judge.losses,
      isBeyondHope: store.isBeyondHope)
  }

  // MARK: the storm

  private func plan() {
    every(swarm.killEvery) { [self] in
      if store.isOpen { store.fell("killed") }
    }
    every(swarm.powerCutEvery) { [self] in powerCut() }
    every(swarm.stopEvery) { [self] in store.stop() }
    every(swarm.pauseEvery) { [self] in store.pause(world.between(1_000...4_000_000)) }
    every(swarm.hubKillEvery) { [self] in if hub.isUp { hub.restart() } }
    every(swarm.gatewayKillEvery) { [self] in
      let gateway = world.one(of: gateways)
      if gateway.isUp { gateway.restart() }
    }
    every(swarm.linkCutEvery) { [self] in cutALink() }
    every(swarm.clockJumpEvery) { [self] in
      store.wallSkew = world.one(of: [
        0, -315_360_000_000, 315_360_000_000, 5_000, -5_000, 7_200_000,
      ])
    }
    every(swarm.fullEvery) { [self] in fill() }
    every(swarm.lossEvery) { [self] in
      guard store.isOpen else { return }
      store.fell("killed, then damaged")
      store.damageLog()
    }
    every(2_500) { [self] in store.auditPowerLoss() }
  }

  /// Does `body` at random moments, so many milliseconds apart in the mean, until the storm is over.
  private func every(_ mean: Int, _ body: @escaping () -> Void) {
    guard mean > 0 else { return }
    world.after(world.between(1...Int64(mean * 2_000))) { [self] in
      guard !world.isHealed else { return }
      body()
      every(mean, body)
    }
  }

  /// Now, or at one of the next changes of the disk: in the middle of a commit, a checkpoint, an opening.
  private func powerCut() {
    let mode = world.one(of: swarm.crashModes)
    if world.chance(300) {
      if store.isOpen { store.cutPower(mode) }
    } else {
      store.disk.crash(after: UInt64(world.between(1...60)), mode)
    }
  }

  private func cutALink() {
    switch world.below(4) {
    case 0: store.announcer.cutLink()
    case 1: hub.cutOne()
    default: world.one(of: gateways).cutOne()
    }
  }

  private func fill() {
    store.disk.setCapacity(store.disk.usedBytes + UInt64(world.between(0...40_000)))
    world.note("disk is full")
    world.after(world.between(50_000...2_500_000)) { [self] in
      store.disk.setCapacity(64 << 20)
      world.note("disk has room")
    }
  }

  // MARK: the calm

  private func calm() {
    world.isHealed = true
    world.note("healed")
    store.disk.heal()
    store.disk.setCapacity(64 << 20)
    let end = world.now + Swarm.calmMicroseconds
    // Clients go on a while, finish what they have under way, and wait. Whoever restarts meanwhile does
    // so on a sound disk, so that what it has to make up for may be the last there is.
    if world.chance(500) { world.after(world.between(0...2_400_000)) { [self] in hub.restart() } }
    if world.chance(300) {
      world.after(world.between(0...2_400_000)) { [self] in
        if store.isOpen { store.fell("killed once more") }
      }
    }
    world.run(until: world.now + 2_000_000) { !store.isBeyondHope }
    for client in clients { client.isDone = true }
    world.run(until: world.now + 4_000_000) { !store.isBeyondHope }
    // An error of the disk that hid an event from the announcer has it announced to nobody.
    if swarm.faults.read_error == 0 { settle(until: end) { [self] in unfinished(.ofSameEpoch) } }
    isClosing = true
    appendLast()
    settle(until: end) { [self] in unfinished(.all) }
    guard world.flaw == nil, !store.isBeyondHope else { return }
    store.auditAll()
    checkRefused()
    store.cutPower(.keepsNone)
    world.run(until: world.now + 2_000_000) { !store.isOpen && !store.isBeyondHope }
    if world.flaw == nil { store.auditAll() }
  }

  /// Goes on until nothing is unfinished any more.
  private func settle(until end: Int64, _ unfinished: () -> String?) {
    while world.flaw == nil, !store.isBeyondHope, world.now < end, unfinished() != nil {
      world.run(until: world.now + 100_000) { !store.isBeyondHope }
    }
    guard world.flaw == nil, !store.isBeyondHope, let reason = unfinished() else { return }
    world.fail("not well in time: \(reason)")
  }

  /// An event at the end of every stream. That a stream was made or deleted is announced to nobody, so who
  /// waits at its name learns of it with the next event: here it comes.
  private func appendLast() {
    var rest = judge.model.timelines.keys.sorted()[...]
    func next() {
      guard let name = rest.first.flatMap({ ChannelName($0) }) else {
        isClosing = false
        return
      }
      let event = NewEvent(payload: Payload(text: "end"))
      if store.take(.append(AppendRequest(to: name, [event], time: 1)) { _ in }) {
        rest.removeFirst()
      }
      world.after(10_000) { next() }
    }
    next()
  }

  /// Whose place is looked at: that a stream was made or deleted is announced to nobody.
  private enum Places { case ofSameEpoch, all }

  /// What is not as it should be yet.
  private func unfinished(_ places: Places) -> String? {
    guard store.isOpen else { return "the store is not open" }
    guard !isClosing else { return "the last events are not taken" }
    guard hub.isUp, gateways.allSatisfy(\.isUp) else { return "a process is down" }
    guard store.announcer.isIdle else { return "announcements wait" }
    for (number, client) in clients.enumerated() {
      guard client.isConnected else { return "client \(number + 1) is not connected" }
      guard client.isQuiet else {
        return "client \(number + 1) does not know what became of an append"
      }
      for (name, place, isBegun) in client.places {
        guard judge.model.timelines[name.text] != nil else { continue }
        guard isBegun, let place else { return "client \(number + 1) has not begun in \(name)" }
        let head = judge.model.timelines[name.text]?.head ?? 0
        if places == .ofSameEpoch, !judge.isLatest(place.epoch, of: name.text) { continue }
        if Int(place.offset.value) != head {
          return "client \(number + 1) is at \(place) of \(name), not \(head)"
        }
        if judge.durable[place.epoch]?.count != head {
          return "client \(number + 1) is in another epoch of \(name)"
        }
      }
    }
    return nil
  }

  /// What was certainly refused is nowhere; and nothing is anywhere twice.
  private func checkRefused() {
    guard judge.losses == 0 else { return }
    var all: Set<String> = []
    for (_, texts) in judge.durable {
      all.formUnion(texts)
      let own = texts.filter { $0 != "end" }
      if swarm.keysKept > 60_000, swarm.clockJumpEvery == 0, Set(own).count != own.count {
        world.fail("an append stands twice in one stream")
      }
    }
    for client in clients {
      for entry in client.refused
      where all.contains(entry.text) && judge.deletions[entry.name, default: 0] == entry.deletions
        && swarm.keysKept > 60_000 && swarm.clockJumpEvery == 0
      {
        world.fail("\(entry.text) was refused and stands in \(entry.name)")
      }
    }
  }
}
