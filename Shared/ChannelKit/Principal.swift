/// One entry of a list of who may do something, as configurations spell it: `anonymous` (everybody),
/// `user:*` (whoever is signed in), `user:NAME`, `role:NAME`, `api`.
public enum Principal: Hashable, Sendable, CustomStringConvertible {
  case anyone
  /// Every client whose user is known.
  case users
  case user(UserID)
  case role(String)
  /// Whoever publishes without a connection.
  case api

  /// Nil for any other text.
  public init?(_ text: String) {
    switch text {
    case "anonymous": self = .anyone
    case "user:*": self = .users
    case "api": self = .api
    default:
      guard let colon = text.firstIndex(of: ":") else { return nil }
      let rest = String(text[text.index(after: colon)...])
      guard !rest.isEmpty else { return nil }
      switch text[..<colon] {
      case "user": self = .user(UserID(rest))
      case "role": self = .role(rest)
      default: return nil
      }
    }
  }

  public func includes(_ client: ClientContext) -> Bool {
    switch self {
    case .anyone: true
    case .users: client.user != nil
    case .user(let id): client.user == id
    case .role(let name): client.has(role: name)
    case .api: client.isAPI
    }
  }

  public var description: String {
    switch self {
    case .anyone: "anonymous"
    case .users: "user:*"
    case .user(let id): "user:\(id)"
    case .role(let name): "role:\(name)"
    case .api: "api"
    }
  }
}

extension Sequence<Principal> {
  /// Whether any of the list includes the client.
  public func include(_ client: ClientContext) -> Bool { contains { $0.includes(client) } }
}
