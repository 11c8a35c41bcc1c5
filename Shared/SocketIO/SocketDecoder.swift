internal import Bytes
internal import JSON

/// What one packet may hold. Names and defaults are the reference's where it has the limit.
public struct SocketLimits: Hashable, Sendable {
  public var maxAttachments = 10
  /// BUDGET: arguments of one event, its name included; each costs a few words to remember.
  public var argumentsMax = 256
  /// BUDGET: text and attachments of one packet together, in bytes.
  public var packetBytesMax = 4_000_000

  public init() {}
}

/// Turns the messages of one Engine.IO session into packets.
///
///     ready ──text──▶ ready                 a packet without attachments
///       │
///       └──text with n attachments──▶ collecting ──n binaries──▶ ready, with the packet
///     any ──error──▶ failed                 every later call throws the same error
///
/// Strict: nothing is taken that the format has no place for. Memory grows with what has arrived
/// and stays below `packetBytesMax`; a count that is merely claimed reserves nothing. JSON is
/// checked once, with the depth of `JSON.depthMax`, and held as it was written.
public struct SocketDecoder: Sendable {
  private enum State: Sendable {
    case ready
    case collecting(Head, attachments: [[UInt8]], bytes: Int)
    case failed(SocketError)
  }

  /// All that the text of a packet says.
  private struct Head: Sendable {
    var type: SocketPacketType
    var attachments = 0
    var namespace = SocketNamespace.main
    var id: SocketAckID?
    var payload: [UInt8] = []
    var name: SocketEventName?
    var items: [JSONElement] = []
    var placeholders: [SocketPlaceholder] = []
  }

  private let limits: SocketLimits
  private var state = State.ready

  public init(limits: SocketLimits = SocketLimits()) { self.limits = limits }

  /// Whether attachments are owed.
  public var isCollecting: Bool { if case .collecting = state { true } else { false } }

  /// What is held of an unfinished packet.
  public var heldBytes: Int { if case .collecting(_, _, let bytes) = state { bytes } else { 0 } }

  /// Takes a message in text; nil while its attachments are owed.
  ///
  /// - Parameter span: UTF-8, without Engine.IO's digit.
  /// - Cost: one pass; one copy of the JSON.
  public mutating func text(_ span: borrowing Span<UInt8>) throws(SocketError) -> SocketPacket? {
    switch state {
    case .failed(let error): throw error
    case .collecting: throw fail(.attachmentOwed)
    case .ready: break
    }
    do throws(SocketError) {
      guard span.count <= limits.packetBytesMax else { throw .packetTooBig }
      let head = try read(span)
      if head.attachments == 0 { return try packet(head, []) }
      state = .collecting(head, attachments: [], bytes: span.count)
      return nil
    } catch {
      throw fail(error)
    }
  }

  /// Takes a message in binary: an attachment that is owed; nil while more are.
  public mutating func binary(_ bytes: [UInt8]) throws(SocketError) -> SocketPacket? {
    switch state {
    case .failed(let error): throw error
    case .ready: throw fail(.unexpectedBinary)
    case .collecting(let head, var attachments, let held):
      guard bytes.count <= limits.packetBytesMax - held else { throw fail(.packetTooBig) }
      // The array is to grow where it is, not as a copy.
      state = .ready
      attachments.append(bytes)
      if attachments.count == head.attachments {
        do throws(SocketError) { return try packet(head, attachments) } catch { throw fail(error) }
      }
      state = .collecting(head, attachments: attachments, bytes: held + bytes.count)
      return nil
    }
  }

  private mutating func fail(_ error: SocketError) -> SocketError {
    state = .failed(error)
    return error
  }

  // MARK: The text, front to back: <type>[<attachments>-][<namespace>,][<id>][<JSON>]

  private func read(_ s: borrowing Span<UInt8>) throws(SocketError) -> Head {
    guard s.count > 0 else { throw .emptyPacket }
    guard let type = SocketPacketType(rawValue: s[0]) else { throw .unknownPacketType(s[0]) }
    var head = Head(type: type)
    var i = 1
    if type.isBinary { head.attachments = try readCount(s, &i) }
    if i < s.count, s[i] == UInt8(ascii: "/") { head.namespace = try readNamespace(s, &i) }
    head.id = try readID(s, &i)
    let payload = s.extracting(i..<s.count)
    try check(payload, &head)
    head.payload = [UInt8](copying: payload)
    return head
  }

  private func readCount(_ s: borrowing Span<UInt8>, _ i: inout Int) throws(SocketError) -> Int {
    guard let count = Self.digits(s, &i), i < s.count, s[i] == UInt8(ascii: "-") else {
      throw .invalidAttachmentCount
    }
    guard count <= UInt64(max(0, limits.maxAttachments)) else { throw .tooManyAttachments }
    i += 1
    return Int(count)
  }

