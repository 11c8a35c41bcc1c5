internal import Bytes
internal import ChannelKit
internal import Config
internal import JSON
internal import Platform
internal import Wire

/// What a folded channel's state was at some offset.
extension ServerAPI {
  func state(_ value: JSONValue, _ completion: @escaping Completion) {
    do throws(Refusal) {
      guard let text = value["channel"]?.string else { throw .badRequest("channel is missing") }
      guard let name = ChannelName(text), let policy = gateway.settings.policy(name) else {
        throw .unknownChannel(text)
      }
      guard key.allows(.history, name) else { throw .outsideScope }
      let rebuild = value["rebuild"] ?? .null
      guard rebuild.isNull || rebuild.bool != nil else {
        throw .badRequest("rebuild must be true or false")
      }
      let fold = try StateFold(
        gateway, name, policy, at: try Self.offset("at", value),
        rebuild.bool == true ? .firstEvent : .nearestSnapshot
      ) { completion($0.map(Self.state)) }
      fold.start()
    } catch { completion(.failure(error)) }
  }

  private static func state(_ found: StateFold.Result) -> [UInt8] {
    var writer = JSONWriter(reserving: 512 + found.state.reduce(0) { $0 + $1.bytes.count })
    writer.beginObject()
    writer.field("epoch", found.epoch.text)
    writer.field("offset", found.offset.value)
    writer.field("from", found.from.value)
    writer.field("events", UInt64(clamping: found.events))
    writer.field("ms", found.took.millisecondsClamped)
    if let compared = found.compared {
      writer.key("snapshot")
      writer.beginObject()
      writer.field("offset", compared.offset.value)
      writer.field("same", compared.isSame)
      writer.endObject()
    }
    writer.key("state")
    writer.beginArray()
    for payload in found.state { write(payload, to: &writer) }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }

  /// JSON as it is, text as a string, bytes as an object with `b64data`.
  private static func write(_ payload: Payload, to writer: inout JSONWriter) {
    switch payload.kind {
    case .json: writer.raw(payload.bytes)
    case .text: writer.string(utf8: payload.bytes.span)
    default:
      writer.beginObject()
      try? PayloadJSON.appendMember(payload, to: &writer)
      writer.endObject()
    }
  }
}
