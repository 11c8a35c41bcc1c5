internal import Bytes
internal import JSON
internal import Wire

/// The lines of a file, without their line feeds, in either format. Pure.
enum ArchiveLine {
  static func header(_ header: ArchiveHeader, _ format: ArchiveFormat) -> [UInt8] {
    switch format {
    case .ndjson: header.json
    case .cloudevents: CloudEvent.frame(header, .begin, header.json)
    }
  }

  static func end(
    _ trailer: ArchiveTrailer, _ header: ArchiveHeader, _ format: ArchiveFormat
  ) -> [UInt8] {
    switch format {
    case .ndjson: trailer.json
    case .cloudevents: CloudEvent.frame(header, .end, trailer.json)
    }
  }

  /// - Parameter chain: that behind the event.
  static func event(
    _ event: StoredEvent, _ chain: StreamChain, _ header: ArchiveHeader, _ format: ArchiveFormat
  ) -> [UInt8] {
    switch format {
    case .ndjson:
      var writer = JSONWriter(reserving: event.payload.bytes.count + 256)
      writer.beginObject()
      EventJSON.appendMembers(event, to: &writer)
      writer.field("chain", chain.hexadecimal)
      writer.endObject()
      return writer.bytes
    case .cloudevents: return CloudEvent.event(event, chain, header)
    }
  }

  static func parts(_ span: borrowing Span<UInt8>, _ format: ArchiveFormat) -> EventParts? {
    switch format {
    case .ndjson: EventJSON.parts(span)
    case .cloudevents: CloudEvent.parts(span)
    }
  }

  /// The header that a line is, and the format it begins; nil for any other line.
  static func header(_ span: borrowing Span<UInt8>) -> (ArchiveHeader, ArchiveFormat)? {
    if let header = ArchiveHeader(span) { return (header, .ndjson) }
    guard let data = CloudEvent.data(span), let header = ArchiveHeader(data.span),
      CloudEvent.frame(header, .begin, header.json) == [UInt8](copying: span)
    else { return nil }
    return (header, .cloudevents)
  }
}

/// Events of a stream as CloudEvents 1.0 in JSON (cloudevents.io, JSON format 1.0.2).
///
/// `id` is EPOCH:OFFSET, `source` the channel, `type` the event's own (`sapphire.publication` without one).
/// What CloudEvents has no place for is in extension attributes: `epoch`, `offset`, `chain`, `payloadkind`,
/// `clientid`, `userid`, `meta`; `timems` in place of a `time` that RFC 3339 can't say.
enum CloudEvent {
  enum Frame: String {
    case begin
    case end
  }

  private static func source(_ channel: ChannelName) -> String {
    // The one character of a channel's name that a URI reads otherwise.
    "/channels/" + channel.text.split(separator: "#", omittingEmptySubsequences: false)
      .joined(separator: "%23")
  }

  /// A line that is no event of the stream.
  static func frame(_ header: ArchiveHeader, _ frame: Frame, _ data: [UInt8]) -> [UInt8] {
    var writer = JSONWriter(reserving: data.count + 256)
    writer.beginObject()
    writer.field("specversion", "1.0")
    writer.field("id", "\(header.epoch.text):\(frame.rawValue)")
    writer.field("source", source(header.channel))
    writer.field("type", "sapphire.stream.\(frame.rawValue)")
    writer.field("datacontenttype", "application/json")
    writer.key("data")
    writer.raw(data)
    writer.endObject()
    return writer.bytes
  }

  static func data(_ span: borrowing Span<UInt8>) -> [UInt8]? {
    var found: [UInt8]?
    do throws(JSONError) {
      var scanner = try JSONScanner(object: span)
      while let member = try scanner.next(span) {
        if member.isKey("data", in: span) { found = [UInt8](copying: span.extracting(member.value)) }
      }
    } catch { return nil }
    return found
  }

  static func event(
    _ event: StoredEvent, _ chain: StreamChain, _ header: ArchiveHeader
  ) -> [UInt8] {
    var writer = JSONWriter(reserving: event.payload.bytes.count + 512)
    writer.beginObject()
    writer.field("specversion", "1.0")
    writer.field("id", "\(header.epoch.text):\(event.offset.value)")
    writer.field("source", source(header.channel))
    writer.field("type", type(event.eventType))
    if let time = InternetTime.text(event.timeMs) {
      writer.field("time", time)
    } else {
      writer.field("timems", String(event.timeMs))
    }
    writer.field("epoch", header.epoch.text)
    writer.field("offset", String(event.offset.value))
    if event.publisher.client != 0 { writer.field("clientid", String(event.publisher.client)) }
    if !event.publisher.user.isEmpty { writer.field("userid", event.publisher.user) }
    if !event.meta.isEmpty { writer.field("meta", base64(event.meta)) }
    writer.field("chain", chain.hexadecimal)
    writer.field("payloadkind", event.payload.kind.archiveName)
    let form = PayloadForm(event.payload)
    let content =
      switch form {
      case .raw: "application/json"
      case .string: "text/plain"
      case .encoded: "application/octet-stream"
      }
    writer.field("datacontenttype", content)
    form.append(event.payload, base64Name: "data_base64", to: &writer)
    writer.endObject()
    return writer.bytes
  }

  private static let plain = "sapphire.publication"

  /// An event's type as an attribute, which may not be empty; ours are set apart from what begins alike.
  private static func type(_ type: String) -> String {
    if type.isEmpty { return plain }
    return type.hasPrefix("sapphire.") ? "\(plain).\(type)" : type
  }

  private static func eventType(_ type: String) -> String {
    if type == plain { return "" }
    return type.hasPrefix(plain + ".") ? String(type.dropFirst(plain.count + 1)) : type
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

  /// Attributes that follow from others are compared with the whole line later.
  private static func take(
    _ member: JSONMember, _ span: borrowing Span<UInt8>, _ parts: inout EventParts
  ) -> Bool {
    let name = member.keyText(in: span)
    if name == "data" { return parts.take(data: member, span) }
    if name == "data_base64" { return parts.take(base64: member, span) }
    guard let text = member.text(in: span) else { return false }
    switch name {
    case "specversion", "id", "source", "epoch", "datacontenttype": break
    case "type": parts.type = eventType(text)
    case "time":
      parts.timeMs = InternetTime.milliseconds(text)
      return parts.timeMs != nil
    case "timems":
      parts.timeMs = Int64(text)
      return parts.timeMs != nil
    case "offset":
      parts.offset = UInt64(text).map { Offset($0) }
      return parts.offset != nil
    case "clientid":
      guard let client = UInt64(text) else { return false }
      parts.client = client
    case "userid": parts.user = text
    case "meta":
      guard let meta = bytes(base64: text) else { return false }
      parts.meta = meta
    case "chain":
      parts.chain = bytes(hex: text).flatMap { StreamChain($0) }
      return parts.chain != nil
    case "payloadkind":
      parts.kind = PayloadKind(archiveName: text)
      return parts.kind != nil
    default: return false
    }
    return true
  }
}
