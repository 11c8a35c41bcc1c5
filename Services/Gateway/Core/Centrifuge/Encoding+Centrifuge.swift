internal import Bytes
internal import Centrifuge
internal import ChannelKit
internal import JSON
internal import Wire

extension CentrifugeForm {
  /// One publication, alone in its frame.
  func push(_ publication: CentrifugePublication, _ prefix: [UInt8]) -> [UInt8] {
    // What stands before the name in `Encoding.prefix`, and the quote behind it.
    let channel = String(decoding: prefix.dropFirst(12).dropLast(), as: UTF8.self)
    return encode(CentrifugeReply(CentrifugePush(channel: channel, .publication(publication))))
  }
}

extension CentrifugePublication {
  /// Tells a client that speaks JSON that `data` is a string of base64, not text.
  static let base64Tag = (name: "encoding", value: "base64")

  init(_ arrival: Arrival, in encoding: CentrifugeEncoding) {
    self.init(data: encoding.data(arrival.payload), offset: arrival.position?.offset.value ?? 0)
    timeMs = max(0, arrival.timeMs)
    let publisher = arrival.publisher
    if publisher.client != 0 {
      let shown = arrival.tags?.info
      info = CentrifugeClientInfo(
        user: publisher.user, client: ClientID(number: publisher.client).text,
        connInfo: shown?.connection ?? [], chanInfo: shown?.channel ?? [])
    }
    if let arrived = arrival.tags { tags = arrived.values }
    if encoding == .json, !arrival.payload.kind.isText {
      tags[Self.base64Tag.name] = Self.base64Tag.value
    }
  }

  init(_ event: StoredEvent, in encoding: CentrifugeEncoding) {
    self.init(
      Arrival(
        position: nil, timeMs: event.timeMs, publisher: event.publisher, payload: event.payload,
        tags: ArrivalTags(event.eventType, event.meta)), in: encoding)
    offset = event.offset.value
  }
}

extension CentrifugeEncoding {
  /// What a payload is as `data`: the bytes in Protobuf; in JSON what an envelope shows, and bytes as
  /// a string of base64.
  func data(_ payload: Payload) -> [UInt8] {
    guard self == .json else { return payload.bytes }
    var data: [UInt8] = []
    switch payload.kind {
    case .json: return payload.bytes
    case .uncheckedText where JSON.isArrayOrObject(payload.bytes.span): return payload.bytes
    case .text, .uncheckedText: JSON.appendQuoted(utf8: payload.bytes.span, to: &data)
    case .binary, .jsonWithParts: JSON.appendQuoted(base64(payload.bytes), to: &data)
    }
    return data
  }

  /// The payload that a client publishes; nil where there is none.
  ///
  /// A JSON string is text. What comes in Protobuf is text if it is UTF-8, and bytes else.
  func payload(_ data: [UInt8]) -> Payload? {
    guard !data.isEmpty else { return nil }
    switch self {
    case .json:
      guard data.first == UInt8(ascii: "\"") else { return Payload(.json, data) }
      guard let text = (try? JSONValue.parse(data.span))?.string else { return nil }
      return Payload(.text, [UInt8](text.utf8))
    case .protobuf:
      let isText = String(validating: data, as: UTF8.self) != nil
      return Payload(isText ? .uncheckedText : .binary, data)
    }
  }
}
