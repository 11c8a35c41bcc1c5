import ChannelKit

/// The example of ChannelType's header, word for word, so that it stays one that compiles and works.
struct CounterChannel: ChannelType {
  static let name = "counter"
  static let state = StateUse.folded
  static let history = HistoryRequirement.kept
  private let step: UInt64
  private var total: UInt64 = 0

  init(channel: ChannelName, options: inout ChannelOptions) throws(ChannelOptionsError) {
    step = UInt64(try options.int("step", in: 1...1_000) ?? 1)
  }

  func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) throws(ChannelError) {
    guard event.payload == Payload(text: "bump") else {
      throw .invalidPayload("a counter takes only bump")
    }
    effects.publish(event.payload)
  }

  mutating func apply(_ publication: Publication) { total &+= step }

  func snapshot() -> [Payload] { [Payload(text: String(total))] }
}
