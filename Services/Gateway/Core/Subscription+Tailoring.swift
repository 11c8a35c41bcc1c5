internal import Bytes
internal import Loop

/// Publications for one client that has a filter or gets deltas.
extension Subscription {
  /// One of its replay, a snapshot or an answer: whole, and known to be the one before the next.
  func send(tailored arrival: Arrival, _ tailoring: Tailoring) {
    guard tailoring.admits(arrival) else {
      if let position = arrival.position { session.carrier?.passes(position, of: self) }
      return
    }
    if isLive { channel.flushGathered() }
    if session.carrier?.gathers(arrival, of: self) == true {
      tailoring.base = DeltaBase(arrival)
      return
    }
    var bytes: [UInt8] = []
    encoding.append(
      arrival, asDelta: tailoring.isDelta, prefix: channel.envelopePrefix, to: &bytes)
    // What waits may be left out yet.
    tailoring.base = sendAlone(bytes, arrival.position) ? DeltaBase(arrival) : nil
    if isLive { channel.rebase(self) }
  }

  /// Gives publications to the client's stream as a whole, which keeps what the client doesn't take
  /// yet, or not at all, where something else waits for the client or it has enough.
  func deliverAtOnce(_ publications: EncodedPublications) -> Bool {
    guard let carrier = session.carrier, !session.hasOutbox, !carrier.isBlocked else { return false }
    let queued = carrier.queuedBytes
    let most = queued == 0 ? DeltaMaking.payloadBytesMax : Stream.windowBytes - queued
    guard publications.bytes.count <= most else { return false }
    guard let stream = directStream else {
      carrier.deliver(publications, of: self)
      return true
    }
    guard !stream.withholds else { return false }
    stream.sendShared(publications.bytes)
    return true
  }
}
