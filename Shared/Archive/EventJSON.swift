internal import Bytes
public import JSON
public import Wire

/// One event of a stream as a JSON object, with all that its chain is made of: what `history` gives with
/// `exact`, what `stream_import` takes, and a line of a file. Pure.
///
///     {"offset":1,"time":1700000000000,"kind":"json","client":"7","user":"ada","type":"move",
///      "meta":"BASE64","data":{…}}
///
/// Members that are empty are left out. `data` has JSON as it was published or a string; `b64data` the
/// bytes of any payload that neither can hold.
public enum EventJSON {
  /// Appends the object.
  public static func append(_ event: StoredEvent, to writer: inout JSONWriter) {
    writer.beginObject()
    appendMembers(event, to: &writer)
    writer.endObject()
  }

  static func appendMembers(_ event: StoredEvent, to writer: inout JSONWriter) {
    writer.field("offset", event.offset.value)
    writer.field("time", event.timeMs)
    writer.field("kind", event.payload.kind.archiveName)
    if event.publisher.client != 0 { writer.field("client", String(event.publisher.client)) }
    if !event.publisher.user.isEmpty { writer.field("user", event.publisher.user) }
    if !event.eventType.isEmpty { writer.field("type", event.eventType) }
    if !event.meta.isEmpty { writer.field("meta", base64(event.meta)) }
    PayloadForm(event.payload).append(event.payload, base64Name: "b64data", to: &writer)
  }

  /// The event that an object holds; nil for anything else, members it does not know included.
  public static func event(_ span: borrowing Span<UInt8>) -> StoredEvent? {
    guard let parts = parts(span), parts.chain == nil else { return nil }
    return parts.event
  }

  static func parts(_ span: borrowing Span<UInt8>) -> EventParts? {
    var parts = EventParts()
    do throws(JSONError) {
      var scanner = try JSONScanner(object: span)
      while let member = try scanner.next(span) {
        guard take(member, span, &parts) else { return nil }
      }
    } catch { return nil }
    return parts
  }

  private static func take(
    _ member: JSONMember, _ span: borrowing Span<UInt8>, _ parts: inout EventParts
  ) -> Bool {
    switch member.keyText(in: span) {
    case "offset":
      parts.offset = member.int(in: span).flatMap { $0 > 0 ? Offset(UInt64($0)) : nil }
      return parts.offset != nil
    case "time":
      parts.timeMs = member.int(in: span)
      return parts.timeMs != nil
    case "kind":
      parts.kind = member.text(in: span).flatMap { PayloadKind(archiveName: $0) }
      return parts.kind != nil
    case "client":
      guard let client = member.text(in: span).flatMap({ UInt64($0) }) else { return false }
      parts.client = client
    case "user":
      guard let text = member.text(in: span) else { return false }
      parts.user = text
    case "type":
      guard let text = member.text(in: span) else { return false }
      parts.type = text
    case "meta":
      guard let meta = member.text(in: span).flatMap({ bytes(base64: $0) }) else { return false }
      parts.meta = meta
    case "data": return parts.take(data: member, span)
    case "b64data": return parts.take(base64: member, span)
    case "chain":
      parts.chain = member.text(in: span).flatMap { bytes(hex: $0) }.flatMap { StreamChain($0) }
      return parts.chain != nil
    default: return false
    }
    return true
  }
}
