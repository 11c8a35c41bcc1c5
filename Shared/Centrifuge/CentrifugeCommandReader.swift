/// Reads the commands of one frame front to back.
///
///     var reader = CentrifugeCommandReader(.json)
///     while let command = try reader.next(frame) { … }
///
/// One command at a time, so that a frame full of the smallest never stands in memory at once.
/// Keeps no reference to the bytes; pass the same ones to each call. After an error nothing more
/// can be read; the commands before it were whole.
///
/// JSON: one object a line; an empty line says nothing and is skipped. Protobuf: an empty message
/// is a command without a request, which is a pong.
public struct CentrifugeCommandReader: Sendable {
  private var frame: FrameSplitter
  private let limits: CentrifugeLimits

  public init(_ encoding: CentrifugeEncoding, limits: CentrifugeLimits = .init()) {
    frame = FrameSplitter(encoding)
    self.limits = limits
  }

  /// The next command; nil after the last.
  public mutating func next(
    _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> CentrifugeCommand? {
    guard let range = try frame.next(s) else { return nil }
    var command = CentrifugeCommand()
    try frame.encoding.read(&command, range, s, limits)
    return command
  }
}

/// Reads the replies of one frame, as a client does; see `CentrifugeCommandReader`.
public struct CentrifugeReplyReader: Sendable {
  private var frame: FrameSplitter
  private let limits: CentrifugeLimits

  /// A server sends what it was asked for, histories of many publications with tags among it.
  public static let itemsMax = 1 << 20

  public init(
    _ encoding: CentrifugeEncoding, limits: CentrifugeLimits = .init(itemsMax: itemsMax)
  ) {
    frame = FrameSplitter(encoding)
    self.limits = limits
  }

  /// The next reply; nil after the last.
  public mutating func next(
    _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> CentrifugeReply? {
    guard let range = try frame.next(s) else { return nil }
    var reply = CentrifugeReply()
    try frame.encoding.read(&reply, range, s, limits)
    return reply
  }
}

/// Finds the messages of a frame.
struct FrameSplitter: Sendable {
  let encoding: CentrifugeEncoding
  private var offset = 0

  init(_ encoding: CentrifugeEncoding) { self.encoding = encoding }

  mutating func next(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> Range<Int>? {
    switch encoding {
    case .json: nextLine(s)
    case .protobuf: try nextDelimited(s)
    }
  }

  private mutating func nextLine(_ s: borrowing Span<UInt8>) -> Range<Int>? {
    while offset < s.count {
      let start = offset
      while offset < s.count, s[offset] != UInt8(ascii: "\n") { offset += 1 }
      let end = offset
      offset += 1
      if end > start { return start..<end }
    }
    return nil
  }

  private mutating func nextDelimited(
    _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> Range<Int>? {
    guard offset < s.count else { return nil }
    var reader = ProtobufReader(offset..<s.count)
    do {
      let range = try reader.range(s)
      offset = reader.offset
      return range
    } catch {
      throw error == .truncated ? .truncatedFrame : .protobuf(error)
    }
  }
}
