public import Platform

/// The base URL of a server: `http://HOST:PORT`, with nothing behind the port but slashes.
public struct ServerURL: Hashable, Sendable, CustomStringConvertible {
  /// `http` or `https`.
  public let scheme: String
  public let host: String
  public let port: UInt16

  public init?(_ text: String) {
    guard let mark = text.firstRange(of: "://") else { return nil }
    let scheme = text[..<mark.lowerBound].lowercased()
    guard scheme == "http" || scheme == "https" else { return nil }
    var rest = String(text[mark.upperBound...])
    while rest.hasSuffix("/") { rest.removeLast() }
    let hasPort = !rest.hasSuffix("]") && rest.contains(":")
    if !hasPort { rest += scheme == "http" ? ":80" : ":443" }
    guard case .tcp(let host, let port) = SocketAddress("tcp:" + rest),
      host.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") })
    else { return nil }
    self.init(scheme: scheme, host: host, port: port)
  }

  public init(scheme: String, host: String, port: UInt16) {
    self.scheme = scheme
    self.host = host
    self.port = port
  }

  /// Whether it is spoken to through TLS.
  public var isSecure: Bool { scheme == "https" }

  public var address: SocketAddress { .tcp(host: host, port: port) }

  /// `HOST:PORT` for the Host field.
  public var authority: String { address.authority }

  public var description: String { "\(scheme)://\(authority)" }

  /// The same server as a program of this machine reaches it: the wildcards are no hosts.
  public var reachable: ServerURL {
    switch host {
    case "0.0.0.0": ServerURL(scheme: scheme, host: "127.0.0.1", port: port)
    case "::": ServerURL(scheme: scheme, host: "::1", port: port)
    default: self
    }
  }
}
