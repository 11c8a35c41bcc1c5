internal import Bytes
internal import Crypto
internal import HTTPCodec
internal import WebSocketCodec

/// The opening handshake from the client's side (RFC 6455 §4.1): the request, and what the answer
/// means. Pure.
struct WebSocketOpening {
  enum Outcome: Equatable {
    case needsMore
    case open
    /// The server answered with a status instead of 101.
    case refused(status: Int)
    /// What came is no answer to the request.
    case broken(reason: String)
  }

  let request: [UInt8]
  private let accept: String
  private var reader = HTTPResponseReader()

  /// - Parameters:
  ///   - path: origin form, percent-encoded.
  ///   - key: the key of the HTTP API, sent as a header; nil to come as anybody.
  ///   - nonce: 16 random bytes.
  init(url: ServerURL, path: String, key: String?, nonce: [UInt8]) throws(HTTPError) {
    let challenge = base64(nonce)
    var head = try HTTPHeadWriter(method: .get, target: path, host: url.authority)
    try head.field("Upgrade", "websocket")
    try head.field("Connection", "Upgrade")
    try head.field("Sec-WebSocket-Version", "13")
    try head.field("Sec-WebSocket-Key", challenge)
    if let key { try head.field("X-API-Key", key) }
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
        status: head.status.rawValue, accept: accept, values: { head.headers.all($0) })
      return isAccepted ? .open : .broken(reason: "the answer does not complete the handshake")
    } catch {
      return .broken(reason: "the answer is no HTTP: \(error.reason)")
    }
  }
}
