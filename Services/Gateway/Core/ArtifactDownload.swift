internal import Link
internal import Loop
internal import Platform
internal import Wire

/// One content, or a part of it, on its way from the store to a client.
final class ArtifactDownload {
  private let transfer: UInt32
  private let exchange: HTTPExchange
  private weak var store: Link?
  /// What stands before the content.
  private let answer: Response
  private let loop: EventLoop
  private let finished: () -> Void
  /// When the store last sent bytes, or the client had taken what there was.
  private(set) var movedAt: Instant
  private var isStreaming = false
  private var left: UInt64 = 0
  private var owed: UInt32 = 0
  private var isOver = false

  /// Bytes that may be under way to one client.
  static let windowBytes: UInt32 = 1024 * 1024

  init(
    _ transfer: UInt32, _ exchange: HTTPExchange, _ store: Link, _ answer: Response,
    on loop: EventLoop, finished: @escaping () -> Void
  ) {
    self.loop = loop
    movedAt = loop.now
    self.transfer = transfer
    self.exchange = exchange
    self.store = store
    self.answer = answer
    self.finished = finished
  }

  func start(_ hash: [UInt8], offset: UInt64, count: UInt64, within limit: Duration) {
    let get = GetArtifact(
      remainingMs: UInt32(clamping: limit.millisecondsMax), transfer: transfer, sha256: hash, offset: offset, count: count,
      credit: Self.windowBytes)
    left = count
    exchange.abandoned = { [weak self] in self?.cancel() }
    exchange.drained = { [weak self] in self?.drained() }
    store?.request(get, expecting: ArtifactFound.self, within: limit) { [weak self] result in
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
    movedAt = loop.now
    left -= UInt64(content.count)
    owed += UInt32(content.count)
    exchange.write(content)
    if exchange.queuedBytes < Int(Self.windowBytes) { drained() }
  }

  /// The client has taken what it was sent: the store may send as much again.
  private func drained() {
    guard !isOver, owed > 0 else { return }
    movedAt = loop.now
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
    if isStreaming { exchange.abort() } else { exchange.respond(.error(.storeUnavailable)) }
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
