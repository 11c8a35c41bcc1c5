internal import Bytes

/// 48 bits that stand for an epoch where its text is too long. Pure.
///
/// Shape: the upper bits of FNV-1a-64 of the text; as text eight digits of base64url. Two epochs of one
/// channel, which are random, have the same tag once in 2^48 times.
struct EpochTag: Hashable {
  /// INVARIANT: below 2^48.
  let bits: UInt64

  init(bits: UInt64) { self.bits = bits & 0xFFFF_FFFF_FFFF }

  init(_ epoch: Epoch) {
    var text: [UInt8] = []
    epoch.append(to: &text)
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in text { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    self.init(bits: hash >> 16)
  }

  /// Nil for what is not eight digits.
  init?(_ text: some StringProtocol) {
    guard text.utf8.count == 8, let read = bytes(base64: String(text)), read.count == 6 else {
      return nil
    }
    bits = read.reduce(0) { $0 << 8 | UInt64($1) }
  }

  func append(to text: inout [UInt8]) {
    Base64Group.append(UInt32(bits >> 24), to: &text)
    Base64Group.append(UInt32(bits & 0xFF_FFFF), to: &text)
  }
}

/// 24 bits as four digits of base64url (RFC 4648 §5). Pure.
enum Base64Group {
  static func append(_ group: UInt32, to text: inout [UInt8]) {
    text.append(digit(group >> 18 & 63))
    text.append(digit(group >> 12 & 63))
    text.append(digit(group >> 6 & 63))
    text.append(digit(group & 63))
  }

  /// Over the four that stand at `start`, which has to be within `text`.
  static func put(_ group: UInt32, at start: Int, in text: inout [UInt8]) {
    text[start] = digit(group >> 18 & 63)
    text[start + 1] = digit(group >> 12 & 63)
    text[start + 2] = digit(group >> 6 & 63)
    text[start + 3] = digit(group & 63)
  }

  private static func digit(_ value: UInt32) -> UInt8 {
    let value = UInt8(truncatingIfNeeded: value)
    return switch value {
    case 0..<26: value &+ 65
    case 26..<52: value &+ 71
    case 52..<62: value &- 4
    case 62: 45
    default: 95
    }
  }
}
