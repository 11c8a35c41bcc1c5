public import ChannelKit

/// A channel that counts "bump" events and shows every client the total.
public struct CounterChannel: ChannelType {
  public static let name = "counter"
  public static let state = StateUse.folded
  public static let history = HistoryRequirement.kept
  private let step: UInt64
  private var total: UInt64 = 0

  public init(channel: ChannelName, options: inout ChannelOptions)
    throws(ChannelOptionsError)
  {
    step = UInt64(try options.int("step", in: 1...1_000) ?? 1)
  }

  public func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) throws(ChannelError) {
    guard event.payload.bytes.elementsEqual("bump".utf8) else {
      throw .invalidPayload("a counter takes only bump")
    }
    effects.publish(event.payload)
  }

  public mutating func apply(_ publication: Publication) { total &+= step }

  public func snapshot() -> [Payload] { [Payload(text: String(total))] }
}
