internal import Bytes
internal import Config
internal import HTTPCodec
internal import Loop
internal import Platform

/// An answer that has no end: it takes the connection, which it is the last of.
protocol EndlessAnswer: Conversation {
  /// What follows on the connection is its own.
  func takes(_ connection: Connection)
  /// `head` goes out first.
  func begin(_ head: [UInt8])
}

/// One request and its answer. Keep it until it is answered; answering twice does nothing.
///
/// An answer is either whole (`respond`) or comes piece by piece: `beginStreaming`, `write` …,
/// `endStreaming`, for the request at the head of the line alone. Loop-confined.
final class HTTPExchange {
  private weak var conversation: HTTPConversation?
  /// Nil for bytes that are no request.
  let asked: AskedHead?
  let id: RequestID
  private let peer: PeerIdentity
  private let began: Instant
  /// Bytes of the request's body, and of the answer with its head.
  var receivedBytes: UInt64 = 0
  private var sentBytes: UInt64 = 0
  private var status = 0
  /// Of its body, while it is carried out.
  private var bodyBytes = 0
  /// What becomes of it is noted when its connection ends.
  private(set) var isHandedOver = false
  /// Pages of the origin that asks are told nothing.
  var hidesFromOrigin = false
  var closes: Bool
  /// The whole answer, once it is there; empty for one that was streamed.
  private(set) var response: [UInt8]?
  private(set) var isStreaming = false
  /// For answers that stream: called when the client's queue has emptied.
  var drained: (() -> Void)?
  /// The client has gone before the answer was complete.
  var abandoned: (() -> Void)?
  /// The answer is wanted now, whatever it waits for: nothing more can be waited for here.
  var hurried: (() -> Void)?
  /// Who takes the request's body, where that is no route's own business.
  var takesBody: (([UInt8]) -> Void)?
  /// The request's body is more than may come, or no body; the answer is this one's to give.
  var bodyRefused: (() -> Void)?
  /// What waits for the answers before this one.
  var start: (() -> Void)?
  /// The client that waits for the answer, where that is one with subscriptions.
  weak var session: ClientSession?

  init(
    _ conversation: HTTPConversation, _ asked: AskedHead
  ) {
    self.conversation = conversation
    self.asked = asked
    id = asked.id ?? conversation.owner.takeRequestID()
    began = conversation.owner.loop.now
    closes = !asked.head.keepAlive || asked.route.isEndless && asked.head.method != .options
    peer = asked.client
  }

  /// For bytes that are no request.
  init(_ conversation: HTTPConversation, from client: PeerIdentity) {
    self.conversation = conversation
    asked = nil
    peer = client
    id = conversation.owner.takeRequestID()
    began = conversation.owner.loop.now
    closes = true
  }

  var head: HTTPRequestHead? { asked?.head }
  var route: Route { asked?.route ?? .notFound }
  /// Who asks: the peer, or for whom it speaks if it is a trusted proxy.
  var client: PeerIdentity { peer }

  /// What the request's API key opens; nil without one that is in force.
  var key: APIKeyRule? { foundKey?.rule }

  /// The same by reference, and for no key as well; nil once there is nobody to answer.
  var foundKey: APIKeys.Found? {
    guard let asked, let conversation else { return nil }
    if let found = asked.key, conversation.owner.settings.access.keys.isInForce(found) { return found }
    let found = conversation.key(of: asked.head.headers)
    asked.key = found
    return found
  }

  /// Carries out a call of *publish*, all of whose body has come.
  func publish(_ body: borrowing Span<UInt8>, _ key: APIKeys.Found) {
    guard let conversation, let asked else { return }
    bodyBytes = body.count
    asked.api(conversation.owner, key).publish(self, body)
  }

  func finishRequest(_ body: [UInt8]) {
    guard let conversation else { return }
    bodyBytes = body.count
    if let takesBody {
      self.takesBody = nil
      return takesBody(body)
    }
    RequestHandler(conversation.owner).handle(self, body)
  }

  func respond(_ answer: Response) {
    guard response == nil, !isStreaming, let conversation else { return }
    complete(
      completed(answer).bytes(
        date: conversation.dateText, closes: closes, isHead: asked?.head.method == .head),
      answer.status, conversation)
  }

  /// Answers a call of *publish* that was carried out. What is due at once is written to where it
  /// leaves from.
  func respond(_ published: PublishResult) {
    guard let position = published.plainPosition, let asked, !closes, !asked.hasOrigin else {
      return respond(Response(.ok, "application/json", ServerAPI.answer(published)))
    }
    guard response == nil, !isStreaming, let conversation else { return }
    let gateway = conversation.owner
    let id = id
    let write = { (bytes: inout [UInt8]) in
      gateway.appendPlainHead(id, length: PlainPosition.length(position), to: &bytes)
      PlainPosition.append(position, to: &bytes)
    }
    var bytes: [UInt8] = []
    var count = 0
    if conversation.isDue(self) {
      count = conversation.write(write)
    } else {
      write(&bytes)
    }
    complete(bytes, .ok, conversation, written: count)
  }

