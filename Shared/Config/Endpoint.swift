/// Where a service listens, or is found: a Unix socket or a TCP address.
///
/// As text: `unix:/run/sapphire/hub.sock`, `tcp:127.0.0.1:7000`, `[::1]:7000`; the `tcp:` may be
/// left out. Port 0 lets the system choose, where one listens.
public enum Endpoint: Hashable, Sendable, CustomStringConvertible {
  case unix(String)
  case tcp(host: String, port: UInt16)

  /// `sun_path` of unix(7) holds 108 bytes, the closing zero included.
  public static let pathBytesMax = 107

  public enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    case shape
    case host(String)
    case port(String)
    case unbracketed
    case emptyPath
    case pathTooLong(Int)

    public var description: String {
      switch self {
      case .shape: "write HOST:PORT, [IPV6]:PORT or unix:PATH"
      case .host(let host): "\"\(host)\" is no host name and no IP address"
      case .port(let port): "\"\(port)\" is no port; write a number from 0 to 65535"
      case .unbracketed: "write an IPv6 address in brackets, such as [::1]:8000"
      case .emptyPath: "a path is needed after unix:"
      case .pathTooLong(let count):
        "the socket's path has \(count) bytes and Linux allows \(Endpoint.pathBytesMax); choose a "
          + "shorter directory (SAPPHIRE_DATA, --data) or a TCP address"
      }
    }
  }

  public init(_ text: String) throws(Refusal) {
    if text.hasPrefix("unix:") {
      self = try Self.socket(path: String(text.dropFirst(5)))
      return
    }
    let address = text.hasPrefix("tcp:") ? text.dropFirst(4) : text[...]
    guard let colon = address.lastIndex(of: ":") else { throw .shape }
    let portText = String(address[address.index(after: colon)...])
    guard !portText.isEmpty, portText.utf8.allSatisfy({ (48...57).contains($0) }),
      let port = UInt16(portText)
    else { throw .port(portText) }
    var host = String(address[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
      guard Self.isIPv6(host) else { throw .host(host) }
    } else {
      guard !host.contains(":") else { throw .unbracketed }
      guard Self.isHostName(host) else { throw .host(host) }
    }
    self = .tcp(host: host, port: port)
  }

  /// The Unix socket at `path`, which has 1 to 107 bytes and no NUL.
  public static func socket(path: String) throws(Refusal) -> Endpoint {
    guard !path.isEmpty, !path.utf8.contains(0) else { throw .emptyPath }
    guard path.utf8.count <= pathBytesMax else { throw .pathTooLong(path.utf8.count) }
    return .unix(path)
  }

  /// `unix:PATH` or `tcp:HOST:PORT`; reads back as the same endpoint.
  public var description: String {
    switch self {
    case .unix(let path): "unix:\(path)"
    case .tcp: "tcp:\(authority ?? "")"
    }
  }

  /// `HOST:PORT` as a URL wants it; nil for a Unix socket.
  public var authority: String? {
    guard case .tcp(let host, let port) = self else { return nil }
    return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  /// Whether only this machine can reach it: a Unix socket, 127.0.0.0/8, ::1 or localhost.
  public var isLoopback: Bool {
    guard case .tcp(let host, _) = self else { return true }
    if host == "::1" || host == "0:0:0:0:0:0:0:1" || host.lowercased() == "localhost" {
      return true
    }
    return host.hasPrefix("127.") && Self.isIPv4(host)
  }

  private static func isIPv4(_ host: String) -> Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { (1...3).contains($0.utf8.count) && UInt8($0) != nil }
  }

  /// The characters of an IPv6 address and at least two colons; the system has the last word.
  private static func isIPv6(_ host: String) -> Bool {
    let address = host.split(separator: "%", maxSplits: 1).first ?? ""
    let allowed = address.utf8.allSatisfy { byte in
      Character(Unicode.Scalar(byte)).isHexDigit || byte == UInt8(ascii: ":")
        || byte == UInt8(ascii: ".")
    }
    return allowed && address.utf8.filter { $0 == UInt8(ascii: ":") }.count >= 2
      && address.utf8.count <= 45
  }

  /// RFC 1123 §2.1 labels; a name of digits and points alone has to be an IPv4 address.
  private static func isHostName(_ host: String) -> Bool {
    guard (1...253).contains(host.utf8.count) else { return false }
    if host.utf8.allSatisfy({ (48...57).contains($0) || $0 == UInt8(ascii: ".") }) {
      return isIPv4(host)
    }
    return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
      (1...63).contains(label.utf8.count) && label.utf8.first != UInt8(ascii: "-")
        && label.utf8.last != UInt8(ascii: "-") && label.utf8.allSatisfy(isLabelByte)
    }
  }

  private static func isLabelByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 45, 48...57, 65...90, 95, 97...122: true
    default: false
    }
  }
}
