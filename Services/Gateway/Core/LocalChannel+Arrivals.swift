internal import Bytes
internal import ChannelKit
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// What comes to a channel: held, or taken in the order of its offsets, state first.
///
/// A type may have its publications merged: then what came for a key since the last frame is given
/// on once a frame.
extension LocalChannel {
  /// A publication from the hub.
  func received(_ arrival: Arrival) {
    guard phase == .live else { return held.append(arrival) }
    guard let at = arrival.position else { return apply(arrival) }
    guard let position else {
      // An empty history begins with 1; a channel without one has no offsets at all.
      if policy.history == .none || at.offset.value == 1 { return apply(arrival) }
      held.append(arrival)
      return catchUp()
    }
    guard at.epoch == position.epoch else {
      held.append(arrival)
      return catchUp()
    }
    if at.offset == position.offset.next { return apply(arrival) }
    guard at.offset > position.offset else { return }
    held.append(arrival)
    catchUp()
  }

  /// Whether publications are nobody's here, neither now nor for later.
  var isUnheard: Bool {
    phase == .live && plugin == nil && joining.isEmpty && parked.isEmpty && awaitingCount == 0
      && tailored == nil && !isDirty && !groups.contains { !$0.isEmpty }
  }

  /// Takes note of an unheard channel's next publication; false where it isn't the next.
  func notes(_ at: Position?) -> Bool {
    if let at {
      guard let position, at.epoch == position.epoch, at.offset == position.offset.next else {
        return false
      }
      self.position = at
    } else if policy.history != .none || position != nil {
      return false
    }
    gateway.metrics.publications.add()
    return true
  }

  /// Takes the next publication in order: state first, then the subscribers.
  func apply(_ arrival: Arrival) {
    if let at = arrival.position {
      if position == nil { historyBegins(at.epoch) }
      position = at
    }
    if !joining.isEmpty { recent.append(arrival) }
    if plugin != nil { applyToPlugin(arrival) } else { gather(arrival) }
    if awaitingCount > 0 { promoteThoseAhead() }
  }

  /// Something stands in the history that was empty: whoever goes by its epoch learns that before
  /// anything of it comes.
  func historyBegins(_ epoch: Epoch) {
    forEachLive { $0.session.carrier?.historyBegins(epoch, of: $0) }
  }

  private func applyToPlugin(_ arrival: Arrival) {
    let publication = ChannelKit.Publication(arrival)
    plugin?.apply(publication)
    if arrival.position != nil { noteFolded() }
    decisions?.channelChanged(self)
    if merging != nil, let key = plugin?.mergeKey(of: publication) {
      merging?.keep(publication, key: key)
      scheduleMerge()
    } else {
      gather(arrival)
    }
  }

  // MARK: merging

  private func scheduleMerge() {
    guard mergeTimer == nil, let dueNs = merging?.dueNs else { return }
    mergeTimer = gateway.loop.at(Instant(nanoseconds: dueNs)) { [self] in merge() }
  }

  private func merge() {
    mergeTimer = nil
    let latest = merging?.takeFrame(atNs: gateway.loop.now.nanoseconds) ?? []
    if !latest.isEmpty {
      let payloads = plugin?.frame(latest) ?? []
      // A frame that is one message for many has no key.
      let isEach = payloads.count == latest.count
      for (index, payload) in payloads.enumerated() {
        gather(
          Arrival(
            position: nil, timeMs: gateway.loop.wallMilliseconds, publisher: Publisher(),
            payload: payload), key: isEach ? mergeKey(latest[index]) : nil)
      }
    }
    scheduleMerge()
  }
}
