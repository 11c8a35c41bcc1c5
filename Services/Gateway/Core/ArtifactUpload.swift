internal import Bytes
internal import HTTPCodec
internal import JSON
internal import Link
internal import Loop
internal import Platform
internal import Wire

/// One content on its way to the store.
final class ArtifactUpload {
  private let transfer: UInt32
  private let exchange: HTTPExchange
  private weak var store: Link?
  private let loop: EventLoop
  private let finished: () -> Void
  /// When bytes last came from the client or were asked for by the store.
  private(set) var movedAt: Instant
  private var waiting: [UInt8] = []
  private var credit = 0
  private var isReady = false
  private var hasAll = false
  private var isOver = false

  /// Bytes held here before the client is no longer read.
  static let waitingMax = 1024 * 1024

  init(
    _ transfer: UInt32, _ exchange: HTTPExchange, _ store: Link, on loop: EventLoop,
    finished: @escaping () -> Void
  ) {
    self.loop = loop
    movedAt = loop.now
    self.transfer = transfer
    self.exchange = exchange
    self.store = store
    self.finished = finished
  }

  var heldBytes: Int { waiting.count }
  var isHoldingBack: Bool { !isOver && waiting.count > Self.waitingMax }

  func start(_ hash: [UInt8], size: UInt64, within limit: Duration) {
    let put = PutArtifact(
      remainingMs: UInt32(clamping: limit.millisecondsMax), transfer: transfer, sha256: hash,
      size: size)
    store?.request(put, expecting: ArtifactReady.self, within: limit) { [weak self] result in
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
    if !bytes.isEmpty { movedAt = loop.now }
    waiting.append(copying: bytes)
    pump()
  }

  func granted(_ bytes: Int) {
    movedAt = loop.now
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
    movedAt = loop.now
    if isReady { pump() }
  }

  /// All was sent on, and only the store's word is missing.
  private(set) var isEnding = false

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
