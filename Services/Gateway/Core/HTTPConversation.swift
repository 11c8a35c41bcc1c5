internal import Bytes
internal import HTTPCodec
internal import Loop
internal import Observe
internal import Platform

/// Requests and answers on one connection, in order, however long each answer takes (RFC 9112 §9.3).
///
/// Reads ahead up to a bound of requests under way, so that a pipelining client does not wait for
/// the hub request by request; reads no further while the client leaves its answers unread.
///
///     reading ──▶ isClosing: no further request is read, answers due still go out
///                 ──▶ isClosed: the last answer is queued; the stream ends once it is written
///
/// Loop-confined.
final class HTTPConversation: Conversation {
  let connection: Connection
  let gateway: GatewayLoop
  private var reader: HTTPRequestReader
  /// The reader has part of a head.
  private(set) var isHeadBegun = false
  var current: Reading?
  var exchanges: [HTTPExchange] = []
  var isClosing = false
  var isClosed = false
  var isAnswering = false
  /// Requests wait to be read until answers have gone out.
  var isPaused = false
  /// The client sends nothing more, and may still read.
  var hasPeerFinished = false
  var deadlines: HTTPDeadlines
  var receivedBytes: UInt64 = 0
  var sentBytes: UInt64 = 0
  var requests = 0
  /// What the last key opened: a back end says the same one in each request.
  private var knownKey: APIKeys.Found?
  /// The last head, if another like it may be let in as it was.
  private var lastHead: AskedHead?

  /// BUDGET: requests under way on one connection; more are read when some are answered.
  static let exchangesMax = 64
  /// BUDGET: of a body that nobody will look at.
  static let unusedBodyBytesMax = 64 * 1024
  /// A queue no longer than this may be left to the stream's own deadline for closing.
  static let closingBytesMax = 64 * 1024

  init(_ connection: Connection) {
    self.connection = connection
    gateway = connection.gateway
    reader = HTTPRequestReader(limits: gateway.settings.head)
    deadlines = HTTPDeadlines(gateway.loop.now)
  }

  var owner: GatewayLoop { gateway }
  var stream: Stream { connection.stream }

  func key(of headers: HTTPHeaders) -> APIKeys.Found {
    let found = gateway.settings.access.keys.find(headers, known: knownKey)
    knownKey = found
    return found
  }

  // MARK: reading

  func received(_ bytes: borrowing Span<UInt8>) -> Int {
    deadlines.bytesWent(gateway.loop.now)
    var offset = 0
    do throws(HTTPError) {
      while offset < bytes.count, !isClosing {
        if current != nil {
          guard try readBody(bytes, &offset) else { break }
          continue
        }
        guard hasRoom else {
          isPaused = true
          stream.pauseReading()
          stream.tellWhenEmpty()
          break
        }
        if !isHeadBegun, let lastHead, lastHead.isRepeated(in: bytes, at: offset) {
          offset += lastHead.bytesCount
          gateway.metrics.requests.add()
          _ = begin(lastHead, isKnown: true, bytes, &offset)
          continue
        }
        if !isHeadBegun { deadlines.headBegins(gateway.loop.now) }
        isHeadBegun = true
        guard let head = try reader.next(bytes, from: &offset) else { break }
        isHeadBegun = false
        gateway.metrics.requests.add()
        deadlines.headEnded()
        if exchanges.isEmpty, connection.canMove, let loop = gateway.engines.otherLoop(of: head) {
          let rest = [UInt8](copying: bytes.extracting(offset..<bytes.count))
          return leave(for: loop, head, rest, bytes.count)
        }
        if begin(read(head), isKnown: false, bytes, &offset) { return offset }
      }
    } catch {
      gateway.metrics.limits.reached(error)
      fail(Self.refusal(error))
    }
    return isClosing ? bytes.count : offset
  }

  /// Goes on with a request that another loop has read.
  func goOn(with head: HTTPRequestHead) {
    deadlines.headEnded()
    var none = 0
    _ = begin(read(head), isKnown: false, [UInt8]().span, &none)
  }

  /// The request is for a session of another loop, and the connection goes there with it.
  func leave(
    for loop: Int, _ head: HTTPRequestHead, _ rest: [UInt8], _ count: Int
  ) -> Int {
    if connection.move(to: loop, head, rest) {
      isClosed = true
      isClosing = true
    } else {
      fail(.overloaded)
    }
    return count
  }

  /// A head was let in that may come again. The first one on a connection may be the only one.
  func keep(_ asked: AskedHead) {
    lastHead = requests > 1 && asked.isKept ? asked : nil
  }

  /// Whether another request may be read: answers that a client leaves unread are not added to.
  var hasRoom: Bool {
    exchanges.count < Self.exchangesMax && stream.queuedBytes <= gateway.settings.queueBytesMax
  }

  /// Goes on reading, if nothing holds it back.
  func resumeReading() {
    guard !isClosed else { return }
    if let current {
      if let upload = current.upload, upload.isHoldingBack { return }
    } else if !hasRoom {
      return
    }
    if isPaused {
      isPaused = false
      // A head that was left half-read has its whole time again.
      deadlines.headBegins(gateway.loop.now)
    }
    stream.resumeReading()
  }

  /// Takes body bytes; false when more are needed.
}
