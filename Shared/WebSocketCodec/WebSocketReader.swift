internal import Bytes

/// Whether a message is text or binary.
public enum WebSocketMessageKind: Sendable {
  case text
  case binary
}

/// What a peer said.
public enum WebSocketEvent: Equatable, Sendable {
  /// A whole message, unmasked and put together; text is valid UTF-8.
  case message(WebSocketMessageKind, [UInt8])
  /// At most 125 bytes, to be sent back in a pong.
  case ping([UInt8])
  case pong([UInt8])
  /// The code is nil when the frame had none. Nothing after it is read.
  case close(WebSocketCloseCode?, reason: String)
}

/// What one connection may send.
public struct WebSocketLimits: Equatable, Sendable {
  /// Payload of one message, all fragments together.
  public var messageBytesMax: Int
  /// Frames of one message before its last. Bounds the work that empty fragments cost.
  public var fragmentsMax: Int
  /// What a compressed message may hold before it is unfolded: what compressing the largest one
  /// can add to it, in blocks that are stored as they are, is let through.
  public var compressedBytesMax: Int {
    let (sum, isOver) = messageBytesMax.addingReportingOverflow(messageBytesMax >> 3 + 64)
    return isOver ? messageBytesMax : sum
  }

  public init(messageBytesMax: Int = 1 << 20, fragmentsMax: Int = 65_536) {
    self.messageBytesMax = messageBytesMax
    self.fragmentsMax = fragmentsMax
  }
}

/// What the handshake agreed that messages may be, beyond RFC 6455.
public enum WebSocketCompression: Sendable {
  case none
  /// RFC 7692: messages may have RSV1 on their first frame.
  case permessageDeflate
}

/// Unfolds one whole compressed message into `output`, which is empty: at most `bytesMax` bytes.
public typealias WebSocketInflate = (
  _ compressed: borrowing Span<UInt8>, _ bytesMax: Int, _ output: inout [UInt8]
) throws(WebSocketError) -> Void

/// Turns the bytes of one direction of a WebSocket connection into events (RFC 6455 §5, §6.2).
///
///     header ──▶ payload ──▶ header            every frame; control frames may stand between the
///       │           │                          fragments of a message
///       │           └─▶ message, ping, pong    at the end of the last fragment, of a control frame
///       │           └─▶ close ──▶ closed       everything after it is dropped
///       └─▶ failed                             every later call throws the same error
///
/// Owns what has arrived of an unfinished header, control frame and message, and nothing else: it
/// takes every byte it is given, so that a caller needs no input buffer for each connection. Memory
/// grows with the bytes that arrive, never with what a header claims. Knows no socket and no clock.
///
/// A compressed message is held as it came and unfolded at its end, so that connections without a
/// context of their own can share one decompressor, whatever order their fragments come in.
public struct WebSocketReader: Sendable {
  private let terms: Terms
  private var counts = Counts()
  /// What has begun and not ended, or the end of all; empty otherwise. Kept apart: most of many
  /// connections stand between two messages.
  private var begun: [Assembly] = []

  /// What the connection is held to.
  fileprivate struct Terms {
    let role: WebSocketRole
    let compression: WebSocketCompression
    let limits: WebSocketLimits
  }

  fileprivate struct Counts {
    var frames: UInt32 = 0
    var messages: UInt32 = 0
  }

  public init(
    role: WebSocketRole, limits: WebSocketLimits = WebSocketLimits(),
    compression: WebSocketCompression = .none
  ) {
    terms = Terms(role: role, compression: compression, limits: limits)
  }

  /// Frames begun and messages ended so far, for limits on their rates. They wrap.
  public var frameCount: UInt32 { counts.frames }
  public var messageCount: UInt32 { counts.messages }

  /// Whether it stands between two messages with nothing begun: no deadline needs to run.
  public var isIdle: Bool { begun.first?.isIdle ?? true }

  /// Bytes of an unfinished message that are held.
  public var heldBytes: Int { begun.first?.heldBytes ?? 0 }

