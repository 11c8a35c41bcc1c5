internal import Bytes
internal import Centrifuge
internal import JSON

/// By what a client came, as back ends are told.
struct HookDoor: Equatable {
  var transport: String
  /// `json` or `protobuf` where it speaks Centrifuge's protocol.
  var name = "json"
  /// `binary` where bytes need no base64 on the way to the client.
  var encoding = "json"
}

/// What a back end is asked: one JSON object, in Centrifugo's shapes. Pure.
struct HookQuestion {
  private var writer = JSONWriter(reserving: 256)

  /// - Parameter client: nil where it has no number yet.
  init(_ client: String?, _ door: HookDoor) {
    writer.beginObject()
    if let client { writer.field("client", client) }
    writer.field("transport", door.transport)
    writer.field("protocol", door.name)
    writer.field("encoding", door.encoding)
  }

  /// Adds a member that is text.
  mutating func add(_ name: String, _ text: String) { writer.field(name, text) }

  /// Adds a member that is JSON.
  mutating func add(_ name: String, json: [UInt8]) {
    writer.key(name)
    writer.raw(json)
  }

  /// Adds `data` or `b64data`.
  mutating func add(_ payload: Payload?) throws(Refusal) {
    guard let payload else { return }
    do throws(PayloadJSON.Refusal) {
      try PayloadJSON.appendMember(payload, to: &writer)
    } catch { throw .partsNotCarried }
  }

  consuming func end() -> [UInt8] {
    writer.endObject()
    return writer.bytes
  }
}
