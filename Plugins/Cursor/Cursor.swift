public import ChannelKit

/// Where everyone points: the latest position of each user, merged at a frame rate (S001-04).
///
/// Holds the latest message of each user that this loop has seen, for newcomers. Soft state: it
/// decides nothing but who may use a name that nobody has confirmed.
public struct CursorChannel: ChannelType {
  public static let name = "cursor"
  public static let state = StateUse.soft
  public static let history = HistoryRequirement.none

  public let delivery: Delivery
  private let isListed: Bool
  private let usersMax: Int
  private var latest: [String: Entry] = [:]
  private var applied: UInt64 = 0

  private struct Entry {
    let payload: Payload
    let publisher: ClientID?
    /// Whether the gateway knew the user, or the API vouched for it.
    let isConfirmed: Bool
    /// `applied` when this was: gives the order, and who has been silent longest.
    let turn: UInt64
  }

  public init(channel: ChannelName, options: inout ChannelOptions) throws(ChannelOptionsError) {
    delivery = .latestPerKey(
      framesPerSecond: try options.int("framesPerSecond", in: 1...120) ?? 30)
    isListed = try options.choice("frame", of: ["each", "list"]) == "list"
    usersMax = try options.int("maxUsers", in: 1...10_000) ?? 1_000
  }

  /// Publishes the position under the user that the gateway knows, else under the one it claims.
  public func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) throws(ChannelError) {
    let move = try CursorMove(reading: event.payload)
    let user = try user(of: client, claimed: move.user)
    effects.publish(PublishEffect(move.payload(for: user), priority: .low))
  }

  /// Tells the others that a user's cursor is gone, if no other connection of it moved since.
  public func left(_ client: ClientContext, _ effects: inout Effects) {
    // One user as a rule; an anonymous client may have claimed more names than effects allow.
    let users = latest.filter { $0.value.publisher == client.id }.keys.sorted()
    for user in users.prefix(Effects.countMax) { effects.publish(CursorMove.leave(of: user)) }
  }

  public mutating func apply(_ publication: Publication) {
    guard let user = CursorMove.user(in: publication.payload) else { return }
    applied &+= 1
    if publication.payload == CursorMove.leave(of: user) {
      latest[user] = nil
      return
    }
    if latest[user] == nil, latest.count >= usersMax { forgetTheMostSilent() }
    latest[user] = Entry(
      payload: publication.payload, publisher: publication.publisher,
      isConfirmed: publication.user != nil || publication.publisher == nil, turn: applied)
  }

  public func snapshot() -> [Payload] {
    let payloads = latest.values.sorted { $0.turn < $1.turn }.map(\.payload)
    return messages(payloads)
  }

  public func mergeKey(of publication: Publication) -> String? {
    CursorMove.user(in: publication.payload)
  }

  public func frame(_ latest: [Publication]) -> [Payload] { messages(latest.map(\.payload)) }

  private func messages(_ payloads: [Payload]) -> [Payload] {
    isListed && !payloads.isEmpty ? [CursorMove.list(payloads)] : payloads
  }

  /// A confirmed user is never anyone else; an anonymous client may call itself anything but what a
  /// confirmed user is called.
  private func user(of client: ClientContext, claimed: String?) throws(ChannelError) -> String {
    if let user = client.user { return user.text }
    guard let claimed else {
      guard let id = client.id else { throw .invalidPayload("userId is missing") }
      return id.text
    }
    if let entry = latest[claimed], entry.isConfirmed, !client.isAPI {
      throw .notPermitted("userId belongs to a user who has signed in")
    }
    return claimed
  }

  private mutating func forgetTheMostSilent() {
    guard let oldest = latest.min(by: { $0.value.turn < $1.value.turn }) else { return }
    latest[oldest.key] = nil
  }
}
