internal import Bytes
internal import Wire

/// How clients are let go when the gateway stops: each is given what there is for it, and told when to
/// come back and where it then stands.
extension ClientSession {
  func drain() {
    let afterMs = ServerMessage.comeBackMs
    for subscription in subscriptions { subscription.channel.flushGathered() }
    // A client that is slow may not get to the end of what waits before its time is over.
    if hasOutbox { tell(.reconnect(afterMs: afterMs, since: nil)) }
    commitLast(all: true)
    tell(.reconnect(afterMs: afterMs, since: placeText))
    carrier?.end(.draining)
  }

  /// Where the client stands once it has all that was given to its carrier, as `since` of its door
  /// takes it.
  private var placeText: String? {
    let places = subscriptions.map { ($0.channel.name, $0.place) }
    if case .oneChannel = door.style { return places.first?.1.text }
    return StreamPlaces(places).idText
  }
}

extension ServerMessage {
  /// Spread, so that they don't all come at once to whoever is left.
  static var comeBackMs: Int { Int.random(in: 100...5000) }
}

extension Subscription {
  /// Where its client stands once it has all that was given to its carrier.
  var place: Since {
    switch state {
    case .waiting(let since): since
    case .replaying(let replay), .parked(let replay): replay.place
    case .live: channel.place
    case .ended: .now
    }
  }
}

extension Subscription.Replay {
  /// Behind what was delivered. A place of which no page has told the epoch yet is as it was named.
  var place: Subscription.Since {
    if let epoch { return .position(Position(epoch: epoch, offset: delivered)) }
    if let tag { return .abbreviated(tag, delivered) }
    return takesWhatIsKept ? .start : .empty
  }
}
