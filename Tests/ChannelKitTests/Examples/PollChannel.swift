public import ChannelKit

/// A vote: each signed-in user votes once, and everyone sees the votes come in.
public struct PollChannel: ChannelType {
  public static let name = "poll"
  public static let state = StateUse.folded
  public static let history = HistoryRequirement.kept

  private let choices: [String]
  private var votes: [UserID: String] = [:]

  public init(channel: ChannelName, options: inout ChannelOptions) throws(ChannelOptionsError) {
    choices = try options.texts("choices") ?? ["yes", "no"]
  }

  public func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) throws(ChannelError) {
    guard let choice = choice(in: event.payload) else {
      throw .invalidPayload("vote for one of \(choices.joined(separator: ", "))")
    }
    guard let user = client.user else { throw .notPermitted("sign in to vote") }
    guard votes[user] == nil else { throw .alreadyExists("you have voted") }
    guard votes.count < 100_000 else { throw .limitReached("the poll is full") }
    effects.publish(Payload(text: choice), expecting: .unchanged)
    effects.reply(Payload(text: "counted"))
  }

  public mutating func apply(_ publication: Publication) {
    guard let user = publication.user, let choice = choice(in: publication.payload) else { return }
    votes[user] = choice
  }

  public func snapshot() -> [Payload] {
    choices.map { choice in
      Payload(text: "\(choice): \(votes.values.count { $0 == choice })")
    }
  }

  private func choice(in payload: Payload) -> String? {
    choices.first { [UInt8]($0.utf8) == payload.bytes }
  }
}
