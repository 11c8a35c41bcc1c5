internal import Config
internal import HTTPCodec
internal import Platform

/// Whose word on where a client comes from is believed (row 101). Pure.
///
/// Nobody's, unless the configuration names proxies. What a client writes into such a field itself
/// stands left of what the first proxy of ours adds, and is never looked at.
struct TrustedProxies: Sendable {
  var ranges: [AddressRange] = []
  /// Peers on a Unix socket are proxies.
  var trustsUnix = false
  /// The field that the proxies write; the other one is anybody's.
  var field = ForwardedField.xForwardedFor
  /// Connections of proxies begin with a header of the PROXY protocol.
  var speakProxyProtocol = false

  /// BUDGET: addresses of one field that are looked at, from the right.
  static let hopsMax = 32

  func contains(_ peer: PeerIdentity) -> Bool {
    switch peer {
    case .local: trustsUnix
    case .remote(let address): ranges.isEmpty ? false : IPAddress(address).map(contains) ?? false
    }
  }

  private func contains(_ address: IPAddress) -> Bool { ranges.contains { $0.contains(address) } }

  /// Who asks: the peer, or the client that a proxy names. A proxy that names none, or nobody that
  /// can be understood, asks for itself.
  func client(of peer: PeerIdentity, _ headers: HTTPHeaders) -> PeerIdentity {
    guard contains(peer) else { return peer }
    var client = peer
    for element in headers.list(field.rawValue).reversed().prefix(Self.hopsMax) {
      guard let address = Self.address(element, field) else { break }
      client = .remote(address: address.description)
      guard contains(address) else { break }
    }
    return client
  }

  /// By which scheme the client asks: the connection's own, or what a proxy says of it. Nil where a
  /// proxy doesn't say, or several don't agree.
  func scheme(of peer: PeerIdentity, isSecure: Bool, _ headers: HTTPHeaders) -> WebScheme? {
    guard contains(peer) else { return isSecure ? .https : .http }
    let told: [WebScheme?] =
      switch field {
      case .xForwardedFor: headers.list("x-forwarded-proto").map { Self.scheme($0[...]) }
      case .forwarded:
        headers.list("forwarded").map { Self.parameter("proto", of: $0).flatMap(Self.scheme) }
      }
    guard let first = told.first, told.allSatisfy({ $0 == first }) else { return nil }
    return first
  }

  /// Some proxies name a socket's scheme.
  private static func scheme(_ text: Substring) -> WebScheme? {
    switch text.lowercased() {
    case "https", "wss": .https
    case "http", "ws": .http
    default: nil
    }
  }

  /// - Parameter element: `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`; in a Forwarded field the
  ///   value of `for`, perhaps quoted (RFC 7239 §4). `unknown` and hidden names give nil.
  private static func address(_ element: String, _ field: ForwardedField) -> IPAddress? {
    guard field == .forwarded else { return node(element[...]) }
    return parameter("for", of: element).flatMap(node)
  }

  /// One parameter of an element of a Forwarded field, without quotes; nil where it stands twice.
  private static func parameter(_ name: String, of element: String) -> Substring? {
    var found: Substring?
    for pair in element.split(separator: ";") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, trimmed(parts[0]).lowercased() == name else { continue }
      guard found == nil else { return nil }
      found = trimmed(parts[1])
    }
    guard let value = found, value.hasPrefix("\"") else { return found }
    guard value.count >= 2, value.hasSuffix("\"") else { return nil }
    return value.dropFirst().dropLast()
  }

  private static func node(_ text: Substring) -> IPAddress? {
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]"), isPort(text[text.index(after: end)...]) else {
        return nil
      }
      return IPAddress(text[text.index(after: text.startIndex)..<end])
    }
    let colons = text.utf8.count { $0 == UInt8(ascii: ":") }
    guard colons == 1, let colon = text.firstIndex(of: ":") else { return IPAddress(text) }
    return isPort(text[colon...]) ? IPAddress(text[..<colon]) : nil
  }

  /// Nothing, or `:` and digits.
  private static func isPort(_ text: Substring) -> Bool {
    text.isEmpty
      || text.first == ":" && (2...6).contains(text.utf8.count)
        && text.dropFirst().utf8.allSatisfy { $0 &- 48 < 10 }
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text.drop { $0 == " " || $0 == "\t" }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}
