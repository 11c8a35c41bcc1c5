internal import Bytes
public import JSON

/// A packet as Engine.IO messages: one in text, then one in binary for each attachment.
///
/// The text begins with Engine.IO's digit for a message, so that it is a frame as it stands.
/// Made once and shared: the same frames may go to any number of connections.
public struct SocketFrames: Hashable, Sendable {
  public let text: [UInt8]
  public let attachments: [[UInt8]]

  public init(text: [UInt8], attachments: [[UInt8]] = []) {
    self.text = text
    self.attachments = attachments
  }
}

/// The name and arguments of an event, or the arguments of an acknowledgement, written once.
///
/// What differs between receivers (namespace, id, a last argument of their own) is put around it by
/// `frames`, at the cost of one copy; where nothing differs the frames themselves are shared.
public struct SocketBody: Hashable, Sendable {
  enum Kind: Hashable, Sendable { case event, ack }

  let kind: Kind
  /// The JSON array but for its closing bracket.
  let open: [UInt8]
  let isEmpty: Bool
  public let attachments: [[UInt8]]

  /// The body as a packet.
  ///
  /// - Parameters:
  ///   - id: for an event, that an acknowledgement is wanted; for an acknowledgement, of what.
  ///   - last: a string that is appended to the arguments.
  public func frames(
    in namespace: SocketNamespace = .main, id: SocketAckID? = nil, appending last: String? = nil
  ) -> SocketFrames {
    var text: [UInt8] = []
    text.reserveCapacity(open.count + namespace.text.utf8.count + (last?.utf8.count ?? 0) + 48)
    SocketFrames.appendHead(type, attachments.count, namespace, id, to: &text)
    text.append(contentsOf: open)
    if let last {
      if !isEmpty { text.append(UInt8(ascii: ",")) }
      JSON.appendQuoted(last, to: &text)
    }
    text.append(UInt8(ascii: "]"))
    return SocketFrames(text: text, attachments: attachments)
  }

  private var type: SocketPacketType {
    switch (kind, attachments.isEmpty) {
    case (.event, true): .event
    case (.event, false): .binaryEvent
    case (.ack, true): .ack
    case (.ack, false): .binaryAck
    }
  }
}

/// Writes a body: the JSON of its arguments front to back, attachments where they stand.
///
///     var writer = try SocketBodyWriter(event: "publication")
///     writer.json.beginObject()
///     writer.json.field("channel", "map:cursor")
///     writer.json.key("data")
///     writer.attach(bytes)
///     writer.json.endObject()
///     let frames = writer.finish().frames()
public struct SocketBodyWriter: Sendable {
  /// Stands in the array of arguments. What is begun in it is ended in it.
  public var json: JSONWriter
  private var attachments: [[UInt8]] = []
  private let kind: SocketBody.Kind

  /// An event of that name.
  ///
  /// - Errors: `.reservedEventName`, and `.invalidEventName` for more than
  ///   `SocketEventName.bytesMax`: names that no client could take.
  public init(event name: String, reserving capacity: Int = 128) throws(SocketError) {
    guard name.utf8.count <= SocketEventName.bytesMax else { throw .invalidEventName }
    guard !SocketEventName.reserved.contains(name) else { throw .reservedEventName }
    self.init(.event, capacity)
    json.string(name)
  }

  /// An acknowledgement.
  public init(acknowledgementReserving capacity: Int = 64) { self.init(.ack, capacity) }

  private init(_ kind: SocketBody.Kind, _ capacity: Int) {
    self.kind = kind
    json = JSONWriter(reserving: capacity)
    json.beginArray()
  }

  /// A value that is binary.
  public mutating func attach(_ bytes: [UInt8]) {
    var placeholder: [UInt8] = []
    Self.appendPlaceholder(attachments.count, to: &placeholder)
    json.raw(placeholder)
    attachments.append(bytes)
  }

