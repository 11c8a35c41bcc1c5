/// An IP address as a number; IPv4 addresses are those of `::ffff:0:0/96`, so that both ways to
/// write one are equal.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
  public let high: UInt64
  public let low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  public init(ipv4 value: UInt32) { self.init(high: 0, low: Self.mapped | UInt64(value)) }

  private static let mapped: UInt64 = 0xFFFF_0000_0000

  /// The value of an IPv4 address.
  public var ipv4: UInt32? {
    high == 0 && low & ~0xFFFF_FFFF == Self.mapped ? UInt32(truncatingIfNeeded: low) : nil
  }

  /// - Parameter text: dotted decimal without leading zeros, or RFC 4291 §2.2; a zone behind `%` is
  ///   passed over. Nil for anything else, brackets and ports included.
  public init?(_ text: some StringProtocol) {
    guard text.utf8.count <= 64 else { return nil }
    guard text.utf8.contains(UInt8(ascii: ":")) else {
      guard let value = Self.dotted(Substring(text)) else { return nil }
      self.init(ipv4: value)
      return
    }
    guard let groups = Self.groups(Substring(text.prefix { $0 != "%" })) else { return nil }
    self.init(
      high: groups[0..<4].reduce(0) { $0 << 16 | UInt64($1) },
      low: groups[4..<8].reduce(0) { $0 << 16 | UInt64($1) })
  }

  private static func dotted(_ text: Substring) -> UInt32? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
      guard part.utf8.allSatisfy({ $0 &- 48 < 10 }), part == "0" || part.first != "0",
        let byte = UInt8(part)
      else { return nil }
      value = value << 8 | UInt32(byte)
    }
    return value
  }

  /// The eight groups; `::` stands once for one or more that are zero.
  private static func groups(_ text: Substring) -> [UInt16]? {
    let halves = halves(text)
    guard let head = run(halves.head, endsAddress: halves.tail == nil) else { return nil }
    guard let tail = halves.tail else { return head.count == 8 ? head : nil }
    guard let rest = run(tail, endsAddress: true), head.count + rest.count < 8 else { return nil }
    return head + Array(repeating: 0, count: 8 - head.count - rest.count) + rest
  }

  /// What stands before the first `::` and behind it.
  private static func halves(_ text: Substring) -> (head: Substring, tail: Substring?) {
    var index = text.startIndex
    while index < text.endIndex {
      let next = text.index(after: index)
      if text[index] == ":", next < text.endIndex, text[next] == ":" {
        return (text[..<index], text[text.index(after: next)...])
      }
      index = next
    }
    return (text, nil)
  }

  private static func run(_ text: Substring, endsAddress: Bool) -> [UInt16]? {
    guard !text.isEmpty else { return [] }
    var groups: [UInt16] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if endsAddress, index == parts.count - 1, let value = dotted(part) {
        groups += [UInt16(value >> 16), UInt16(truncatingIfNeeded: value)]
        continue
      }
      guard (1...4).contains(part.utf8.count), part.first?.isHexDigit == true,
        let group = UInt16(part, radix: 16)
      else { return nil }
      groups.append(group)
    }
    return groups.count <= 8 ? groups : nil
  }

  public var description: String {
    if let ipv4 {
      let bytes: [UInt32] = [ipv4 >> 24, ipv4 >> 16 & 255, ipv4 >> 8 & 255, ipv4 & 255]
      return bytes.map { String($0) }.joined(separator: ".")
    }
    var groups: [String] = []
    for half in [high, low] {
      for shift: UInt64 in [48, 32, 16, 0] { groups.append(String(half >> shift & 0xFFFF, radix: 16)) }
    }
    guard let gap = Self.longestZeros(groups) else { return groups.joined(separator: ":") }
    return groups[..<gap.lowerBound].joined(separator: ":") + "::"
      + groups[gap.upperBound...].joined(separator: ":")
  }

  /// What `::` stands for (RFC 5952 §4.2): the first of the longest runs of two or more.
  private static func longestZeros(_ groups: [String]) -> Range<Int>? {
    var longest: Range<Int>?
    var start = 0
    for index in 0...groups.count where index == groups.count || groups[index] != "0" {
      if index - start >= 2, index - start > longest?.count ?? 0 { longest = start..<index }
      start = index + 1
    }
    return longest
  }
}

/// Addresses that begin alike, as `10.0.0.0/8` or `2001:db8::/32`; one address is a range too.
public struct AddressRange: Hashable, Sendable {
  public let first: IPAddress
  /// Leading bits that count, of 128.
  public let prefix: Int

  /// Nil where `text` is no address with perhaps `/` and a number of bits, or has bits set behind
  /// those that count, which is more likely a slip than meant.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = IPAddress(parts[0]), !parts[0].contains("%") else { return nil }
    let isShort = !parts[0].contains(":")
    var prefix = 128
    if parts.count == 2 {
      let most = isShort ? 32 : 128
      guard parts[1].utf8.allSatisfy({ $0 &- 48 < 10 }), let bits = Int(parts[1]), bits <= most
      else { return nil }
      prefix = isShort ? 96 + bits : bits
    }
    guard Self.masked(address, prefix) == address else { return nil }
    first = address
    self.prefix = prefix
  }

  public func contains(_ address: IPAddress) -> Bool { Self.masked(address, prefix) == first }

  private static func masked(_ address: IPAddress, _ prefix: Int) -> IPAddress {
    // A shift by the whole width gives zero in Swift.
    let high = prefix >= 64 ? UInt64.max : ~(UInt64.max >> UInt64(prefix))
    let low = prefix <= 64 ? 0 : ~(UInt64.max >> UInt64(prefix - 64))
    return IPAddress(high: address.high & high, low: address.low & low)
  }
}
