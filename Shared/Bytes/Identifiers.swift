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
    let count = text.count
    guard count >= 1, count <= Self.bytesMax else { return nil }
    var start = 0
    while start < count {
      let missing = max(0, start &+ 8 &- count)
      let word = Self.word(text, at: start, missing: missing)
      // What is behind the text passes for letters.
      let padding = missing == 0 ? 0 : 0x6161_6161_6161_6161 &<< UInt64((8 &- missing) &* 8)
      guard Self.areAllowed(word | padding) else { return nil }
      words[start / 8] = word
      start &+= 8
    }
  }

  /// Eight bytes from `start` on, or as many as there are and zeros.
  private static func word(
    _ text: borrowing Span<UInt8>, at start: Int, missing: Int
  ) -> UInt64 {
    if let word = text.word(at: start &- missing) { return word >> UInt64(missing &* 8) }
    var word: UInt64 = 0
    for index in start..<text.count {
      word |= UInt64(text[index]) &<< UInt64((index &- start) &* 8)
    }
    return word
  }

  /// Whether eight bytes are letters, digits, `-` or `_`: all at once, since every publication has
  /// an epoch.
  private static func areAllowed(_ word: UInt64) -> Bool {
    let top: UInt64 = 0x8080_8080_8080_8080
    guard word & top == 0 else { return false }
    let letters = within(word | 0x2020_2020_2020_2020, 97, 122)
    let others = within(word, 48, 57) | within(word, 45, 45) | within(word, 95, 95)
    return (letters | others) & top == top
  }

  /// The highest bit of each byte that is `low` to `high`; of bytes below 128.
  private static func within(_ word: UInt64, _ low: UInt64, _ high: UInt64) -> UInt64 {
    let each: UInt64 = 0x0101_0101_0101_0101
    return (word &+ each &* (128 &- low)) & ~(word &+ each &* (127 &- high))
  }

  /// An epoch of 128 random bits: their big-endian bytes in base64url (RFC 4648 §5).
  public init(random bits: (UInt64, UInt64)) {
    for index in 0..<22 {
      let start = 6 * index
      // Six bits from `start` on, of both words in a row; the last digit has two, and four zeros.
      let digit =
        switch start {
        case 0...58: bits.0 >> UInt64(58 - start)
        case 60: bits.0 << 2 | bits.1 >> 62
        case 126: bits.1 << 4
        default: bits.1 >> UInt64(122 - start)
        }
      let byte = urlAlphabet[Int(truncatingIfNeeded: digit & 63)]
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
    bytes.append(addingCapacity: Self.bytesMax) { append(to: &$0) }
  }

  /// Appends its text in ASCII. There must be room for it.
  public func append(to output: inout OutputSpan<UInt8>) {
    for word in 0..<4 {
      var value = words[word]
      if value >> 56 != 0 {
        output.append(littleEndian: value)
        continue
      }
      while value != 0 {
        output.append(UInt8(truncatingIfNeeded: value))
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
