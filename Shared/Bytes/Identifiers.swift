/// A channel's name, known to be within the grammar `[A-Za-z0-9_:.@#,=-]{1,255}`.
///
/// `@` stands only before a fork's name; `#` and `,` only in Centrifuge's user part. `$` and `*`
/// are reserved. Names are compared byte for byte; no two spellings are the same channel.
public struct ChannelName: Hashable, Sendable, CustomStringConvertible {
  public static let bytesMax = 255
  public let text: String

  /// Nil where `text` is outside the grammar.
  public init?(_ text: String) {
    let count = text.utf8.count
    guard count >= 1, count <= Self.bytesMax else { return nil }
    guard text.utf8.allSatisfy(Self.isAllowed) else { return nil }
    self.text = text
  }

  public var description: String { text }

  @inlinable static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...58, 64...90, 97...122: true  // 0-9 :  @A-Z  a-z
    case 35, 44, 45, 46, 61, 95: true  // # , - . = _
    default: false
    }
  }
}

/// A position in a stream or a channel's history: 1, 2, 3 …; 0 is before the first.
public struct Offset: Hashable, Comparable, Sendable, CustomStringConvertible {
  public let value: UInt64
  @inlinable public init(_ value: UInt64) { self.value = value }
  public static let zero = Offset(0)
  @inlinable public var next: Offset { Offset(value &+ 1) }
  @inlinable public static func < (a: Offset, b: Offset) -> Bool { a.value < b.value }
  public var description: String { String(value) }
}

/// The identity of a history, 1 to 32 of `[A-Za-z0-9_-]`: offsets of two epochs can't be compared.
///
/// Its bytes are held in place: a position travels with every publication, and copying or comparing
/// one touches no reference count and no memory of its own.
public struct Epoch: Hashable, Sendable, CustomStringConvertible {
  public static let bytesMax = 32
  /// INVARIANT: the text's bytes, the first one lowest; zeros behind them and nowhere else.
  private var words = InlineWords()

  private struct InlineWords: Hashable {
    var first: UInt64 = 0
    var second: UInt64 = 0
    var third: UInt64 = 0
    var fourth: UInt64 = 0

    subscript(index: Int) -> UInt64 {
      get {
        switch index {
        case 0: first
        case 1: second
        case 2: third
        default: fourth
        }
      }
      set {
        switch index {
        case 0: first = newValue
        case 1: second = newValue
        case 2: third = newValue
        default: fourth = newValue
        }
      }
    }
  }

  /// Nil where `text` is outside the grammar.
  public init?(_ text: String) {
    self.init([UInt8](text.utf8).span)
  }

  /// The epoch that `text` spells in ASCII; nil where it is outside the grammar.
  public init?(_ text: borrowing Span<UInt8>) {
    guard text.count >= 1, text.count <= Self.bytesMax else { return nil }
    for word in 0..<(text.count + 7) / 8 {
      var value: UInt64 = 0
      for index in (word * 8)..<min(word * 8 + 8, text.count) {
        let byte = text[index]
        guard Self.isAllowed(byte) else { return nil }
        value |= UInt64(byte) << UInt64((index & 7) * 8)
      }
      words[word] = value
    }
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122, 45, 95: true
    default: false
    }
  }

  /// An epoch of 128 random bits.
  public init(random bits: (UInt64, UInt64)) {
    var writer = ByteWriter(reserving: 16)
    writer.u64(bits.0)
    writer.u64(bits.1)
    for (index, byte) in base64URL(writer.bytes).utf8.enumerated() {
      words[index / 8] |= UInt64(byte) << UInt64((index & 7) * 8)
    }
  }

  /// Length of its text in bytes.
  public var count: Int {
    var count = 0
    for word in 0..<4 where words[word] != 0 {
      count = word * 8 + 8 - words[word].leadingZeroBitCount / 8
    }
    return count
  }

  /// Appends its text in ASCII.
  public func append(to bytes: inout [UInt8]) {
    for word in 0..<4 {
      var value = words[word]
      while value != 0 {
        bytes.append(UInt8(truncatingIfNeeded: value))
        value >>= 8
      }
    }
  }

  public var text: String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.bytesMax)
    append(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  public var description: String { text }
}

/// Where a reader stands: an offset and the history it belongs to.
public struct Position: Hashable, Sendable, CustomStringConvertible {
  public var epoch: Epoch
  public var offset: Offset
  public init(epoch: Epoch, offset: Offset) {
    self.epoch = epoch
    self.offset = offset
  }
  public var description: String { "\(epoch):\(offset)" }

  /// The position that `EPOCH:OFFSET` spells.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let epoch = Epoch(String(text[..<colon])),
      let offset = UInt64(text[text.index(after: colon)...])
    else { return nil }
    self.init(epoch: epoch, offset: Offset(offset))
  }
}

/// What a payload's bytes are. The number is on the wire and on disk; it never changes meaning.
public enum PayloadKind: UInt8, Sendable, CaseIterable {
  /// Valid JSON that is not a bare string.
  case json = 1
  /// Text that its publisher declared to be text.
  case text = 2
  case binary = 3
  /// JSON with placeholders, and its binary attachments; see docs/PROTOCOL.md.
  case jsonWithParts = 4
  /// A raw socket's text frame: UTF-8 that nobody has parsed. Where it must be embedded, a valid
  /// JSON object or array is taken as that, anything else as text.
  case uncheckedText = 5

  /// Whether raw sockets carry it in a text frame.
  public var isText: Bool { self != .binary && self != .jsonWithParts }
}

/// Bytes and what they are.
public struct Payload: Hashable, Sendable {
  public var kind: PayloadKind
  public var bytes: [UInt8]
  public init(_ kind: PayloadKind, _ bytes: [UInt8]) {
    self.kind = kind
    self.bytes = bytes
  }
  public init(text: String) { self.init(.text, [UInt8](text.utf8)) }
  public init(json: String) { self.init(.json, [UInt8](json.utf8)) }
}
