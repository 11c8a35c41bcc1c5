internal import Bytes
internal import Crypto

/// The secret by which a client of Socket.IO comes back to where it was, its `pid`. Pure.
///
/// Shape: a session token, 22 characters; 8 that bind it to the client's user, so that what one user
/// left is nothing that another comes back to; and 8 more where the client brought a position that
/// it could not be brought to. It keeps that until it is told another one, and may bring it again.
/// All that a gateway needs to know is in it: no gateway keeps it.
struct RecoveryPID: Equatable {
  let token: SessionToken
  let text: String
  private let stale: String

  private static let tokenLength = 22
  private static let markLength = 8

  /// A new one.
  ///
  /// - Parameter stale: the position of an earlier connection that the client has still.
  init(of user: String?, stale: String? = nil) {
    let token = SessionToken()
    self.init(token, user, stale.map { Self.mark(token, 3, $0) } ?? "")
  }

  /// Nil for what no gateway has given to this user.
  init?(_ text: String, of user: String?) {
    let short = Self.tokenLength + Self.markLength
    guard text.utf8.count == short || text.utf8.count == short + Self.markLength,
      let token = SessionToken(String(text.prefix(Self.tokenLength)))
    else { return nil }
    self.init(token, user, String(text.dropFirst(short)))
    guard self.text == text else { return nil }
  }

  private init(_ token: SessionToken, _ user: String?, _ stale: String) {
    self.token = token
    self.stale = stale
    text = token.text + Self.mark(token, 1, user ?? "") + stale
  }

  /// Whether the client brings the position that it had before this secret.
  func isStale(_ position: String) -> Bool { !stale.isEmpty && Self.mark(token, 3, position) == stale }

  /// The client's number, and by that its `sid`: the same each time it comes back, and nobody can
  /// choose a secret that gives a certain one.
  var clientNumber: UInt64 {
    let number = Self.digest(token, 2, "").prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return max(1, number)
  }

  private static func mark(_ token: SessionToken, _ purpose: UInt8, _ text: String) -> String {
    base64URL(Array(digest(token, purpose, text).prefix(markLength / 4 * 3)))
  }

  private static func digest(_ token: SessionToken, _ purpose: UInt8, _ text: String) -> [UInt8] {
    SHA256.digest(Array(token.text.utf8) + [purpose] + Array(text.utf8))
  }
}
