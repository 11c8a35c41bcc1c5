/// A host and perhaps a port, as in the Host field, a URL or an Origin (RFC 9110 §7.2).
public struct HTTPAuthority: Hashable, Sendable, CustomStringConvertible {
  /// In lower case; an IPv6 address with its brackets.
  public let host: String
  public let port: UInt16?

  /// Nil where `text` is not `host`, `host:port`, `[address]` or `[address]:port`.
  ///
  /// Hosts hold letters, digits and `-._~`, addresses hexadecimal digits, `:` and `.`. User names,
  /// empty hosts, empty ports and percent-encoding are refused.
  public init?(_ text: String) {
    let bytes = Array(text.utf8)
    self.init(bytes, 0..<bytes.count)
  }

  init?(_ bytes: [UInt8], _ range: Range<Int>) {
    guard let hostEnd = Self.hostEnd(bytes, range) else { return nil }
    var port: UInt16?
    if hostEnd < range.upperBound {
      guard let parsed = Self.port(bytes, (hostEnd + 1)..<range.upperBound) else { return nil }
      port = parsed
    }
    let host = range.lowerBound..<hostEnd
    self.host =
      host.allSatisfy { ByteClass.lower(bytes[$0]) == bytes[$0] }
      ? String(decoding: bytes[host], as: UTF8.self)
      : String(decoding: bytes[host].map(ByteClass.lower), as: UTF8.self)
    self.port = port
  }

  /// Whether `bytes[range]` is an authority; makes no text.
  static func isValid(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
    guard let end = hostEnd(bytes, range) else { return false }
    return end == range.upperBound || port(bytes, (end + 1)..<range.upperBound) != nil
  }

  /// The end of the host; what stands there, if anything, is a colon.
  private static func hostEnd(_ bytes: [UInt8], _ range: Range<Int>) -> Int? {
    guard !range.isEmpty else { return nil }
    let isAddress = bytes[range.lowerBound] == UInt8(ascii: "[")
    var index = range.lowerBound + (isAddress ? 1 : 0)
    let start = index
    while index < range.upperBound, isHostByte(bytes[index], isAddress) { index += 1 }
    guard index > start else { return nil }
    if isAddress {
      guard index < range.upperBound, bytes[index] == UInt8(ascii: "]") else { return nil }
      index += 1
    }
    guard index == range.upperBound || bytes[index] == UInt8(ascii: ":") else { return nil }
    return index
  }

  private static func isHostByte(_ byte: UInt8, _ isAddress: Bool) -> Bool {
    if isAddress { return ByteClass.hexValue(byte) != nil || byte == 58 || byte == 46 }
    return ByteClass.isAlphanumeric(byte) || byte == 45 || byte == 46 || byte == 95 || byte == 126
  }

  private static func port(_ bytes: [UInt8], _ range: Range<Int>) -> UInt16? {
    guard (1...5).contains(range.count) else { return nil }
    var value: UInt32 = 0
    for index in range {
      guard ByteClass.isDigit(bytes[index]) else { return nil }
      value = value * 10 + UInt32(bytes[index] - 48)
    }
    return UInt16(exactly: value)
  }

  public var description: String { port.map { "\(host):\($0)" } ?? host }
}
