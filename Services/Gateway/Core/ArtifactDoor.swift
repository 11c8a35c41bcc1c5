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

  /// Takes an upload, or answers why not and gives nil: the body is then read and dropped.
  func beginUpload(
    _ sha256: String, _ head: HTTPRequestHead, _ exchange: HTTPExchange, _ stream: Stream
  ) -> ArtifactUpload? {
    func refuse(_ refusal: Refusal) -> ArtifactUpload? {
      exchange.closes = true
      exchange.respond(.error(refusal))
      return nil
    }
    guard gateway.settings.access.keys.contains(APIKeys.offered(head.headers)) else {
      return refuse(.unauthorized)
    }
    guard let hash = ArtifactNotice.hash(sha256) else {
      return refuse(.badRequest("the address ends in the content's SHA-256, 64 hexadecimal digits"))
    }
    guard let size = head.contentLength else {
      return refuse(Refusal(107, "length_required", "say Content-Length", HTTPStatus(411)))
    }
    guard let store = gateway.upstreams.eventstore else { return refuse(.unavailable) }
    guard let transfer = takeTransfer() else { return refuse(.overloaded) }
    let upload = ArtifactUpload(transfer, exchange, stream, store) { [weak self] in
      self?.uploads[transfer] = nil
    }
    uploads[transfer] = upload
    upload.start(hash, size: UInt64(size))
    return upload
  }

  // MARK: down

  func download(_ sha256: String, _ head: HTTPRequestHead, _ exchange: HTTPExchange) {
    guard head.method != .put else { return }
    guard let hash = ArtifactNotice.hash(sha256) else {
      return exchange.respond(RequestHandler.notFound)
    }
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
        guard isKeyed || found.streams.contains(where: mayRead) else {
          return exchange.respond(RequestHandler.notFound)
        }
        if head.method == .head { return describe(found.size, exchange) }
        send(hash, exchange)
      }
    }
  }

  private func mayRead(_ name: ChannelName) -> Bool {
    let anonymous = ClientContext(id: ClientID(number: 0))
    return gateway.settings.access.maySubscribe(anonymous, gateway.settings.policy(name))
  }

  private func describe(_ size: UInt64, _ exchange: HTTPExchange) {
    exchange.respond(Response(.ok, "application/octet-stream", [UInt8](repeating: 0, count: 0)))
  }

  private func send(_ hash: [UInt8], _ exchange: HTTPExchange) {
    guard let store = gateway.upstreams.eventstore, let transfer = takeTransfer() else {
      return exchange.respond(.error(.unavailable))
    }
    let download = ArtifactDownload(transfer, exchange, store, date: dateText) { [weak self] in
      self?.downloads[transfer] = nil
    }
    downloads[transfer] = download
    download.start(hash)
  }

  private var dateText: String {
    HTTPDate.text(secondsSince1970: Int(gateway.loop.wallMilliseconds / 1000))
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
  private weak var stream: Stream?
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
    _ transfer: UInt32, _ exchange: HTTPExchange, _ stream: Stream, _ store: Link,
    finished: @escaping () -> Void
  ) {
    self.transfer = transfer
    self.exchange = exchange
    self.stream = stream
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
    if wasHoldingBack, !isHoldingBack { stream?.resumeReading() }
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
    over()
    exchange.closes = true
    exchange.respond(.error(refusal))
  }

  /// The client has gone.
  func cancelled() {
    guard !isOver else { return }
    store?.send(CancelArtifact(transfer: transfer, code: ErrorCode.linkLost.rawValue))
    over()
  }

  private func over() {
    isOver = true
    waiting = []
    stream?.resumeReading()
    finished()
  }
}

/// One content on its way from the store to a client.
final class ArtifactDownload {
  private let transfer: UInt32
  private let exchange: HTTPExchange
  private weak var store: Link?
  private let date: String
  private let finished: () -> Void
  private var stream: Stream?
  private var left: UInt64 = 0
  private var owed: UInt32 = 0
  private var isOver = false

  /// Bytes that may be under way to one client.
  static let windowBytes: UInt32 = 1024 * 1024

  init(
    _ transfer: UInt32, _ exchange: HTTPExchange, _ store: Link, date: String,
    finished: @escaping () -> Void
  ) {
    self.transfer = transfer
    self.exchange = exchange
    self.store = store
    self.date = date
    self.finished = finished
  }

  func start(_ hash: [UInt8]) {
    let get = GetArtifact(
      remainingMs: 5000, transfer: transfer, sha256: hash, offset: 0, count: .max,
      credit: Self.windowBytes)
    exchange.abandoned = { [weak self] in self?.cancel() }
    exchange.drained = { [weak self] in self?.drained() }
    store?.request(get, expecting: ArtifactFound.self, within: .seconds(5)) { [weak self] result in
      guard let self, !isOver else { return }
      switch result {
      case .failure(let failure):
        over()
        exchange.respond(.error(Refusal(failure)))
      case .success(let found): begin(found.size)
      }
    }
  }

  private func begin(_ size: UInt64) {
    left = size
    var writer = HTTPHeadWriter(status: .ok, date: date)
    // The names and values are ours and plain, so none of these can be refused.
    try? writer.field("Content-Type", "application/octet-stream")
    try? writer.field("X-Content-Type-Options", "nosniff")
    try? writer.field("Content-Disposition", "attachment")
    writer.contentLength(Int(clamping: size))
    if exchange.closes { writer.close() }
    stream = exchange.beginStreaming(writer.end())
  }

  func received(_ content: [UInt8]) {
    guard !isOver, let stream, UInt64(content.count) <= left else { return }
    left -= UInt64(content.count)
    owed += UInt32(content.count)
    stream.send(content)
    if stream.queuedBytes < Int(Self.windowBytes) { drained() }
  }

  /// The client has taken what it was sent: the store may send as much again.
  private func drained() {
    guard !isOver, owed > 0 else { return }
    store?.send(ArtifactCredit(transfer: transfer, bytes: owed))
    owed = 0
  }

  func ended() {
    guard !isOver else { return }
    over()
    if left > 0 { stream?.abort() } else { exchange.endStreaming() }
  }

  /// The rest will not come: the client must see that it has not got the whole.
  func failed() {
    guard !isOver else { return }
    over()
    if let stream { stream.abort() } else { exchange.respond(.error(.unavailable)) }
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
