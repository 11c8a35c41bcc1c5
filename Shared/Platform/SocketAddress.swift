/// Where a socket listens or connects.
public enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// A Unix stream socket at a path of at most `pathBytesMax` bytes.
  case unix(path: String)
  /// TCP at a host (numeric, or a name that is looked up) and port; port 0 picks a free one.
  case tcp(host: String, port: UInt16)

  /// The longest path that fits `sockaddr_un` with its final NUL.
  public static let pathBytesMax = 107

  /// Parses `unix:PATH`, `tcp:HOST:PORT` or `HOST:PORT`; IPv6 hosts stand in brackets.
  public init?(_ text: String) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst(5))
      guard !path.isEmpty, !path.utf8.contains(0) else { return nil }
      self = .unix(path: path)
      return
    }
    let rest = text.hasPrefix("tcp:") ? text.dropFirst(4) : text[...]
    guard let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...])
    else { return nil }
    var host = rest[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty else { return nil }
    self = .tcp(host: String(host), port: port)
  }

  public var description: String {
    switch self {
    case .unix(let path): "unix:\(path)"
    case .tcp(let host, let port):
      host.contains(":") ? "tcp:[\(host)]:\(port)" : "tcp:\(host):\(port)"
    }
  }

  /// `HOST:PORT` as it stands in a URL; the path for a Unix socket.
  public var authority: String {
    switch self {
    case .unix(let path): path
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }

  /// Whether only this machine can reach it.
  public var isLoopback: Bool {
    switch self {
    case .unix: true
    case .tcp(let host, _):
      host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
  }
}

/// Who is at the other end of an accepted connection.
public enum PeerIdentity: Equatable, Sendable {
  /// The process and user that `SO_PEERCRED` reports.
  case local(pid: Int32, uid: UInt32)
  /// The numeric address without its port.
  case remote(address: String)

  public var isLoopback: Bool {
    switch self {
    case .local: true
    case .remote(let address):
      Self.begins(address, Self.loopback) || address == "::1" || Self.begins(address, Self.mappedLoopback)
    }
  }

  private static let loopback = [UInt8]("127.".utf8)
  private static let mappedLoopback = [UInt8]("::ffff:127.".utf8)

  private static func begins(_ text: String, _ start: [UInt8]) -> Bool {
    let bytes = text.utf8Span.span
    guard bytes.count >= start.count else { return false }
    for index in start.indices where bytes[index] != start[index] { return false }
    return true
  }
}
