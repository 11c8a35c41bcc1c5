internal import Bytes
internal import ChannelKit
internal import JSON
internal import Loop
internal import Observe
internal import Wire

/// How a channel's publications get to its live subscribers: encoded once for each form that somebody
/// gets, gathered over a turn, and handed to each subscriber by reference when the turn ends.
extension LocalChannel {
  /// Encodes a publication once for each encoding that somebody here gets.
  func gather(_ arrival: Arrival, key: MergeKey? = nil) {
    gateway.metrics.publications.add()
    let key = merges ? key ?? mergeKey(arrival) : nil
    if policy.history != .none, arrival.position == nil { leaveOutOfParked() }
    if policy.history != .none, (arrival.position == nil) == gathersPlaced {
      // So that a chunk stands in the history as a whole, or not at all.
      flushGathered()
      gathersPlaced.toggle()
    }
    if arrival.isForOthers { return deliverToOthers(arrival, key) }
    for index in groups.indices where !groups[index].isEmpty {
      groups[index].append(
        arrival.payload, position: arrival.position, timeMs: arrival.timeMs,
        publisher: arrival.publisher, tags: arrival.tags, prefix: envelopePrefix, key: key,
        merges: merges, spare: gateway.loop.takeSpareBuffer)
    }
    if tailored != nil { gatherTailored(arrival, key) }
    isDirty = true
    markForFlush()
  }

  private func markForFlush() {
    guard !isMarked else { return }
    isMarked = true
    gateway.loop.markDirty(self)
  }

  /// Who is parked reads the history later, and this is not in it.
  private func leaveOutOfParked() {
    for member in parked.values {
      member.dropped &+= 1
      gateway.metrics.dropped.add()
      gateway.metrics.slow.publications[.skip].add()
    }
  }

  /// Everyone but the publisher's own client: what was gathered before goes first.
  private func deliverToOthers(_ arrival: Arrival, _ key: MergeKey?) {
    flushGathered()
    for group in groups where !group.isEmpty {
      var single = SubscriberGroup(like: group)
      single.append(
        arrival.payload, position: arrival.position, timeMs: arrival.timeMs,
        publisher: arrival.publisher, tags: arrival.tags, prefix: envelopePrefix, key: key,
        merges: merges, spare: { [] })
      let publication = single.take()
      for member in group.members {
        if member.session.clientNumber != arrival.publisher.client {
          member.deliver(publication)
        } else if let at = arrival.position {
          spare(member, at.offset)
        }
      }
    }
    gatherTailored(arrival, key)
    flushTailored(without: arrival)
    guard let at = arrival.position else { return }
    for list in [joining, parked] {
      for member in list.values where member.session.clientNumber == arrival.publisher.client {
        own.note(at.offset, by: ObjectIdentifier(member))
      }
    }
  }

  private func gatherTailored(_ arrival: Arrival, _ key: MergeKey?) {
    let deltas = tailored?.append(arrival, key: key, merges: merges) ?? 0
    gateway.metrics.deltas.add(UInt64(deltas))
  }

  /// - Parameter arrival: what was gathered, where its publisher's own client does not get it.
  private func flushTailored(without arrival: Arrival? = nil) {
    let delivered = tailored?.flush(without: arrival?.publisher.client) { member in
      if let at = arrival?.position { spare(member, at.offset) }
    }
    gateway.metrics.deliveries.add(UInt64(delivered ?? 0))
  }

  /// What is gathered goes out now: something follows for one client alone.
  func flushGathered() { if isDirty { deliverGathered() } }

  /// A client was told something that others weren't.
  func rebase(_ subscription: Subscription) { tailored?.rebase(subscription) }

  /// What is not for a live subscriber: it may have to be left to the history with what waits for it.
  private func spare(_ member: Subscription, _ offset: Offset) {
    if member.session.hasOutbox {
      own.note(offset, by: ObjectIdentifier(member))
    } else {
      own.forget(ObjectIdentifier(member))
    }
  }

  /// The end of a turn. Where this loop has published more in it, that is waited for, once: it comes
  /// back from the hub sooner than very many are written to, and then goes out in the same write.
  func flush() {
    isMarked = false
    guard isDirty, waitForMore == nil, publishedAt == gateway.loop.now, subscriberCount >= Self.manyMin
    else { return flushGathered() }
    waitForMore = gateway.loop.after(Self.heldMax) { [weak self] in self?.markForFlush() }
  }

  /// BUDGET: subscribers from which on a write to each takes longer than the way to the hub and back,
  /// and how long is waited at most for what is on that way.
  private static let manyMin = 64
  private static let heldMax = Duration.milliseconds(1)

  /// One write for each subscriber with all that is gathered.
  private func deliverGathered() {
    isDirty = false
    if let waitForMore { gateway.loop.cancel(waitForMore) }
    waitForMore = nil
    for index in groups.indices where groups[index].hasGathered {
      var gathered = groups[index].take()
      // The list is copied by reference: a client that is cut off meanwhile leaves the list.
      let members = groups[index].members
      for member in members { member.deliver(gathered) }
      gateway.metrics.deliveries.add(UInt64(members.count * gathered.count))
      gateway.loop.giveBack(spare: gathered.releaseBytes())
    }
    if tailored != nil { flushTailored() }
  }

  // MARK: what replaces what

  /// By what a publication replaces others for a slow client.
  func mergeKey(_ publication: ChannelKit.Publication) -> MergeKey? {
    switch slow.merge {
    case nil: nil
    case .type: plugin?.mergeKey(of: publication).map { MergeKey($0.utf8) }
    case .publisher: publication.publisher.map { MergeKey($0.text.utf8) }
    case .user: publication.user.map { MergeKey($0.text.utf8) }
    case .member(let name): Self.member(name, of: publication.payload)
    }
  }

  private func mergeKey(_ arrival: Arrival) -> MergeKey? {
    switch slow.merge {
    case .publisher:
      arrival.publisher.client == 0
        ? nil : MergeKey(ClientID(number: arrival.publisher.client).text.utf8)
    case .user: arrival.publisher.user.isEmpty ? nil : MergeKey(arrival.publisher.user.utf8)
    case .member(let name): Self.member(name, of: arrival.payload)
    case .type, nil: nil
    }
  }

  /// What a payload's member says, as it is written; nil where there is none.
  private static func member(_ name: String, of payload: Payload) -> MergeKey? {
    guard payload.kind == .json || payload.kind == .uncheckedText else { return nil }
    do throws(JSONError) {
      var scanner = try JSONScanner(object: payload.bytes.span)
      while let member = try scanner.next(payload.bytes.span) {
        guard member.isKey(name, in: payload.bytes.span) else { continue }
        return MergeKey(copying: payload.bytes.span.extracting(member.value))
      }
    } catch {}
    return nil
  }
}
