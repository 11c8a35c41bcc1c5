internal import Link
internal import Observe
internal import Wire

// Requests of clients that another gateway holds the session of: from one gateway's link to the other's.
// The hub reads where they go and nothing else.

extension HubService {
  func takeRelays(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError)
  {
    let lane = try TakeRelays(body: body).lane
    guard let peer = link.peer, peer.role == .gateway else {
      return link.fail(header, .roleForbidden)
    }
    if !relays.take(RelayPlace(gateway: peer.instance, lane: lane), by: link.tag) {
      link.fail(header, .limitReached)
    }
  }

  /// Passes a relay on, and its answer back: whatever happens, the asker gets one.
  func relay(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>) throws(FrameError) {
    var relay = try Relay(body: body)
    guard link.peer?.role == .gateway else { return link.fail(header, .roleForbidden) }
    guard let target = relays.link(to: relay.place), let other = links[target] else {
      return link.fail(header, .notFound, "no such gateway is linked to this hub")
    }
    let number = relay.number
    guard let onward = relays.begin(number, of: link.tag, to: target) else {
      return link.fail(header, .overloaded)
    }
    metrics.relays.add()
    relay.number = onward
    other.request(relay, expecting: Relayed.self, within: .milliseconds(Int64(relay.remainingMs))) {
      [self] result in
      relays.end(number, of: link.tag, as: onward)
      switch result {
      case .success(let answer): link.reply(answer, to: header.correlation)
      case .failure(let failure):
        if failure.code == .deadlineExceeded { other.send(EndRelay(number: onward, why: .gone)) }
        link.reply(failure, to: header.correlation)
      }
    }
  }

  func endRelay(_ link: Link, _ body: borrowing Span<UInt8>) throws(FrameError) {
    let end = try EndRelay(body: body)
    // One that was answered meanwhile is no news.
    guard let onward = relays.onward(end.number, of: link.tag) else { return }
    links[onward.link]?.send(EndRelay(number: onward.number, why: end.why))
  }

  /// What a link that is gone has asked for is wanted by nobody.
  func endRelays(of link: Link) {
    for onward in relays.remove(link.tag) {
      links[onward.link]?.send(EndRelay(number: onward.number, why: .gone))
    }
  }
}