  /// The next event in `input[offset...]`, or nil when there is none.
  ///
  /// - Shape: `offset` moves behind what was taken; after nil that is the end of `input`. Call
  ///   again with the same input after an event.
  /// - Cost: one copy of the payload.
  /// - Errors: what breaks the protocol or a limit; the connection is to be closed with its code.
  public mutating func next(
    _ input: borrowing Span<UInt8>, from offset: inout Int
  ) throws(WebSocketError) -> WebSocketEvent? {
    try next(input, from: &offset, inflate: Self.inflateNothing)
  }

  /// The same for a connection with `.permessageDeflate`: `inflate` is called for each compressed
  /// message at its end, and what it gives is checked for UTF-8 and size like any other.
  public mutating func next(
    _ input: borrowing Span<UInt8>, from offset: inout Int, inflate: WebSocketInflate
  ) throws(WebSocketError) -> WebSocketEvent? {
    guard begun.isEmpty else {
      defer { if begun[0].isFresh { begun = [] } }
      return try begun[0].next(input, &offset, terms, &counts, inflate)
    }
    var assembly = Assembly()
    defer { if !assembly.isFresh { begun = [assembly] } }
    return try assembly.next(input, &offset, terms, &counts, inflate)
  }

  /// For who reads a connection with compression and brings nothing to unfold it with.
  private static func inflateNothing(
    _ compressed: borrowing Span<UInt8>, _ bytesMax: Int, _ output: inout [UInt8]
  ) throws(WebSocketError) {
    throw .invalidCompression
  }
}

/// One message on its way, with the frame, the control frame and the header that are unfinished.
private struct Assembly: Sendable {
  typealias Terms = WebSocketReader.Terms
  typealias Counts = WebSocketReader.Counts

  /// The beginning of a header whose end has not come; at most 13 bytes.
  private var partialHeader: [UInt8] = []
  /// The frame whose payload is being taken; `payloadBytes` and `mask` are of what is left of it.
  private var frame: WebSocketFrameHeader?
  private var control: [UInt8] = []
  private var message: [UInt8] = []
  /// The kind of the message being put together; nil between messages.
  private var kind: WebSocketMessageKind?
  private var isCompressed = false
  private var fragments = 0
  private var text = UTF8Validator()
  private var isClosed = false
  private var failure: WebSocketError?

  /// Nothing has begun.
  var isIdle: Bool { partialHeader.isEmpty && frame == nil && kind == nil }
  /// Nothing need be remembered.
  var isFresh: Bool { isIdle && !isClosed && failure == nil }
  var heldBytes: Int { message.count + control.count }

  mutating func next(
    _ input: borrowing Span<UInt8>, _ offset: inout Int, _ terms: Terms, _ counts: inout Counts,
    _ inflate: WebSocketInflate
  ) throws(WebSocketError) -> WebSocketEvent? {
    if let failure { throw failure }
    if isClosed {
      offset = input.count
      return nil
    }
    do {
      return try advance(input, &offset, terms, &counts, inflate)
    } catch {
      failure = error
      message = []
      throw error
    }
  }

  private mutating func advance(
    _ input: borrowing Span<UInt8>, _ offset: inout Int, _ terms: Terms, _ counts: inout Counts,
    _ inflate: WebSocketInflate
  ) throws(WebSocketError) -> WebSocketEvent? {
    while true {
      if frame == nil {
        guard let header = try takeHeader(input, &offset, terms) else { return nil }
        counts.frames &+= 1
        try begin(header, terms.limits)
      }
      guard try takePayload(input, &offset), let done = frame else { return nil }
      frame = nil
      if done.opcode.isControl { return try endControl(done.opcode) }
      if done.isFinal, let event = try endMessage(terms.limits, inflate) {
        counts.messages &+= 1
        return event
      }
    }
  }

