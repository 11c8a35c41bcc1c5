internal import Bytes
internal import ChannelKit
internal import HTTPCodec
internal import JSON
internal import Link
internal import Loop
internal import Wire

/// `PUT` and `GET /vault/{sha256}`: contents on their way between clients and the event store.
///
/// Holds a bounded part of each transfer: credit from the store holds back the uploader, the
/// downloader's queue holds back the store.
final class ArtifactDoor {
  private let gateway: GatewayLoop
  private var uploads: [UInt32: ArtifactUpload] = [:]
  private var downloads: [UInt32: ArtifactDownload] = [:]
  private var lastTransfer: UInt32 = 0

  /// BUDGET: transfers of one loop at once, either way.
  static let transfersMax = 256
  /// A store that asks for nothing and sends nothing for this long has gone.
  static let stepMax = Duration.seconds(30)

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private func takeTransfer() -> UInt32? {
    guard uploads.count + downloads.count < Self.transfersMax else { return nil }
    repeat { lastTransfer &+= 1 } while lastTransfer == 0 || uploads[lastTransfer] != nil
      || downloads[lastTransfer] != nil
    return lastTransfer
  }

  // MARK: up

  /// Takes an upload whose key and size were looked at, or says why not.
  func beginUpload(_ sha256: String, _ head: HTTPRequestHead, _ exchange: HTTPExchange)
    throws(Refusal) -> ArtifactUpload
  {
    guard let hash = ArtifactNotice.hash(sha256) else {
      throw .badRequest("the address ends in the content's SHA-256, 64 hexadecimal digits")
    }
    // An empty content has a length too, though its request has no body.
    guard let size = head.contentLength ?? (head.headers.contains("content-length") ? 0 : nil)
    else { throw Refusal(107, "length_required", "say Content-Length", HTTPStatus(411)) }
    guard let store = gateway.upstreams.eventstore else { throw .unavailable }
    guard let transfer = takeTransfer() else { throw .overloaded }
    let upload = ArtifactUpload(transfer, exchange, store) { [weak self] in
      self?.uploads[transfer] = nil
    }
    uploads[transfer] = upload
    upload.start(hash, size: UInt64(size))
    return upload
  }

  // MARK: down

  /// Answers GET and HEAD. The store is asked only when the answer's turn has come, so that
  /// nothing is held for a client that asks for much at once.
  func download(_ sha256: String, _ head: HTTPRequestHead, _ exchange: HTTPExchange) {
    guard let hash = ArtifactNotice.hash(sha256) else {
      return exchange.respond(RequestHandler.notFound)
    }
    exchange.whenFirst { [weak self, weak exchange] in
      guard let self, let exchange else { return }
      find(hash, head, exchange)
    }
  }

  private func find(_ hash: [UInt8], _ head: HTTPRequestHead, _ exchange: HTTPExchange) {
    guard let store = gateway.upstreams.eventstore else {
      return exchange.respond(.error(.unavailable))
    }
    let isKeyed = gateway.settings.access.keys.contains(APIKeys.offered(head.headers))
    let find = FindArtifact(remainingMs: 5000, sha256: hash)
    store.request(find, expecting: ArtifactStreams.self, within: .seconds(5)) { [weak self] result in
      guard let self else { return }
      switch result {
      case .failure(let failure): exchange.respond(.error(Refusal(failure)))
      case .success(let found):
        // Who may not read it learns no more than who asks for nothing that exists.
        guard found.isStored, isKeyed || found.streams.contains(where: mayRead) else {
          return exchange.respond(RequestHandler.notFound)
        }
        answer(hash, found.size, head, exchange)
      }
    }
  }

  private func mayRead(_ name: ChannelName) -> Bool {
    let anonymous = ClientContext(id: ClientID(number: 0))
    return gateway.settings.access.maySubscribe(anonymous, gateway.settings.policy(name))
  }

