internal import Bytes
internal import Config

/// Reads the header of the PROXY protocol, versions 1 and 2, at the beginning of a connection. Pure.
///
///     PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 CRLF
///     signature of 12 bytes | version and command | family | length, 2 bytes | addresses, extensions
///
/// Asked for on connections of trusted proxies alone, and needed there: what does not begin with
/// one is refused, so that nobody can slip in beside the proxy. Source: HAProxy's specification,
/// "The PROXY protocol", sections 2.1 and 2.2.
struct ProxyHeader {
  enum Outcome: Equatable {
    /// The header is not whole.
    case incomplete
    /// It ends at `end` and names this client; nil where the proxy speaks for itself, or for
    /// somebody without an IP address.
    case found(client: IPAddress?, end: Int)
    case malformed
  }

  /// The longest line of version 1, with its end.
  static let lineBytesMax = 107
  /// The longest header of version 2: addresses, and extensions that are passed over.
  static let bytesMax = 1_024

  private static let signature: [UInt8] = [
    0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
  ]

  static func read(_ input: borrowing Span<UInt8>) -> Outcome {
    guard input.count > 0 else { return .incomplete }
    if input[0] == signature[0] { return binary(input) }
    return line(input)
  }

  // MARK: version 1

  private static func line(_ input: borrowing Span<UInt8>) -> Outcome {
    let beginning = [UInt8]("PROXY ".utf8)
    for index in 0..<min(beginning.count, input.count) where input[index] != beginning[index] {
      return .malformed
    }
    var end = 0
    while end < input.count, input[end] != 13 {
      guard input[end] >= 32, input[end] < 127 else { return .malformed }
      end += 1
      guard end <= lineBytesMax - 2 else { return .malformed }
    }
    guard end + 1 < input.count else { return .incomplete }
    guard input[end + 1] == 10 else { return .malformed }
    let text = String(decoding: [UInt8](copying: input.extracting(0..<end)), as: UTF8.self)
    let parts = text.split(separator: " ", omittingEmptySubsequences: false)
    if parts.count >= 2, parts[1] == "UNKNOWN" { return .found(client: nil, end: end + 2) }
    guard parts.count == 6, let source = IPAddress(parts[2]), IPAddress(parts[3]) != nil,
      isPort(parts[4]), isPort(parts[5])
    else { return .malformed }
    switch parts[1] {
    case "TCP4":
      guard !parts[2].contains(":"), !parts[3].contains(":") else { return .malformed }
    case "TCP6": guard parts[2].contains(":"), parts[3].contains(":") else { return .malformed }
    default: return .malformed
    }
    return .found(client: source, end: end + 2)
  }

  private static func isPort(_ text: Substring) -> Bool {
    text.utf8.allSatisfy { $0 &- 48 < 10 } && (text == "0" || text.first != "0")
      && UInt16(text) != nil
  }

  // MARK: version 2

  private static func binary(_ input: borrowing Span<UInt8>) -> Outcome {
    for index in 0..<min(signature.count, input.count) where input[index] != signature[index] {
      return .malformed
    }
    guard input.count >= 16 else { return .incomplete }
    let end = 16 + (Int(input[14]) << 8 | Int(input[15]))
    guard input[12] >> 4 == 2, end <= bytesMax else { return .malformed }
    guard input.count >= end else { return .incomplete }
    switch input[12] & 15 {
    // The proxy itself, to see whether we are there.
    case 0: return .found(client: nil, end: end)
    case 1: break
    default: return .malformed
    }
    switch input[13] {
    // TCP and UDP over IPv4: source, destination, two ports.
    case 0x11, 0x12:
      guard end >= 16 + 12 else { return .malformed }
      return .found(client: IPAddress(ipv4: UInt32(truncatingIfNeeded: number(input, 16, 4))), end: end)
    case 0x21, 0x22:
      guard end >= 16 + 36 else { return .malformed }
      let source = IPAddress(high: number(input, 16, 8), low: number(input, 24, 8))
      return .found(client: source, end: end)
    case 0x00, 0x31, 0x32: return .found(client: nil, end: end)
    default: return .malformed
    }
  }

  private static func number(_ input: borrowing Span<UInt8>, _ start: Int, _ count: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in start..<(start + count) { value = value << 8 | UInt64(input[index]) }
    return value
  }
}
