/// A connection that is a member by itself, where a channel's rule counts connections.
///
/// Presence makes one member of all connections of a user, and else of a session. So such a
/// connection reports no user, and as its session a name of its own that has the user in it:
/// `connection:OWN:USER`, where OWN is its session or its number. Pure.
public enum OwnMember {
  /// No session's public name has a colon.
  private static let mark = "connection:"
  /// What presence takes as a session's name.
  private static let bytesMax = 255

  /// Nil where the name would be too long: such a user is one member after all.
  public static func name(user: String, own: String) -> String? {
    let name = "\(mark)\(own):\(user)"
    return name.utf8.count <= bytesMax ? name : nil
  }

  /// The user of such a member; empty for every other session.
  public static func user(ofSession name: String) -> String {
    guard name.hasPrefix(mark) else { return "" }
    let rest = name.utf8.dropFirst(mark.utf8.count)
    guard let colon = rest.firstIndex(of: UInt8(ascii: ":")) else { return "" }
    return String(decoding: rest[rest.index(after: colon)...], as: UTF8.self)
  }
}