  private func answer(
    _ hash: [UInt8], _ size: UInt64, _ head: HTTPRequestHead, _ exchange: HTTPExchange
  ) {
    let tag = "\"\(hex(hash))\""
    var answer = Response(.ok, "application/octet-stream", [])
    answer.fields += [
      ("ETag", tag), ("Accept-Ranges", "bytes"), ("X-Content-Type-Options", "nosniff"),
      ("Content-Disposition", "attachment"),
    ]
    var (offset, count) = (UInt64(0), size)
    switch ContentRange(head, tag: tag, size: size) {
    case .whole: break
    case .notModified:
      var unchanged = Response(.notModified, "", [])
      unchanged.fields.append(("ETag", tag))
      return exchange.respond(unchanged)
    case .unsatisfiable:
      var refused = Response.error(
        Refusal(107, "bad_range", "the content has \(size) bytes", .rangeNotSatisfiable))
      refused.fields.append(("Content-Range", "bytes */\(size)"))
      return exchange.respond(refused)
    case .part(let partOffset, let partCount):
      (offset, count) = (partOffset, partCount)
      answer.status = .partialContent
      answer.fields.append(("Content-Range", "bytes \(offset)-\(offset + count - 1)/\(size)"))
    }
    answer.length = count
    if head.method == .head { return exchange.respond(answer) }
    guard let store = gateway.upstreams.eventstore else {
      return exchange.respond(.error(.unavailable))
    }
    guard let transfer = takeTransfer() else { return exchange.respond(.error(.overloaded)) }
    let download = ArtifactDownload(transfer, exchange, store, answer) { [weak self] in
      self?.downloads[transfer] = nil
    }
    downloads[transfer] = download
    download.start(hash, offset: offset, count: count)
  }

  // MARK: news from the store

  func received(_ chunk: ArtifactChunk) { downloads[chunk.transfer]?.received(chunk.content) }
  func received(_ end: EndArtifact) { downloads[end.transfer]?.ended() }
  func received(_ credit: ArtifactCredit) {
    uploads[credit.transfer]?.granted(Int(credit.bytes))
  }
  func received(_ cancel: CancelArtifact) {
    let failure = Failure(ErrorCode(rawValue: cancel.code))
    uploads[cancel.transfer]?.failed(Refusal(failure))
    downloads[cancel.transfer]?.failed()
  }

  func linkLost() {
    for upload in Array(uploads.values) { upload.failed(.unavailable) }
    for download in Array(downloads.values) { download.failed() }
  }
}

/// One content on its way to the store.
final class ArtifactUpload {
  private let transfer: UInt32
  private let exchange: HTTPExchange
  private weak var store: Link?
  private let finished: () -> Void
  private var waiting: [UInt8] = []
  private var credit = 0
  private var isReady = false
  private var hasAll = false
  private var isOver = false

  /// Bytes held here before the client is no longer read.
  static let waitingMax = 1024 * 1024

  init(
    _ transfer: UInt32, _ exchange: HTTPExchange, _ store: Link, finished: @escaping () -> Void
  ) {
    self.transfer = transfer
    self.exchange = exchange
    self.store = store
    self.finished = finished
  }

  var isHoldingBack: Bool { !isOver && waiting.count > Self.waitingMax }

  func start(_ hash: [UInt8], size: UInt64) {
    let put = PutArtifact(remainingMs: 5000, transfer: transfer, sha256: hash, size: size)
    store?.request(put, expecting: ArtifactReady.self, within: .seconds(5)) { [weak self] result in
      guard let self else { return }
      switch result {
      case .failure(let failure): failed(Refusal(failure))
      case .success(let ready):
        if ready.isStored { return succeeded(.ok) }
        isReady = true
        granted(Int(ready.credit))
      }
    }
  }

  func received(_ bytes: borrowing Span<UInt8>) {
    guard !isOver else { return }
    waiting.append(copying: bytes)
    pump()
  }

  func granted(_ bytes: Int) {
    credit += bytes
    pump()
  }

  private func pump() {
    guard isReady, !isOver, let store else { return }
    let wasHoldingBack = isHoldingBack
    var offset = 0
    while offset < waiting.count {
      let count = min(waiting.count - offset, credit, Limits.chunkBytesMax)
      // A small rest waits for more, unless it is the last.
      guard count > 0, count == Limits.chunkBytesMax || hasAll || waiting.count - offset > 64 * 1024
      else { break }
      let chunk = ArtifactChunk(
        transfer: transfer, content: [UInt8](waiting[offset..<(offset + count)]))
      guard store.send(chunk) == .sent else { return failed(.overloaded) }
      offset += count
      credit -= count
    }
    if offset > 0 { waiting.removeFirst(offset) }
    if hasAll, waiting.isEmpty { return end() }
    if wasHoldingBack, !isHoldingBack { exchange.resumeReading() }
  }

