/// Checks UTF-8 that arrives in pieces, and refuses it at the first byte that no valid text could
/// have there (Unicode 15 table 3-7, RFC 3629): no overlong forms, surrogates or code points over
/// U+10FFFF.
public struct UTF8Validator: Equatable, Sendable {
  /// Continuation bytes that the character begun still needs.
  private var needed: UInt8 = 0
  /// What the next continuation byte may be; 0x80 ... 0xBF except behind E0, ED, F0 and F4.
  private var low: UInt8 = 0x80
  private var high: UInt8 = 0xBF

  public init() {}

  /// Whether the text so far ends between two characters.
  public var isComplete: Bool { needed == 0 }

  /// Takes the next piece from `start` on; false as soon as the text can't be valid any more.
  ///
  /// Cost: linear; runs of ASCII go eight bytes a step.
  public mutating func take(_ piece: borrowing Span<UInt8>, from start: Int = 0) -> Bool {
    var index = start
    while index < piece.count {
      if needed == 0 {
        index = skipASCII(piece, from: index)
        guard index < piece.count else { return true }
      }
      guard accept(piece[index]) else { return false }
      index &+= 1
    }
    return true
  }

  private mutating func accept(_ byte: UInt8) -> Bool {
    if needed > 0 {
      guard byte >= low, byte <= high else { return false }
      needed -= 1
      (low, high) = (0x80, 0xBF)
      return true
    }
    switch byte {
    case 0x00...0x7F: return true
    case 0xC2...0xDF: needed = 1
    case 0xE0: (needed, low) = (2, 0xA0)
    case 0xED: (needed, high) = (2, 0x9F)
    case 0xE1...0xEF: needed = 2
    case 0xF0: (needed, low) = (3, 0x90)
    case 0xF1...0xF3: needed = 3
    case 0xF4: (needed, high) = (3, 0x8F)
    default: return false
    }
    return true
  }
}
