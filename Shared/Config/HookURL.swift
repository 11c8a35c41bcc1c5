/// Where a back end answers a hook: `http://HOST[:PORT]/PATH[?QUERY]`, or `https://…`.
public struct HookURL: Sendable, Hashable, CustomStringConvertible {
  /// Whether it is spoken to through TLS.
  public let isSecure: Bool
  public let host: String
  public let port: UInt16
  /// Path and query as they stand in a request.
  public let target: String

  /// Nil for what is no such address: another scheme, a user's name in it, a fragment, a blank.
  public init?(_ text: String) {
    let scheme = ["https://", "http://"].first { text.hasPrefix($0) }
    guard let scheme, text.utf8.allSatisfy({ $0 > 32 && $0 < 127 }),
      !text.utf8.contains(where: { $0 == UInt8(ascii: "#") || $0 == UInt8(ascii: "\\") })
    else { return nil }
    let rest = text.dropFirst(scheme.count)
    let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
    let authority = String(rest[..<end])
    let path = String(rest[end...])
    isSecure = scheme == "https://"
    let standard: UInt16 = scheme == "https://" ? 443 : 80
    let hasPort = !authority.hasSuffix("]") && authority.contains(":")
    guard !authority.hasPrefix("unix:"), !authority.hasPrefix("tcp:"),
      case .tcp(let host, let port)? = try? Endpoint(
        hasPort ? authority : "\(authority):\(standard)"), port != 0
    else { return nil }
    self.host = host
    self.port = port
    target = path.isEmpty ? "/" : path.hasPrefix("?") ? "/\(path)" : path
  }

  /// `HOST`, or `HOST:PORT` where that is not the scheme's own, as it stands in the Host field.
  public var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
  }

  /// The address without its query, which may hold a secret.
  public var description: String {
    let path = target.split(separator: "?", omittingEmptySubsequences: false).first ?? ""
    return "\(isSecure ? "https" : "http")://\(authority)\(path)"
  }
}
