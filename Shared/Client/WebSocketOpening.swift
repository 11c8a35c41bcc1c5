internal import Bytes
internal import Crypto
internal import HTTPCodec
internal import WebSocketCodec

/// The opening handshake from the client's side (RFC 6455 §4.1): the request, and what the answer
/// means. Pure.
struct WebSocketOpening {
  enum Outcome: Equatable {
    case needsMore
    /// What follows are frames, compressed where that was agreed.
    case open(PermessageDeflate.Agreement?)
    /// The server answered with a status instead of 101.
    case refused(status: Int)
    /// What came is no answer to the request.
    case broken(reason: String)
  }

  let request: [UInt8]
  private let accept: String
  private let offersCompression: Bool
  private var reader = HTTPResponseReader()

  /// What is shown and offered to the server, in fields of the head.
  struct Terms {
    /// The key of the HTTP API; nil to show none.
    var key: String?
    /// What to sign in with; nil to come as anybody.
    var token: String?
    var offersCompression = false
  }

  /// - Parameters:
  ///   - path: origin form, percent-encoded.
  ///   - nonce: 16 random bytes.
  init(url: ServerURL, path: String, terms: Terms, nonce: [UInt8]) throws(HTTPError) {
    let challenge = base64(nonce)
    var head = try HTTPHeadWriter(method: .get, target: path, host: url.authority)
    try head.field("Upgrade", "websocket")
    try head.field("Connection", "Upgrade")
    try head.field("Sec-WebSocket-Version", "13")
    try head.field("Sec-WebSocket-Key", challenge)
    if let key = terms.key { try head.field("X-API-Key", key) }
    if let token = terms.token { try head.field("Authorization", "Bearer \(token)") }
    offersCompression = terms.offersCompression
    if offersCompression {
      try head.field("Sec-WebSocket-Extensions", PermessageDeflate.offer.headerValue)
    }
    request = head.end()
    accept = base64(SHA1.digest(WebSocketHandshake.acceptInput(key: challenge)))
  }

  /// Takes the server's bytes from `offset` on. After `.open` what follows are frames.
  mutating func received(_ bytes: borrowing Span<UInt8>, from offset: inout Int) -> Outcome {
    do throws(HTTPError) {
      guard let head = try reader.next(bytes, from: &offset, answering: .get) else {
        return .needsMore
      }
      guard head.status == .switchingProtocols else {
        return .refused(status: head.status.rawValue)
      }
      let isAccepted = WebSocketHandshake.isAccepted(
        status: head.status.rawValue, accept: accept,
        values: { $0 == Self.extensions && offersCompression ? [] : head.headers.all($0) })
      guard isAccepted else {
        return .broken(reason: "the answer does not complete the handshake")
      }
      let answer = head.headers.all(Self.extensions)
      guard offersCompression, !answer.isEmpty else { return .open(nil) }
      // RFC 6455 §4.1, RFC 7692 §5.1: an answer to something else fails the connection.
      guard let agreed = WebSocketExtension.parse(answer).flatMap({ PermessageDeflate.accept(answer: $0) })
      else { return .broken(reason: "the answer agrees to a compression that was not offered") }
      return .open(agreed)
    } catch {
      return .broken(reason: "the answer is no HTTP: \(error.reason)")
    }
  }

  private static let extensions = "sec-websocket-extensions"
}