  private func readNamespace(
    _ s: borrowing Span<UInt8>, _ i: inout Int
  ) throws(SocketError) -> SocketNamespace {
    let start = i
    while i < s.count, s[i] != UInt8(ascii: ",") {
      i += 1
      guard i - start <= SocketNamespace.bytesMax else { throw .invalidNamespace }
    }
    guard let text = String(validating: s.extracting(start..<i)),
      let namespace = SocketNamespace(text)
    else { throw .invalidNamespace }
    if i < s.count { i += 1 }
    return namespace
  }

  private func readID(
    _ s: borrowing Span<UInt8>, _ i: inout Int
  ) throws(SocketError) -> SocketAckID? {
    guard i < s.count, (0x30...0x39).contains(s[i]) else { return nil }
    guard let number = Self.digits(s, &i), let id = SocketAckID(number) else {
      throw .invalidAckID
    }
    return id
  }

  /// A decimal number of up to 16 digits, without zeros in front; nil for anything else.
  private static func digits(_ s: borrowing Span<UInt8>, _ i: inout Int) -> UInt64? {
    let start = i
    var number: UInt64 = 0
    while i < s.count, (0x30...0x39).contains(s[i]) {
      guard i - start < 16 else { return nil }
      number = number * 10 + UInt64(s[i] - 0x30)
      i += 1
    }
    guard i > start, s[start] != 0x30 || i == start + 1 else { return nil }
    return number
  }

  // MARK: The JSON, by type

  private func check(_ json: borrowing Span<UInt8>, _ head: inout Head) throws(SocketError) {
    switch head.type {
    case .connect:
      guard head.id == nil else { throw .unexpectedAckID }
      guard json.count == 0 || Self.kind(json) == .object else { throw .invalidPayload }
    case .disconnect:
      guard head.id == nil else { throw .unexpectedAckID }
      guard json.count == 0 else { throw .invalidPayload }
    case .connectError:
      guard head.id == nil else { throw .unexpectedAckID }
      let kind = Self.kind(json)
      guard kind == .object || kind == .string else { throw .invalidPayload }
    case .event, .binaryEvent:
      try scan(json, &head)
      try takeName(json, &head)
    case .ack, .binaryAck:
      guard head.id != nil else { throw .missingAckID }
      try scan(json, &head)
    }
  }

  /// The kind of the one JSON value that `json` is; it begins with its first byte.
  private static func kind(_ json: borrowing Span<UInt8>) -> JSONKind? {
    guard json.count > 0, json[0] > 0x20 else { return nil }
    return try? JSON.validate(json)
  }

  private func scan(_ json: borrowing Span<UInt8>, _ head: inout Head) throws(SocketError) {
    guard json.count > 0, json[0] == UInt8(ascii: "[") else { throw .invalidPayload }
    do throws(JSONError) {
      var scanner = try JSONArrayScanner(array: json)
      while let element = try scanner.next(json) {
        head.items.append(element)
        if head.items.count > limits.argumentsMax { break }
      }
    } catch {
      throw .invalidPayload
    }
    guard head.items.count <= limits.argumentsMax else { throw .tooManyArguments }
    guard head.type.isBinary else { return }
    head.placeholders = try PlaceholderFinder.find(in: json, attachments: head.attachments)
  }

  private func takeName(_ json: borrowing Span<UInt8>, _ head: inout Head) throws(SocketError) {
    guard let first = head.items.first else { throw .invalidEventName }
    switch first.kind {
    case .string:
      // Six bytes for each character at the most.
      guard first.value.count <= 6 * SocketEventName.bytesMax + 2,
        let name = first.text(in: json), name.utf8.count <= SocketEventName.bytesMax
      else { throw .invalidEventName }
      guard !SocketEventName.reserved.contains(name) else { throw .reservedEventName }
      head.name = .text(name)
    case .number:
      guard first.value.count <= 17, let number = first.int(in: json),
        number.magnitude <= SocketAckID.numberMax
      else { throw .invalidEventName }
      head.name = .number(number)
    case .null, .bool, .array, .object: throw .invalidEventName
    }
    head.items.removeFirst()
  }

  private func packet(
    _ head: Head, _ attachments: [[UInt8]]
  ) throws(SocketError) -> SocketPacket {
    let namespace = head.namespace
    let arguments = SocketArguments(
      json: head.payload, items: head.items, attachments: attachments,
      placeholders: head.placeholders)
    switch head.type {
    case .connect:
      return .connect(namespace, auth: head.payload.isEmpty ? nil : head.payload)
    case .disconnect: return .disconnect(namespace)
    case .connectError: return .connectError(namespace, head.payload)
    case .event, .binaryEvent:
      guard let name = head.name else { throw .invalidEventName }
      return .event(namespace, SocketEvent(name, arguments), head.id)
    case .ack, .binaryAck:
      guard let id = head.id else { throw .missingAckID }
      return .ack(namespace, id, arguments)
    }
  }
}
