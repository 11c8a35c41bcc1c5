internal import Bytes
internal import ChannelKit
internal import Config
internal import Identity
internal import Loop
internal import Wire

/// What a client looks at without subscribing: a channel's history, and who is there.
extension ClientSession {
  /// BUDGET: looks under way at a time; each may bring a page.
  private static let looksMax = 8

  struct HistoryRange {
    var since: Position?
    /// Nil: as many as one answer may have.
    var limit: UInt32?
    var isReverse = false
  }

  /// Reads a page of a channel's history, from behind `since` on.
  func history(
    _ channel: String, _ range: HistoryRange,
    _ completion: @escaping (Result<EventPage, Refusal>) -> Void
  ) {
    do throws(Refusal) {
      let (name, policy) = try look(at: channel, .history)
      guard policy.history != .none else { throw .noHistory }
      let most = UInt32(clamping: gateway.settings.pageMax)
      looks += 1
      gateway.readHistory(
        name, policy, after: range.since?.offset ?? .zero, count: min(range.limit ?? most, most),
        bytes: UInt32(clamping: pageBytes), isReverse: range.isReverse
      ) { [self] result in
        looks -= 1
        completion(result.mapError { Refusal($0) }.flatMap { Self.checked($0, range) })
      }
    } catch { completion(.failure(error)) }
  }

  private static func checked(
    _ page: EventPage, _ range: HistoryRange
  ) -> Result<EventPage, Refusal> {
    guard let since = range.since else { return .success(page) }
    let isGone =
      page.epoch != since.epoch || !range.isReverse && since.offset < page.floor
      || since.offset > page.head
    return isGone ? .failure(.unrecoverable) : .success(page)
  }

  /// BUDGET: members in one answer; the total says how many there are.
  private static let membersMax: UInt32 = 1_000

  /// Who is in a channel.
  func presence(
    _ channel: String, _ completion: @escaping (Result<PresenceList, Refusal>) -> Void
  ) {
    do throws(Refusal) {
      let (name, _) = try look(at: channel, .presence)
      guard let link = gateway.presence.linkToAsk() else { throw .unavailable }
      looks += 1
      let request = ReadPresence(
        remainingMs: gateway.settings.publishMaxMs, channel: name, count: Self.membersMax)
      gateway.ask(link, request, expecting: PresenceList.self) { [self] result in
        looks -= 1
        completion(result)
      }
    } catch { completion(.failure(error)) }
  }

  /// The channel, if the client may look at it in that way now.
  private func look(
    at text: String, _ right: Rights
  ) throws(Refusal) -> (ChannelName, ChannelPolicy) {
    if let refusal = asksTooOften(subscribes: false) { throw refusal }
    guard looks < Self.looksMax else { throw .overloaded }
    guard let name = ChannelName(text) else { throw .unknownChannel(text) }
    guard let policy = gateway.settings.policy(name) else {
      throw name.isReserved ? .permissionDenied : .unknownChannel(name)
    }
    let isGranted = subscriptions.first { $0.channel.name == name }?.grant != nil
    guard standing.may(right, name, policy, gateway.settings.access, isGranted: isGranted) else {
      throw .permissionDenied
    }
    return (name, policy)
  }
}