  /// The client has sent everything.
  func ended() {
    hasAll = true
    if isReady { pump() }
  }

  private var isEnding = false

  private func end() {
    guard !isEnding else { return }
    isEnding = true
    let message = EndArtifact(transfer: transfer)
    store?.request(message, expecting: ArtifactStored.self, within: ArtifactDoor.stepMax) {
      [weak self] result in
      switch result {
      case .failure(let failure): self?.failed(Refusal(failure))
      case .success: self?.succeeded(.created)
      }
    }
  }

  private func succeeded(_ status: HTTPStatus) {
    guard !isOver else { return }
    over()
    exchange.respond(
      .json(status) { writer in
        writer.beginObject()
        writer.field("status", "stored")
        writer.endObject()
      })
  }

  func failed(_ refusal: Refusal) {
    guard !isOver else { return }
    // The store drops what it has; where the failure is its own, it knows of no such transfer.
    cancelled()
    exchange.closes = true
    exchange.respond(.error(refusal))
  }

  /// The rest will not come, or nobody waits for it.
  func cancelled() {
    guard !isOver else { return }
    store?.send(CancelArtifact(transfer: transfer, code: ErrorCode.linkLost.rawValue))
    over()
  }

  private func over() {
    isOver = true
    waiting = []
    finished()
    exchange.resumeReading()
  }
}

/// One content, or a part of it, on its way from the store to a client.
final class ArtifactDownload {
  private let transfer: UInt32
  private let exchange: HTTPExchange
  private weak var store: Link?
  /// What stands before the content.
  private let answer: Response
  private let finished: () -> Void
  private var isStreaming = false
  private var left: UInt64 = 0
  private var owed: UInt32 = 0
  private var isOver = false

  /// Bytes that may be under way to one client.
  static let windowBytes: UInt32 = 1024 * 1024

  init(
    _ transfer: UInt32, _ exchange: HTTPExchange, _ store: Link, _ answer: Response,
    finished: @escaping () -> Void
  ) {
    self.transfer = transfer
    self.exchange = exchange
    self.store = store
    self.answer = answer
    self.finished = finished
  }

  func start(_ hash: [UInt8], offset: UInt64, count: UInt64) {
    let get = GetArtifact(
      remainingMs: 5000, transfer: transfer, sha256: hash, offset: offset, count: count,
      credit: Self.windowBytes)
    left = count
    exchange.abandoned = { [weak self] in self?.cancel() }
    exchange.drained = { [weak self] in self?.drained() }
    store?.request(get, expecting: ArtifactFound.self, within: .seconds(5)) { [weak self] result in
      guard let self, !isOver else { return }
      switch result {
      case .failure(let failure):
        cancel()
        exchange.respond(.error(Refusal(failure)))
      case .success:
        isStreaming = exchange.beginStreaming(answer)
        if !isStreaming { cancel() }
      }
    }
  }

  func received(_ content: [UInt8]) {
    guard !isOver, isStreaming else { return }
    guard UInt64(content.count) <= left else { return failed() }
    left -= UInt64(content.count)
    owed += UInt32(content.count)
    exchange.write(content)
    if exchange.queuedBytes < Int(Self.windowBytes) { drained() }
  }

  /// The client has taken what it was sent: the store may send as much again.
  private func drained() {
    guard !isOver, owed > 0 else { return }
    store?.send(ArtifactCredit(transfer: transfer, bytes: owed))
    owed = 0
  }

  func ended() {
    guard !isOver else { return }
    guard isStreaming, left == 0 else { return failed() }
    over()
    exchange.endStreaming()
  }

  /// The rest will not come: the client must see that it has not got the whole.
  func failed() {
    guard !isOver else { return }
    cancel()
    if isStreaming { exchange.abort() } else { exchange.respond(.error(.unavailable)) }
  }

  private func cancel() {
    guard !isOver else { return }
    store?.send(CancelArtifact(transfer: transfer, code: ErrorCode.linkLost.rawValue))
    over()
  }

  private func over() {
    isOver = true
    finished()
  }
}