  private mutating func takeHeader(
    _ input: borrowing Span<UInt8>, _ offset: inout Int, _ terms: Terms
  ) throws(WebSocketError) -> WebSocketFrameHeader? {
    let limits = terms.limits
    let bytesMax = isCompressed ? limits.compressedBytesMax : limits.messageBytesMax
    let rules = WebSocketFrameHeader.Rules(
      role: terms.role, isAssembling: kind != nil, payloadBytesMax: bytesMax - message.count,
      compressedBytesMax: terms.compression == .none ? nil : limits.compressedBytesMax)
    if partialHeader.isEmpty {
      if let header = try WebSocketFrameHeader.parse(input, from: offset, rules) {
        offset += header.headerBytes
        return header
      }
      partialHeader.append(copying: input.extracting(offset..<input.count))
      offset = input.count
      return nil
    }
    while offset < input.count {
      partialHeader.append(input[offset])
      offset += 1
      if let header = try WebSocketFrameHeader.parse(partialHeader.span, from: 0, rules) {
        partialHeader = []
        return header
      }
    }
    return nil
  }

  private mutating func begin(
    _ header: WebSocketFrameHeader, _ limits: WebSocketLimits
  ) throws(WebSocketError) {
    frame = header
    switch header.opcode {
    case .text: kind = .text
    case .binary: kind = .binary
    case .continuation: break
    case .close, .ping, .pong: return
    }
    if header.opcode != .continuation { isCompressed = header.isCompressed }
    // Who cuts a message into whole pieces may end it with an empty one.
    if !header.isFinal { fragments += 1 }
    guard fragments <= limits.fragmentsMax else { throw .tooManyFragments }
  }

  /// Takes what there is of the frame's payload; true when that was the rest of it.
  private mutating func takePayload(
    _ input: borrowing Span<UInt8>, _ offset: inout Int
  ) throws(WebSocketError) -> Bool {
    guard var header = frame else { return false }
    let count = min(header.payloadBytes, input.count - offset)
    if count > 0 {
      let piece = input.extracting(offset..<(offset + count))
      if header.opcode.isControl {
        Self.append(piece, header.mask, to: &control)
      } else {
        let start = message.count
        Self.append(piece, header.mask, to: &message)
        if kind == .text, !isCompressed { try check(from: start) }
      }
      offset += count
      header.payloadBytes -= count
      if let mask = header.mask { header.mask = rotate(mask, by: count) }
      frame = header
    }
    return header.payloadBytes == 0
  }

  private mutating func check(from start: Int) throws(WebSocketError) {
    var text = self.text
    guard text.take(message.span, from: start) else { throw .invalidText }
    self.text = text
  }

  @inline(__always)
  private static func append(
    _ piece: borrowing Span<UInt8>, _ mask: UInt32?, to bytes: inout [UInt8]
  ) {
    let start = bytes.count
    bytes.append(copying: piece)
    if let mask { applyMask(mask, to: &bytes, from: start) }
  }

  private mutating func endMessage(
    _ limits: WebSocketLimits, _ inflate: WebSocketInflate
  ) throws(WebSocketError) -> WebSocketEvent? {
    if isCompressed {
      var plain: [UInt8] = []
      try inflate(message.span, limits.messageBytesMax, &plain)
      guard plain.count <= limits.messageBytesMax else { throw .messageTooBig }
      message = plain
      isCompressed = false
      if kind == .text { try check(from: 0) }
    }
    guard text.isComplete else { throw .invalidText }
    guard let kind else { return nil }
    self.kind = nil
    fragments = 0
    var payload: [UInt8] = []
    swap(&payload, &message)
    return .message(kind, payload)
  }

  private mutating func endControl(
    _ opcode: WebSocketOpcode
  ) throws(WebSocketError) -> WebSocketEvent {
    var payload: [UInt8] = []
    swap(&payload, &control)
    switch opcode {
    case .ping: return .ping(payload)
    case .pong: return .pong(payload)
    default:
      let close = try Self.close(payload)
      isClosed = true
      message = []
      return close
    }
  }

  /// RFC 6455 §5.5.1: nothing, or a code and a reason in UTF-8.
  private static func close(_ payload: [UInt8]) throws(WebSocketError) -> WebSocketEvent {
    guard !payload.isEmpty else { return .close(nil, reason: "") }
    guard payload.count >= 2 else { throw .malformedClose }
    let code = WebSocketCloseCode(UInt16(payload[0]) << 8 | UInt16(payload[1]))
    guard code.isValidOnWire else { throw .malformedClose }
    guard let reason = String(validating: payload.span.extracting(2..<payload.count)) else {
      throw .invalidText
    }
    return .close(code, reason: reason)
  }
}
