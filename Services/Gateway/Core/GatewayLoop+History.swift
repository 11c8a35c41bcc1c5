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

  /// As `readHistory`, for who makes something else of the events at once: they stand in the bytes that
  /// `completion` is given.
  func readOutline(
    _ channel: LocalChannel, after: Offset, count: UInt32, bytes: UInt32,
    _ completion: @escaping (Result<OutlinedPage, Failure>, borrowing Span<UInt8>) -> Void
  ) {
    let isDurable = channel.policy.isDurable
    guard let service = isDurable ? upstreams.eventstore : upstreams.hub else {
      return loop.atTurnEnd { completion(.failure(Failure(.unavailable)), [UInt8]().span) }
    }
    let (limit, limitMs) = (settings.publishMax, settings.publishMaxMs)
    let kind = isDurable ? StreamPage.kind : HistoryPage.kind
    let read = { [metrics] (outcome: RequestOutcome, body: borrowing Span<UInt8>) in
      let page = Self.outline(outcome, kind, body)
      if case .failure(let failure) = page { metrics.limits.reached(failure) }
      completion(page, body)
    }
    if isDurable {
      let request = ReadStream(
        remainingMs: limitMs, stream: channel.name, after: after, count: count, bytes: bytes,
        isReverse: false)
      service.request(request, within: limit, read)
    } else {
      let request = ReadHistory(
        remainingMs: limitMs, name: channel.name, after: after, count: count, bytes: bytes)
      service.request(request, within: limit, read)
    }
  }

  private static func outline(
    _ outcome: RequestOutcome, _ kind: Kind, _ body: borrowing Span<UInt8>
  ) -> Result<OutlinedPage, Failure> {
    if case .replied(let replied) = outcome, replied == kind {
      do throws(ByteError) {
        return .success(try OutlinedPage(body: body))
      } catch { return .failure(Failure(.badFrame)) }
    }
    let instead: Result<Failure, Failure> = Link.reply(outcome, body)
    switch instead {
    case .success(let failure), .failure(let failure): return .failure(failure)
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
