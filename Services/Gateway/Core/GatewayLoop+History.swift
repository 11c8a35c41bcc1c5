internal import Bytes
internal import Link
internal import Loop
internal import Wire

/// Histories, read for channels that catch up and for clients that replay.
extension GatewayLoop {
  /// Reads a channel's history where it is kept: at the event store or at the hub.
  func readHistory(
    _ channel: LocalChannel, after: Offset, count: UInt32, bytes: UInt32, isReverse: Bool = false,
    _ completion: @escaping (Result<EventPage, Failure>) -> Void
  ) {
    readHistory(
      channel.name, channel.policy, after: after, count: count, bytes: bytes,
      isReverse: isReverse, completion)
  }

  func readHistory(
    _ name: ChannelName, _ policy: ChannelPolicy, after: Offset, count: UInt32, bytes: UInt32,
    isReverse: Bool = false, _ completion: @escaping (Result<EventPage, Failure>) -> Void
  ) {
    guard let service = policy.isDurable ? upstreams.eventstore : upstreams.hub else {
      return loop.atTurnEnd { completion(.failure(Failure(.unavailable))) }
    }
    let read = { [metrics] (result: Result<EventPage, Failure>) in
      if case .failure(let failure) = result { metrics.limits.reached(failure) }
      completion(result)
    }
    let (limit, limitMs) = (settings.publishMax, settings.publishMaxMs)
    if policy.isDurable {
      let request = ReadStream(
        remainingMs: limitMs, stream: name, after: after, count: count, bytes: bytes,
        isReverse: isReverse)
      service.request(request, expecting: StreamPage.self, within: limit) { read($0.map(\.page)) }
    } else {
      let request = ReadHistory(
        remainingMs: limitMs, name: name, after: after, count: count, bytes: bytes,
        isReverse: isReverse)
      service.request(request, expecting: HistoryPage.self, within: limit) { read($0.map(\.page)) }
    }
  }

  /// Where clients of such channels wait for their pages.
  func replays(_ policy: ChannelPolicy) -> ReplayReads {
    policy.isDurable ? storeReplays : hubReplays
  }

  /// The client has taken what it was sent.
  func drained(_ session: ClientSession) {
    storeReplays.drained(session)
    hubReplays.drained(session)
  }

  func ended(_ session: ClientSession) {
    storeReplays.ended(session)
    hubReplays.ended(session)
  }
}