  /// A value of JSON with placeholders, numbered from 0, and what they stand for.
  ///
  /// - Errors: `.invalidPlaceholder`; nothing was written.
  public mutating func attach(_ bytes: [UInt8], parts: [[UInt8]]) throws(SocketError) {
    let placeholders = try PlaceholderFinder.find(in: bytes.span, attachments: parts.count)
    var renumbered: [UInt8] = []
    renumbered.reserveCapacity(bytes.count + 8)
    var offset = 0
    for placeholder in placeholders {
      renumbered.append(contentsOf: bytes[offset..<placeholder.range.lowerBound])
      Self.appendPlaceholder(attachments.count + placeholder.attachment, to: &renumbered)
      offset = placeholder.range.upperBound
    }
    renumbered.append(contentsOf: bytes[offset...])
    json.raw(renumbered)
    attachments += parts
  }

  /// An argument as it came.
  public mutating func value(_ value: SocketValue) throws(SocketError) {
    switch value {
    case .json(let bytes): json.raw(bytes)
    case .text(let text): json.string(utf8: text.span)
    case .binary(let bytes): attach(bytes)
    case .jsonWithParts(let bytes, let parts): try attach(bytes, parts: parts)
    }
  }

  public consuming func finish() -> SocketBody {
    SocketBody(
      kind: kind, open: json.bytes, isEmpty: json.bytes.count == 1, attachments: attachments)
  }

  static func appendPlaceholder(_ number: Int, to bytes: inout [UInt8]) {
    bytes.append(contentsOf: #"{"_placeholder":true,"num":"#.utf8)
    JSON.appendDecimal(UInt64(number.magnitude), to: &bytes)
    bytes.append(UInt8(ascii: "}"))
  }
}

extension SocketFrames {
  static func appendHead(
    _ type: SocketPacketType, _ attachments: Int, _ namespace: SocketNamespace, _ id: SocketAckID?,
    to bytes: inout [UInt8]
  ) {
    bytes.append(UInt8(ascii: "4"))
    bytes.append(type.rawValue)
    if type.isBinary {
      JSON.appendDecimal(UInt64(attachments.magnitude), to: &bytes)
      bytes.append(UInt8(ascii: "-"))
    }
    if namespace != .main {
      bytes.append(contentsOf: namespace.text.utf8)
      bytes.append(UInt8(ascii: ","))
    }
    if let id { JSON.appendDecimal(id.number, to: &bytes) }
  }

  /// A packet as it was read, or as a client writes it.
  public init(_ packet: SocketPacket) {
    switch packet {
    case .connect(let namespace, let auth): self.init(.connect, namespace, nil, auth ?? [])
    case .disconnect(let namespace): self.init(.disconnect, namespace, nil, [])
    case .connectError(let namespace, let json): self.init(.connectError, namespace, nil, json)
    case .event(let namespace, let event, let id):
      let binary = !event.arguments.attachments.isEmpty
      self.init(
        binary ? .binaryEvent : .event, namespace, id, event.arguments.json,
        event.arguments.attachments)
    case .ack(let namespace, let id, let arguments):
      let binary = !arguments.attachments.isEmpty
      self.init(
        binary ? .binaryAck : .ack, namespace, id, arguments.json, arguments.attachments)
    }
  }

  private init(
    _ type: SocketPacketType, _ namespace: SocketNamespace, _ id: SocketAckID?, _ json: [UInt8],
    _ attachments: [[UInt8]] = []
  ) {
    var text: [UInt8] = []
    Self.appendHead(type, attachments.count, namespace, id, to: &text)
    text.append(contentsOf: json)
    self.init(text: text, attachments: attachments)
  }

  /// `40{"sid":…}`, with `pid` where the connection can be recovered.
  static func connected(_ namespace: SocketNamespace, sid: String, pid: String?) -> SocketFrames {
    var writer = JSONWriter(reserving: 64)
    writer.beginObject()
    writer.field("sid", sid)
    if let pid { writer.field("pid", pid) }
    writer.endObject()
    return SocketFrames(.connect(namespace, auth: writer.bytes))
  }

  /// `44{"message":…}`, with `data`, which is JSON, where there is some.
  static func refused(
    _ namespace: SocketNamespace, message: String, data: [UInt8]?
  ) -> SocketFrames {
    var writer = JSONWriter(reserving: 64)
    writer.beginObject()
    writer.field("message", message)
    if let data {
      writer.key("data")
      writer.raw(data)
    }
    writer.endObject()
    return SocketFrames(.connectError(namespace, writer.bytes))
  }
}
