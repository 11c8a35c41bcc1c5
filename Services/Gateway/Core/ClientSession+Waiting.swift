internal import Loop
internal import Observe
internal import Platform

/// What waits for a client that takes less than there is for it, and how it comes to the rest.
///
/// While something waits there is a `ClientOutbox`; channels that are left to their histories are read
/// on once there is room. A client that keeps up has neither.
extension ClientSession {
  var hasOutbox: Bool { outbox != nil }
  /// Bytes of answers and other control messages that wait.
  var waitingControlBytes: Int { outbox?.bytes(upTo: .control) ?? 0 }
  var waitingPinnedBytes: Int { outbox?.pinnedBytes ?? 0 }
  /// Bytes that wait, without what the carrier has.
  var waitingBytes: Int { outbox?.bytes ?? 0 }

  /// What waits here, and what the carrier has.
  var carriedBytes: Int { waitingBytes + (carrier?.queuedBytes ?? 0) }

  /// Whether more than a window stands before what is sent now.
  var holdsBack: Bool {
    if outbox != nil { return true }
    guard let carrier, !carrier.isOneAnswer else { return false }
    return carrier.queuedBytes >= Stream.windowBytes
  }

  /// Keeps publications of which the stream has taken the first `sent` bytes.
  func hold(_ publications: EncodedPublications, from sent: Int, of subscription: Subscription) {
    withOutbox { $0.hold(publications, from: sent, of: subscription) }
  }

  /// Keeps publications of a replay, or one of a snapshot or an answer.
  func hold(alone publications: EncodedPublications, of subscription: Subscription) {
    var parcel = publications.parcel(
      0..<publications.count, 0..<publications.bytes.count, since: gateway.loop.now)
    // What the history doesn't have can't be left out.
    if publications.first == nil { parcel.count = 0 }
    withOutbox { $0.hold(parcel, of: subscription) }
  }

  /// What waits of a channel is what its client still gets, come what may: it has been told that it goes on
  /// from further on.
  func pinWaiting(of subscription: Subscription) { outbox?.pin(subscription) }

  private func withOutbox(_ body: (ClientOutbox) -> Void) {
    guard !isOver, let carrier else { return }
    if let outbox { return body(outbox) }
    let made = ClientOutbox(self, carrier)
    outbox = made
    body(made)
    guard !made.isEmpty, !isOver else { return dropOutbox() }
    gateway.metrics.slow.clients[.buffer].add()
    carrier.tellWhenEmpty()
  }

  func dropOutbox() {
    outbox?.end()
    outbox = nil
  }

  /// A channel of the client's was left to its history: it is to be read on once there is room.
  func hasParked() {
    hasParkedChannels = true
    carrier?.tellWhenEmpty()
  }

  /// Reads on for channels that were left to their histories, once what waits of theirs and of more
  /// urgent ones is little.
  private func resumeParked() {
    guard hasParkedChannels else { return }
    hasParkedChannels = false
    for subscription in subscriptions {
      guard case .parked = subscription.state else { continue }
      let lane = subscription.channel.policy.lane
      if (outbox?.bytes(upTo: lane) ?? 0) < queueBytesMax / 4 {
        subscription.channel.resume(subscription)
      } else {
        hasParkedChannels = true
      }
    }
  }

  /// Commits what the client still gets before it is let go: all that waits, or only answers.
  func commitLast(all: Bool) {
    outbox?.commitLast(all: all)
    dropOutbox()
  }

  /// Nobody will take it any more.
  func forgetWaiting() { dropOutbox() }

  /// Something waits for the client, or it has to catch up.
  var isBehind: Bool { outbox != nil || hasParkedChannels }

  /// Once a second: lets a client go that has been behind for longer than a channel's rule has
  /// patience.
  func checkPatience(_ now: Instant) {
    guard isBehind else { return }
    for subscription in subscriptions {
      guard let since = subscription.behindSince,
        let patience = subscription.channel.slow.patience, now.since(since) >= patience
      else { continue }
      gateway.metrics.slow.clients[.disconnect].add()
      return cutOff()
    }
  }

  /// Bytes of one page of a history, beside what is queued already: what is published meanwhile
  /// still has its room, as has the page before it where that is still to be sent. Where there is one
  /// answer its channels share it.
  var pageBytes: Int {
    let parts = carrier?.isOneAnswer == true ? 2 * max(1, subscriptions.count) : 4
    let free = queueBytesMax - waitingBytes
    return min(LocalChannel.pageBytes, max(16 * 1024, free / parts))
  }

  /// Whether another page fits into what may wait for the client: what is less urgent does not count.
  /// If not, `drained` is called once it has taken what it was sent.
  func hasRoomForPage(_ subscription: Subscription) -> Bool {
    guard let carrier, !carrier.isClosing, carrier.takesPages else { return false }
    let waiting = outbox?.bytes(upTo: subscription.channel.policy.lane) ?? 0
    if carrier.queuedBytes + waiting < queueBytesMax / 4 { return true }
    carrier.tellWhenEmpty()
    return false
  }

  /// The carrier's queue is empty after it had been full.
  func drained() {
    if let outbox {
      outbox.refill()
      if outbox.isEmpty { dropOutbox() }
    }
    gateway.drained(self)
    resumeParked()
    guard outbox == nil else { return }
    for subscription in subscriptions {
      subscription.relieved()
      gateway.presence.caughtUp(subscription)
      subscription.channel.advance(subscription)
    }
  }
}
