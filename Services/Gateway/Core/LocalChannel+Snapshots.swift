internal import Bytes
internal import ChannelKit
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// Snapshots of a folded channel at the store: it begins from the latest and applies what follows, and
/// writes another where much has followed.
///
/// All loops of all gateways may write; each looks first whether another has, and the store refuses
/// what reaches no further than what it has. So most are written once.
extension LocalChannel {
  /// Which fold this is: its type, and what the rule's options make of it.
  var fold: FoldName? {
    guard isDurable, let plugin, plugin.traits.state == .folded else { return nil }
    return FoldName(of: policy, plugin.traits)
  }

  private var snapshotStore: Link? {
    guard let store = gateway.upstreams.eventstore, store.peer?.knowsSnapshots ?? false else {
      return nil
    }
    return store
  }

  /// Whether the state that is about to be built may begin from a snapshot: looked for once, before
  /// the history is read.
  ///
  /// - Parameters:
  ///   - number: of the fetch that this belongs to. It goes on by itself, from `position`.
  ///   - missing: called where there is none.
  func beginsFromSnapshot(_ number: UInt64, orElse missing: @escaping () -> Void) -> Bool {
    guard let fold, !folding.hasLooked else { return false }
    folding.began(at: gateway.loop.now)
    guard let store = snapshotStore, plugin?.checkpoint() != nil else { return false }
    isFetching = true
    let request = ReadSnapshot(
      remainingMs: gateway.settings.publishMaxMs, stream: name, fold: fold, at: nil,
      wantsState: true)
    store.request(request, expecting: SnapshotFound.self, within: gateway.settings.publishMax) {
      [self] result in
      guard number == fetchNumber, phase == .catchingUp else { return }
      isFetching = false
      switch result {
      case .success(let found): if !isRestored(found) { missing() }
      // The history may have all of it; but where it was trimmed, it has not.
      case .failure(let failure)
      where failure.code.isPassing && fetchFailures < Self.looksMax: return retryFetch()
      case .failure: missing()
      }
      folding.hasLooked = true
      fetch()
    }
    return true
  }

  /// How often a snapshot is asked for while the store can't answer.
  private static let looksMax = 5

  /// Goes on behind the floor of a history that was trimmed: what a state follows from is gone in
  /// part, unless a snapshot has it.
  func foldOn(from floor: Offset, looksAgain: Bool) {
    if plugin?.traits.state == .folded {
      let missing = { [self] in
        tellOfMissing(through: floor)
        plugin?.begins(after: floor)
      }
      if looksAgain { folding.hasLooked = false }
      fetchNumber &+= 1
      if looksAgain, beginsFromSnapshot(fetchNumber, orElse: missing) { return }
      missing()
    }
    fetch()
  }

  /// Takes a snapshot's state over, and its place in the history.
  private func isRestored(_ found: SnapshotFound) -> Bool {
    guard let epoch = found.epoch, crc32c(found.state) == found.crc else {
      passOver(found, "it is damaged")
      return false
    }
    gateway.rebuildPlugin(self)
    do throws(ChannelError) {
      try plugin?.restore(found.state)
    } catch {
      gateway.rebuildPlugin(self)
      passOver(found, error.description)
      return false
    }
    if position == nil { historyBegins(epoch) }
    position = Position(epoch: epoch, offset: found.offset)
    isHeadKnown = true
    folding.knows(0)
    gateway.metrics.folds.snapshots[.restored].add()
    return true
  }

  private func passOver(_ found: SnapshotFound, _ reason: String) {
    gateway.metrics.folds.snapshots[.refused].add()
    gateway.logger.warning(
      "a snapshot of a channel's state was passed over",
      [
        "channel": .text(name.text), "offset": .text(found.offset.description),
        "reason": .text(reason),
      ])
  }

  /// What the state of a folded channel follows from is gone in part, and no snapshot has it.
  private func tellOfMissing(through floor: Offset) {
    gateway.logger.error(
      "a channel's state is not whole: what it follows from was removed, and there is no snapshot",
      ["channel": .text(name.text), "through": .text(floor.description)])
  }

