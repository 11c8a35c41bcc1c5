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
    if policy.isDurable {
      guard let store = upstreams.eventstore else {
        return loop.atTurnEnd { completion(.failure(Failure(.unavailable))) }
      }
      let request = ReadStream(
        remainingMs: settings.publishMaxMs, stream: name, after: after, count: count, bytes: bytes,
        isReverse: isReverse)
      store.request(request, expecting: StreamPage.self, within: settings.publishMax) { [metrics] in
        if case .failure(let failure) = $0 { metrics.limits.reached(failure) }
        completion($0.map(\.page))
      }
    } else {
      guard let hub = upstreams.hub else {
        return loop.atTurnEnd { completion(.failure(Failure(.unavailable))) }
      }
      let request = ReadHistory(
        remainingMs: settings.publishMaxMs, name: name, after: after, count: count, bytes: bytes,
        isReverse: isReverse)
      hub.request(request, expecting: HistoryPage.self, within: settings.publishMax) { [metrics] in
        if case .failure(let failure) = $0 { metrics.limits.reached(failure) }
        completion($0.map(\.page))
      }
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
