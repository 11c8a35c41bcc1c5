internal import CSimulatedDisk
internal import EventStoreCore
internal import StoreSimulation
internal import Synchronization

/// How a store begins and ends, in whatever way, and what has to be there each time.
extension StoreHost {
  func open() {
    guard store == nil, !isBeyondHope else { return }
    generation += 1
    opens += 1
    var options = swarm.storeOptions
    options.disk = disk
    options.entropy = StoreEntropy { [entropy = Entropy(seed: world.random.next())] in
      entropy.next()
    }
    do throws(StoreFailure) {
      let opened = try open(options)
      try opened.proveWriting(at: instant)
      let reader = try StoreReader(of: opened)
      guard !disk.isOff else { return fell("the power went while opening") }
      store = opened
      self.reader = reader
    } catch {
      return openingFailed(error)
    }
    world.note("opened", Int(position), opens)
    guard let reader else { return }
    disk.setFaults(sd_faults())
    if isDamaged, wasAccepted, judge.hasNewEpochs(reader) {
      guard judge.openedAfterLoss(reader) else {
        isBeyondHope = true
        return world.note("beyond hope")
      }
    } else {
      judge.opened(reader, by: "the store that was opened")
    }
    isDamaged = false
    wasAccepted = false
    if !world.isHealed { disk.setFaults(swarm.faults) }
    announcer.opened(store?.announced ?? 0)
    poke()
  }

  /// SQLite takes a device's error for damage, which is gone at the next try.
  var mayMisread: Bool { swarm.faults.read_error > 0 && !world.isHealed }

  private func open(_ options: EventStore.Options) throws(StoreFailure) -> EventStore {
    do throws(StoreFailure) {
      return try EventStore(directory: Self.directory, options: options, now: instant)
    } catch {
      guard case .behindHeadMark(let refusal) = error else { throw error }
      guard isDamaged else {
        world.fail("refused without need: \(refusal)")
        throw error
      }
      world.note("accepting a loss", text: "\(refusal)")
      // For good, even if this opening fails for another reason.
      wasAccepted = true
      var accepting = options
      accepting.loss = .acceptWithNewEpochs
      return try EventStore(directory: Self.directory, options: accepting, now: instant)
    }
  }

  private func openingFailed(_ failure: StoreFailure) {
    world.note("not opened", text: failure.description)
    if case .damaged = failure, !mayMisread {
      guard isDamaged else { return world.fail("\(failure)") }
      isBeyondHope = true
      return
    }
    if case .inUse = failure { world.fail("\(failure)") }
    fell("opening: \(failure)")
  }

  // MARK: ends

  /// The process ends without a word, by a kill or because it has to.
  func fell(_ reason: String, after delay: Int64? = nil) {
    if disk.isOff {
      bootedAt = world.now
      disk.powerOn()
    } else {
      // Nobody closes the files of a process that is gone.
      disk.crash(.process)
    }
    gone(reason)
    world.after(delay ?? world.between(1_000...600_000)) { [self] in open() }
  }

  /// Power fails now.
  func cutPower(_ mode: sd_crash_mode) {
    disk.crash(mode)
    bootedAt = world.now
    gone("power cut")
    world.after(world.between(1_000...800_000)) { [self] in open() }
  }

  /// A clean end: what was taken is finished, and everything settled.
  func stop() {
    while store != nil, !jobs.isEmpty { turn() }
    guard let store else { return }
    do throws(StoreFailure) {
      try store.settle(at: instant)
    } catch { return fell("stopping: \(error)") }
    if disk.isOff { return fell("power went while stopping") }
    reader = nil
    self.store = nil
    gone("stopped")
    world.after(world.between(1_000...300_000)) { [self] in open() }
  }

  private func gone(_ reason: String) {
    world.note("store ends", text: "\(reason); \(files)")
    generation += 1
    reader = nil
    store = nil
    jobs = []
    readsWaiting = 0
    confirmed = nil
    announcer.closed()
    let cut = links
    links = []
    for link in cut { link.cut() }
  }

  /// Damages the log of a store that is down.
  func damageLog() {
    let log = "\(Self.directory)/events.sqlite-wal"
    let bytes = disk.peekBytes(log)
    guard store == nil, bytes > 8_192 else { return }
    isDamaged = disk.flip(log, bit: UInt64(world.between(0...(bytes * 8 - 1))))
    world.note("log damaged", isDamaged ? 1 : 0)
  }

  func pause(_ microseconds: Int64) {
    pausedUntil = world.now + microseconds
    world.note("store pauses", Int(microseconds))
  }
}

/// Random bits of one process of the store.
private final class Entropy: Sendable {
  private let seed: UInt64
  private let drawn = Atomic<UInt64>(0)
  init(seed: UInt64) { self.seed = seed }

  func next() -> UInt64 {
    let count = drawn.add(1, ordering: .relaxed).newValue
    var word = (seed ^ count &* 0x9E37_79B9_7F4A_7C15) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 31) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 29
  }
}
