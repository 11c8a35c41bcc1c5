public import Bytes
internal import JSON

/// From where a subscription begins.
public enum Since: Hashable, Sendable, CustomStringConvertible {
  /// With the first publication that the history still holds.
  case start
  /// With the one after this position.
  case position(Position)

  /// `start` or `EPOCH:OFFSET`.
  public init?(_ text: String) {
    if text == "start" {
      self = .start
    } else if let position = Position(text) {
      self = .position(position)
    } else {
      return nil
    }
  }

  public var description: String {
    switch self {
    case .start: "start"
    case .position(let position): position.description
    }
  }
}

/// The JSON that a client sends on a many-channel socket.
enum ClientMessage {
  static func subscribe(id: String, _ channel: ChannelName, since: Since?) -> [UInt8] {
    var writer = JSONWriter(reserving: 128)
    writer.beginObject()
    writer.field("type", "subscribe")
    writer.field("id", id)
    writer.field("channel", channel.text)
    if let since { writer.field("since", since.description) }
    writer.endObject()
    return writer.bytes
  }

  static func unsubscribe(id: String, _ channel: ChannelName) -> [UInt8] {
    var writer = JSONWriter(reserving: 96)
    writer.beginObject()
    writer.field("type", "unsubscribe")
    writer.field("id", id)
    writer.field("channel", channel.text)
    writer.endObject()
    return writer.bytes
  }

  /// - Errors: nil for json with parts, which this protocol does not carry.
  static func publish(id: String, _ channel: ChannelName, _ payload: Payload, key: String?)
    -> [UInt8]?
  {
    var writer = JSONWriter(reserving: payload.bytes.count + 128)
    writer.beginObject()
    writer.field("id", id)
    writer.field("channel", channel.text)
    if let key { writer.field("idempotency_key", key) }
    do throws(PayloadJSON.Refusal) {
      try PayloadJSON.appendMember(payload, to: &writer)
    } catch {
      return nil
    }
    writer.endObject()
    return writer.bytes
  }
}
