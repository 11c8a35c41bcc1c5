/// Base64 with padding (RFC 4648 §4).
public func base64(_ bytes: [UInt8]) -> String {
  encode(bytes, alphabet: standardAlphabet, padded: true)
}

/// Base64 for URLs and file names, without padding (RFC 4648 §5).
public func base64URL(_ bytes: [UInt8]) -> String {
  encode(bytes, alphabet: urlAlphabet, padded: false)
}

/// The bytes of standard or URL base64, padded or not; nil for anything else.
public func bytes(base64 text: String) -> [UInt8]? {
  var digits = [UInt8](text.utf8)
  if digits.count.isMultiple(of: 4) {
    for _ in 0..<2 where digits.last == UInt8(ascii: "=") { digits.removeLast() }
  }
  guard digits.count % 4 != 1 else { return nil }
  var result: [UInt8] = []
  result.reserveCapacity(digits.count * 3 / 4)
  var bits: UInt32 = 0
  var held = 0
  for digit in digits {
    guard let value = value(ofBase64: digit) else { return nil }
    bits = bits << 6 | UInt32(value)
    held += 6
    if held >= 8 {
      held -= 8
      result.append(UInt8(truncatingIfNeeded: bits >> UInt32(held)))
    }
  }
  // Bits left over must be zero, or two texts would stand for the same bytes.
  guard bits & (1 << UInt32(held) - 1) == 0 else { return nil }
  return result
}

/// Whether `text` is standard or URL base64 of so many bytes, padded; makes nothing.
public func isPaddedBase64(_ text: String, byteCount: Int) -> Bool {
  let padding = (3 - byteCount % 3) % 3
  let digits = (byteCount + 2) / 3 * 4 - padding
  let bytes = text.utf8Span.span
  guard bytes.count == digits + padding else { return false }
  var last: UInt8 = 0
  for index in 0..<digits {
    guard let value = value(ofBase64: bytes[index]) else { return false }
    last = value
  }
  for index in digits..<bytes.count where bytes[index] != UInt8(ascii: "=") { return false }
  // Bits left over are zero, as `bytes(base64:)` has them.
  return last & (1 << UInt8(padding * 2) - 1) == 0
}

/// Writes standard base64 with padding behind what is there.
public func appendBase64(_ bytes: [UInt8], to text: inout [UInt8]) {
  append(bytes, alphabet: standardAlphabet, padded: true, to: &text)
}

private let standardAlphabet = [UInt8](
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
let urlAlphabet = [UInt8](
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

private func encode(_ bytes: [UInt8], alphabet: [UInt8], padded: Bool) -> String {
  var text: [UInt8] = []
  text.reserveCapacity((bytes.count + 2) / 3 * 4)
  append(bytes, alphabet: alphabet, padded: padded, to: &text)
  return String(decoding: text, as: UTF8.self)
}

private func append(
  _ bytes: [UInt8], alphabet: [UInt8], padded: Bool, to text: inout [UInt8]
) {
  var index = 0
  while index < bytes.count {
    let left = bytes.count - index
    let a = UInt32(bytes[index])
    let b = left > 1 ? UInt32(bytes[index + 1]) : 0
    let c = left > 2 ? UInt32(bytes[index + 2]) : 0
    let word = a << 16 | b << 8 | c
    text.append(alphabet[Int(word >> 18 & 63)])
    text.append(alphabet[Int(word >> 12 & 63)])
    if left > 1 { text.append(alphabet[Int(word >> 6 & 63)]) } else if padded { text.append(61) }
    if left > 2 { text.append(alphabet[Int(word & 63)]) } else if padded { text.append(61) }
    index += 3
  }
}

private func value(ofBase64 digit: UInt8) -> UInt8? {
  switch digit {
  case 65...90: digit - 65
  case 97...122: digit - 71
  case 48...57: digit + 4
  case 43, 45: 62
  case 47, 95: 63
  default: nil
  }
}
