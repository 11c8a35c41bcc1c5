internal import HTTPCodec
internal import Loop

/// One request and its answer. Keep it until it is answered; answering twice does nothing.
///
/// An answer is either whole (`respond`) or comes piece by piece: `beginStreaming`, `write` …,
/// `endStreaming`, for the request at the head of the line alone. Loop-confined.
final class HTTPExchange {
  private weak var conversation: HTTPConversation?
  let route: Route
  let head: HTTPRequestHead?
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
  /// What waits for the answers before this one.
  var start: (() -> Void)?

  init(_ conversation: HTTPConversation, _ head: HTTPRequestHead, _ route: Route) {
    self.conversation = conversation
    self.head = head
    self.route = route
    closes = !head.keepAlive || route.isEndless && head.method != .options
  }

  /// For bytes that are no request.
  init(_ conversation: HTTPConversation) {
    self.conversation = conversation
    head = nil
    route = .notFound
    closes = true
  }

  func finishRequest(_ body: [UInt8]) {
    guard let conversation else { return }
    RequestHandler(conversation.owner).handle(self, body)
  }

  func respond(_ answer: Response) {
    guard response == nil, !isStreaming, let conversation else { return }
    response = completed(answer).bytes(
      date: conversation.dateText, closes: closes, isHead: head?.method == .head)
    conversation.answered()
  }

  /// The answer with what every answer says.
  private func completed(_ answer: Response) -> Response {
    var answer = answer
    if let origin = head?.headers.first("origin"), answer.status != .forbidden {
      answer.fields.append(("Access-Control-Allow-Origin", origin))
      answer.fields.append(("Vary", "Origin"))
      if answer.isEndless { answer.fields.append(("Access-Control-Expose-Headers", "Last-Event-ID")) }
    }
    if let strict = conversation?.owner.settings.strictTransportSecurity {
      answer.fields.append(("Strict-Transport-Security", strict))
    }
    if answer.status == .serviceUnavailable, !answer.fields.contains(where: { $0.0 == "Retry-After" }) {
      answer.fields.append(("Retry-After", "1"))
    }
    return answer
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
    conversation.write(
      completed(answer).bytes(date: conversation.dateText, closes: closes, isHead: true))
    return true
  }

  func write(_ bytes: [UInt8]) {
    if isStreaming { conversation?.write(bytes) }
  }

  /// Gives the connection to `feed`, which begins with this answer and ends with the connection.
  /// False where that can't be: the client has gone, or was answered.
  func handOver(to feed: StreamSession, _ answer: Response) -> Bool {
    guard response == nil, !isStreaming, let conversation, conversation.isFirst(self) else {
      return false
    }
    let date = conversation.dateText
    guard conversation.handOver(to: feed) else { return false }
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
    told?()
  }
}
