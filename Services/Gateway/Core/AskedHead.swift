internal import HTTPCodec
internal import Platform

/// A request's head with what follows from it alone: the door it is for, and who asks.
///
/// A back end that keeps its connection says the same head again and again, byte for byte. It is read
/// and judged once; what may change meanwhile, such as keys and limits, is asked each time.
/// Loop-confined.
final class AskedHead {
  let head: HTTPRequestHead
  let route: Route
  /// Who asks: the peer, or for whom it speaks if it is a trusted proxy.
  let client: PeerIdentity
  /// `POST /api/publish`.
  let isPublish: Bool
  let hasOrigin: Bool
  /// The request's own id, if it brings one.
  let id: RequestID?
  let bytesCount: Int
  /// What its API key opens, once that was asked.
  var key: APIKeys.Found?
  private var api: ServerAPI?

  /// BUDGET: kept of a connection's last head until the next one comes.
  static let keptBytesMax = 1024

  init(_ head: consuming HTTPRequestHead, _ route: Route, _ client: PeerIdentity) {
    isPublish = route == .api("publish") && head.method == .post
    hasOrigin = head.headers.contains("origin")
    id = RequestID(head.headers)
    bytesCount = head.headers.bytesCount
    self.head = head
    self.route = route
    self.client = client
  }

  /// Whether another like it may be let in as this one was: a call of the API with a body. Doors of
  /// the API are nobody else's, whatever routes the configuration has.
  var isKept: Bool {
    guard case .api = route, head.method == .post, case .length = head.framing else { return false }
    return bytesCount <= Self.keptBytesMax
  }

  /// Whether the same comes once more at `offset`.
  func isRepeated(in bytes: borrowing Span<UInt8>, at offset: Int) -> Bool {
    head.headers.areRepeated(in: bytes, at: offset)
  }

  /// The API as this head's key opens it.
  func api(_ gateway: GatewayLoop, _ key: APIKeys.Found) -> ServerAPI {
    if let api, api.found === key { return api }
    let made = ServerAPI(gateway, client, key)
    api = made
    return made
  }
}