  private func complete(
    _ bytes: [UInt8], _ status: HTTPStatus, _ conversation: HTTPConversation, written: Int = 0
  ) {
    self.status = status.rawValue
    sentBytes = UInt64(bytes.count + written)
    response = bytes
    bodyBytes = 0
    conversation.owner.memory.grew(by: bytes.count + written)
    conversation.answered()
  }

  /// What it makes the gateway hold: its body, until it is answered, then the answer, until those
  /// before it have gone out; what waits for a client with subscriptions.
  var heldBytes: Int { bodyBytes + (response?.count ?? session?.carriedBytes ?? 0) }

  /// The answer with what every answer says.
  private func completed(_ answer: Response) -> Response {
    var answer = answer
    // Answers differ by it, also those that were given without one (RFC 9110 §12.5.5).
    answer.fields.append(("Vary", "Origin"))
    if let origin = head?.headers.first("origin"), !hidesFromOrigin {
      answer.fields.append(("Access-Control-Allow-Origin", origin))
      let exposed = answer.isEndless ? "Last-Event-ID, \(Self.exposedFields)" : Self.exposedFields
      answer.fields.append(("Access-Control-Expose-Headers", exposed))
    }
    if let strict = conversation?.owner.settings.strictTransportSecurity {
      answer.fields.append(("Strict-Transport-Security", strict))
    }
    answer.fields.append((RequestID.field, id.description))
    if answer.status == .serviceUnavailable, !answer.fields.contains(where: { $0.0 == "Retry-After" }) {
      answer.fields.append(("Retry-After", "1"))
    }
    return answer
  }

  /// What a page of another origin may read besides what it always may (Fetch §4.9).
  private static let exposedFields =
    "Accept-Ranges, Allow, Content-Range, Date, ETag, Retry-After, WWW-Authenticate, X-Request-Id"

  /// What the access log says of it.
  func accessEntry(now: Instant, end: String? = nil) -> AccessLog.Entry {
    AccessLog.Entry(
      id: id.description, client: client, method: head?.method.rawValue ?? "-",
      route: AccessLog.pattern(route, head), status: status, received: receivedBytes,
      sent: sentBytes, time: now.since(began), agent: head?.headers.first("user-agent"), end: end)
  }

  // MARK: in its turn

  /// Runs `body` once all requests before this one are answered; at once if they are.
  func whenFirst(_ body: @escaping () -> Void) {
    guard let conversation else { return }
    if conversation.isFirst(self) { body() } else { start = body }
  }

  func becameFirst() {
    let body = start
    start = nil
    body?()
  }

  // MARK: piece by piece

  /// Begins an answer whose body follows with `write`. False where it can't: this request is not
  /// at the head of the line, or the client has gone.
  func beginStreaming(_ answer: Response) -> Bool {
    guard response == nil, !isStreaming, let conversation, conversation.isFirst(self) else {
      return false
    }
    isStreaming = true
    status = answer.status.rawValue
    send(completed(answer).bytes(date: conversation.dateText, closes: closes, isHead: true))
    return true
  }

  func write(_ bytes: [UInt8]) {
    if isStreaming { send(bytes) }
  }

  private func send(_ bytes: [UInt8]) {
    sentBytes &+= UInt64(bytes.count)
    conversation?.write(bytes)
  }

  /// Gives the connection to `feed`, which begins with this answer and ends with the connection.
  /// False where that can't be: the client has gone, or was answered.
  func handOver(to feed: any EndlessAnswer, _ answer: Response) -> Bool {
    guard response == nil, !isStreaming, let conversation, conversation.isFirst(self) else {
      return false
    }
    let date = conversation.dateText
    status = answer.status.rawValue
    let connection = conversation.connection
    isHandedOver = true
    guard conversation.handOver(to: feed) else {
      isHandedOver = false
      return false
    }
    connection.becameSocket(self, as: "stream", status: status)
    feed.begin(completed(answer).bytes(date: date, closes: true, isHead: true))
    return true
  }

  /// The connection this came on; nil once it has ended.
  var connection: Connection? { conversation?.connection }

  var queuedBytes: Int { conversation?.stream.queuedBytes ?? 0 }

  func endStreaming() {
    guard isStreaming, response == nil else { return }
    response = []
    conversation?.answered()
  }

  /// Ends the connection so that the client sees that it has not got the whole.
  func abort() { conversation?.stream.abort() }

  func resumeReading() { conversation?.resumeReading() }

  /// There is nobody to answer any more.
  func giveUp() {
    let told = abandoned
    (abandoned, drained, hurried, start) = (nil, nil, nil, nil)
    (takesBody, bodyRefused) = (nil, nil)
    told?()
  }
}