  /// An event was applied to the state.
  func noteFolded() {
    folding.note()
    if folding.isDue, phase == .live { keepSnapshotLater() }
  }

  /// The state is that of the history's head.
  func stateIsBuilt() {
    if let began = folding.began {
      let took = gateway.loop.now.since(began)
      folding.began = nil
      gateway.metrics.folds.folded.add(UInt64(clamping: folding.built))
      gateway.metrics.folds.seconds.record(took)
      if folding.built >= Folding.eventsBetween {
        gateway.logger.info(
          "a channel's state was built",
          [
            "channel": .text(name.text), "events": .count(folding.built), "took": .duration(took),
            "per_second": .double((Double(folding.built) / max(took.inSeconds, 1e-6)).rounded()),
          ])
      }
    }
    if folding.isDue { keepSnapshotLater() }
  }

  // MARK: writing

  /// After a moment that is another one on each loop, so that the first has written before the others
  /// look.
  private func keepSnapshotLater() {
    guard fold != nil else { return }
    folding.isKeeping = true
    gateway.loop.after(.milliseconds(Int64.random(in: 1...500))) { [self] in lookBeforeKeeping() }
  }

  private func lookBeforeKeeping() {
    guard phase == .live, let fold, let store = snapshotStore, !gateway.isKeepingSnapshot else {
      return putOff()
    }
    let request = ReadSnapshot(
      remainingMs: gateway.settings.publishMaxMs, stream: name, fold: fold, at: nil,
      wantsState: false)
    gateway.isKeepingSnapshot = true
    store.request(request, expecting: SnapshotFound.self, within: gateway.settings.publishMax) {
      [self] result in
      gateway.isKeepingSnapshot = false
      switch result {
      case .success(let found) where isRecent(found):
        folding.isKeeping = false
        gateway.metrics.folds.snapshots[.found].add()
      case .failure(let failure) where failure.code != .notFound: putOff()
      default: keepSnapshot(fold, store)
      }
    }
  }

  private func isRecent(_ found: SnapshotFound) -> Bool {
    guard let position, found.epoch == position.epoch else { return false }
    folding.knows(
      position.offset > found.offset ? position.offset.value - found.offset.value : 0)
    return folding.applied < Folding.eventsBetween
  }

  private func keepSnapshot(_ fold: FoldName, _ store: Link) {
    guard phase == .live, let at = position, let state = plugin?.checkpoint(),
      state.count <= Limits.snapshotBytesMax
    else {
      folding.isKeeping = false
      guard phase == .live else { return }
      folding.isGivenUp = true
      if plugin?.checkpoint() != nil {
        gateway.logger.warning(
          "a channel's state is too large for a snapshot", ["channel": .text(name.text)])
      }
      return
    }
    let before = folding.applied
    let request = PutSnapshot(
      remainingMs: gateway.settings.publishMaxMs, stream: name, fold: fold, epoch: at.epoch,
      offset: at.offset, crc: crc32c(state), state: state)
    gateway.isKeepingSnapshot = true
    store.request(request, expecting: SnapshotKept.self, within: gateway.settings.publishMax) {
      [self] result in
      gateway.isKeepingSnapshot = false
      folding.isKeeping = false
      folding.knows(UInt64(clamping: max(0, folding.applied - before)))
      switch result {
      case .success(let kept):
        gateway.metrics.folds.snapshots[kept.isNew ? .kept : .found].add()
      case .failure(let failure):
        gateway.metrics.folds.snapshots[.failed].add()
        gateway.logger.debug(
          "a snapshot was not kept",
          ["channel": .text(name.text), "reason": .text(failure.message)])
      }
    }
  }

  /// Something else comes first: looked at again when more was applied, or in a while.
  private func putOff() {
    gateway.loop.after(.seconds(1)) { [self] in
      folding.isKeeping = false
      if phase == .live, folding.isDue { keepSnapshotLater() }
    }
  }
}

extension FoldName {
  /// The fold that a rule makes of its channels.
  init(of policy: ChannelPolicy, _ traits: ChannelTraits) {
    let mark = policy.options.fingerprint.map { "/" + String($0, radix: 16) } ?? ""
    self.init(policy.type + mark, version: traits.foldVersion)
  }
}
