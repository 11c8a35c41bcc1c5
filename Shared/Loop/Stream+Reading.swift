internal import Bytes
internal import Platform

/// How what the peer sends gets to the owner: read into the loop's buffer, turned over where there is
/// a transform, offered together with what was left, and what is not taken kept.
extension Stream {
  /// Whether there was something, or the end.
  @discardableResult
  func read() -> Bool {
    guard transformed == nil else {
      readTransformed()
      return true
    }
    var buffer = loop.takeReceiveBuffer()
    var filled = unread.count
    if filled > 0 {
      buffer.replaceSubrange(0..<filled, with: unread)
      unread = []
    }
    if filled >= buffer.count {
      // No room to read: a read of nothing would look like the end.
      offer(buffer, filled)
      loop.giveBack(receiveBuffer: buffer)
      return true
    }
    var hadBytes = true
    switch Syscalls.receive(descriptor, into: &buffer, at: filled) {
    case .count(let count):
      filled += count
      offer(buffer, filled)
    case .wouldBlock:
      hadBytes = false
      if filled > 0 { unread = [UInt8](buffer[0..<filled]) }
    case .endOfStream:
      // What a pause left behind has its turn before the end.
      if filled > 0 { offer(buffer, filled) }
      peerFinished()
    case .failed(let code): end(.failed(code))
    }
    loop.giveBack(receiveBuffer: buffer)
    return hadBytes
  }

  /// As `read`, for bytes that have to be turned over first.
  private func readTransformed() {
    // The kernel keeps them, and says so again in the next turn.
    let isOpening = transformed?.isOpening ?? false
    guard !isOpening || loop.mayOpen() else { return }
    var plaintext = loop.takeLargeBuffer()
    defer { loop.giveBack(large: plaintext) }
    plaintext += unread
    unread = []
    guard plaintext.count < EventLoop.receiveBytesMax else { return offer(plaintext, plaintext.count) }
    var buffer = loop.takeReceiveBuffer()
    let outcome = Syscalls.receive(descriptor, into: &buffer, at: 0)
    if case .count(let count) = outcome, state != .lingering {
      let owed = transformedBytes
      transformed?.receive(buffer.span.extracting(0..<count), plaintext: &plaintext)
      if isOpening, transformedBytes > owed { loop.countOpening() }
    }
    loop.giveBack(receiveBuffer: buffer)
    switch outcome {
    case .count: turnedOver(plaintext)
    case .wouldBlock: unread = [UInt8](copying: plaintext.span)
    case .endOfStream:
      if !plaintext.isEmpty { offer(plaintext, plaintext.count) }
      transformed?.isTruncated = true
      peerFinished()
    case .failed(let code): end(.failed(code))
    }
  }

  /// What the transform has made of the peer's bytes: an answer of its own, plaintext, or its end.
  private func turnedOver(_ plaintext: [UInt8]) {
    guard state != .lingering, state != .ended, let now = transformed else { return }
    if now.failure != nil { return fail() }
    if now.count > TransformedBytes.owedBytesMax { return end(.broken(reason: "the peer takes no answer")) }
    if now.count > 0 { schedule() }
    if !now.hasOpened, !now.isOpening {
      transformed?.hasOpened = true
      if !queue.isEmpty { schedule() }
      if state == .open { owner?.streamOpened(self) }
    }
    if !plaintext.isEmpty { offer(plaintext, plaintext.count) }
    endIfEnded()
  }

  /// The peer has said that nothing follows: its end, once all before it has been taken.
  private func endIfEnded() {
    guard state != .ended, transformed?.isEnded == true, !hasPeerFinished else { return }
    if !isReadingPaused || unread.isEmpty { peerFinished() }
  }

  /// A peer that sends no more may still read what is on its way before a close.
  private func peerFinished() {
    if state == .lingering { return end(.closedHere) }
    let isAwaited =
      switch state {
      case .open: owner?.streamPeerFinished(self) ?? false
      case .closingAfterWrite: queuedBytes > 0
      case .lingering, .ended: false
      }
    guard isAwaited else {
      sayEnd()
      return end(isTruncated ? .broken(reason: "the connection ended without close_notify") : .peerClosed)
    }
    hasPeerFinished = true
    updateInterest()
  }

  /// Whether the peer went without a word that nothing is missing.
  private var isTruncated: Bool { transformed.map { $0.isTruncated && !$0.isEnded } ?? false }

  private func offer(_ buffer: [UInt8], _ filled: Int) {
    guard state == .open, let owner else { return }
    let taken = owner.streamReceived(self, buffer.span.extracting(0..<filled))
    guard state == .open, taken < filled else { return }
    // A protocol that takes what it can may leave much while it is held back; one that takes
    // nothing of so much never will.
    guard taken > 0 || isReadingPaused || filled <= Self.unreadBytesMax else {
      return end(.unreadTooLong)
    }
    unread = [UInt8](buffer[taken..<filled])
  }

  func offerUnread() {
    guard state == .open, !isReadingPaused, !unread.isEmpty else { return }
    var held: [UInt8] = []
    swap(&held, &unread)
    offer(held, held.count)
    endIfEnded()
  }
}
