internal import Bytes
public import Platform

/// Why a stream ended.
public enum StreamEnd: Equatable, Sendable {
  /// The peer closed its side.
  case peerClosed
  /// We closed it.
  case closedHere
  /// A system call failed with this errno.
  case failed(Int32)
  /// The peer sent more than its protocol may leave unread.
  case unreadTooLong
  /// What the peer sent means nothing to the stream's transform, or ended before its time.
  case broken(reason: String)
}

/// What a stream tells its owner. Calls come on the loop, never after `streamEnded`.
public protocol StreamOwner: AnyObject {
  /// The stream's transform is open: what was sent before now leaves, and bytes follow. Once, and
  /// never for a stream without a transform.
  func streamOpened(_ stream: Stream)
  /// Bytes are here: what was left last time, then what is new. Returns how many were taken; the
  /// rest comes back with the next read, and once more before the end. A protocol that takes nothing of 128 KiB is cut off.
  func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int
  /// All that was queued has been written, after the queue had been blocked, had held more than
  /// 64 KiB, or `tellWhenEmpty` was called.
  func streamDrained(_ stream: Stream)
  /// The peer has closed its side and may still read. Whether the owner has something to say to it
  /// and closes the stream itself then; if not, the stream ends now.
  func streamPeerFinished(_ stream: Stream) -> Bool
  /// The stream is closed. Called once, at the end of the turn in which it happened.
  func streamEnded(_ stream: Stream, _ end: StreamEnd)
}

extension StreamOwner {
  public func streamOpened(_ stream: Stream) {}
  public func streamPeerFinished(_ stream: Stream) -> Bool { false }
}

/// A connected byte stream on a loop, with its outgoing queue, and perhaps a transform such as TLS.
/// An owner need not know of the transform: what it sends, and what it receives, is plaintext.
///
/// Owns the descriptor. Holds no buffer while idle: reads use the loop's buffer, writes a spare
/// one. Queued bytes leave at the end of the turn. Knows no protocol and enforces no bound on the
/// queue: the owner asks `queuedBytes` first. Loop-confined.
public final class Stream: LoopHandler, Flushable {
  private let loop: EventLoop
  /// Strong, so that no reference is counted the slow way; given up at the end.
  private var owner: (any StreamOwner)?
  private var descriptor: Descriptor
  private var slot: PollSlot?
  private var unread: [UInt8] = []
  private var queue = OutQueue()
  private var transformed: TransformedBytes?
  private var state: State = .open
  private var isDirty = false
  private var tellsWhenEmpty = false
  private var isWaitingForRoom = false
  private var isWithheld = false
  private var isReadingPaused = false
  private var hasPeerFinished = false
  private var isHungUp = false

  private enum State { case open, closingAfterWrite, lingering, ended }

  /// A queue that held more than this tells its owner when it has emptied.
  public static let drainedBytes = 64 * 1024
  /// BUDGET: what an owner that keeps an order of its own gives the queue at a time. Nothing that
  /// comes later can overtake it.
  public static let windowBytes = 16 * 1024
  /// BUDGET: what the kernel holds of such an owner's that it has not begun to send.
  public static let unsentBytesMax = 32 * 1024
  /// How long a peer may take to read what is left before a close, and then to close its side.
  public static let closingMax = Duration.seconds(5)
  public static let lingerMax = Duration.seconds(1)

  /// The most that a protocol may leave unread between two reads.
  public static let unreadBytesMax = 128 * 1024

  public init(
    _ descriptor: consuming Descriptor, on loop: EventLoop,
    transform: (any StreamTransform)? = nil
  ) {
    self.loop = loop
    self.descriptor = descriptor
    if let transform { transformed = TransformedBytes(transform) }
  }

  /// Begins to read and to tell `owner`, who must keep the stream.
  public func start(_ owner: any StreamOwner) throws(SystemError) {
    self.owner = owner
    slot = try loop.add(self, descriptor, interest)
    if let transformed, transformed.count > 0 { scheduleAlways() }
  }

  /// Bytes queued and not yet taken by the kernel.
  @inline(__always)
  public var queuedBytes: Int { transformed == nil ? queue.count : queue.count + transformedBytes }

  /// The same with what the peer sent and nobody has taken yet.
  public var heldBytes: Int { queuedBytes + unread.count }

  private var transformedBytes: Int { transformed?.count ?? 0 }

  /// Whether the kernel has refused bytes that are still queued, or they wait for the transform.
  public var isBlocked: Bool {
    isWaitingForRoom || !queue.isEmpty && transformed?.isOpening == true
  }

  public var isOpen: Bool { state == .open }

  /// Whether nothing stands before what is sent now, and it leaves at once.
  @inline(__always)
  public var isClear: Bool { queuedBytes == 0 && !isWithheld }

  /// Whether something else has to be sent before what would come now; the owner sees to it.
  public var withholds: Bool {
    get { isWithheld }
    set { isWithheld = newValue }
  }

  /// Has the kernel keep no more than `unsentBytesMax` of what it can't send yet, so that what is
  /// urgent need not wait behind more. One system call.
  public func limitUnsent() {
    if state == .open { Sockets.setUnsentMax(descriptor, bytes: Int32(Self.unsentBytesMax)) }
  }

  /// What the peer's kernel has taken so far, and what it has not, the queue included. One or two
  /// system calls. Nil where nobody knows.
  public func progress() -> Sockets.Progress? {
    guard state != .ended, var progress = Sockets.progress(descriptor) else { return nil }
    progress.pending += UInt64(queuedBytes)
    return progress
  }

  // MARK: writing

  /// Queues a copy of `bytes`.
  public func send(_ bytes: borrowing Span<UInt8>) {
    guard state == .open else { return }
    prepareTail()
    queue.append(bytes)
    schedule()
  }

  /// Queues a copy of `bytes`.
  public func send(_ bytes: [UInt8]) {
    guard state == .open, !bytes.isEmpty else { return }
    prepareTail()
    queue.append(bytes)
    schedule()
  }

  /// Lets `body` append to the queue's tail directly.
  public func send(_ body: (inout [UInt8]) -> Void) {
    guard state == .open else { return }
    prepareTail()
    queue.append(body)
    schedule()
  }

  /// Writes `chunk` at once if nothing is queued before it; what the kernel does not take is
  /// queued by reference. For one chunk that many streams get. Only in the flush step of a turn.
  /// With a transform it is queued, and leaves with all that this turn has for the stream.
  public func sendShared(_ chunk: [UInt8]) {
    guard state == .open else { return }
    guard transformed == nil else {
      prepareTail()
      queue.append(shared: chunk, from: 0)
      return schedule()
    }
    var offset = 0
    if queue.isEmpty {
      switch Syscalls.send(descriptor, chunk, from: 0) {
      case .count(let sent):
        if sent == chunk.count { return }
        offset = sent
      case .wouldBlock: break
      case .endOfStream: return end(.failed(32))
      case .failed(let code): return end(.failed(code))
      }
      queue.append(shared: chunk, from: offset)
      waitForRoom()
    } else {
      queue.append(shared: chunk, from: 0)
      schedule()
    }
  }

  /// As `sendShared`, for an owner that keeps back what a slow peer does not take. Returns how many
  /// bytes were taken; less than all only where more than `windowBytes` are left, of which nothing
  /// is queued: the owner has to send the first of them by `sendShared(_:from:to:)` at once.
  public func offer(_ chunk: [UInt8]) -> Int {
    guard state == .open else { return chunk.count }
    guard transformed == nil, queue.isEmpty else {
      guard queuedBytes + chunk.count <= Self.windowBytes else { return 0 }
      sendShared(chunk)
      return chunk.count
    }
    var sent = 0
    switch Syscalls.send(descriptor, chunk, from: 0) {
    case .count(let count):
      if count == chunk.count { return count }
      sent = count
    case .wouldBlock: break
    case .endOfStream:
      end(.failed(32))
      return chunk.count
    case .failed(let code):
      end(.failed(code))
      return chunk.count
    }
    guard chunk.count - sent <= Self.windowBytes else { return sent }
    queue.append(shared: chunk, from: sent)
    waitForRoom()
    return chunk.count
  }

  /// Queues part of a chunk by reference.
  public func sendShared(_ chunk: [UInt8], from start: Int, to end: Int) {
    guard state == .open, start < end else { return }
    prepareTail()
    queue.append(shared: chunk, from: start, to: end)
    schedule()
  }

  /// Closes once all that is queued has been written; what arrives meanwhile is read and dropped.
  public func closeAfterWriting() {
    guard state == .open else { return }
    state = .closingAfterWrite
    transformed?.sayEndBehindAll()
    scheduleAlways()
    loop.after(Self.closingMax) { [self] in end(.closedHere) }
  }

  /// Ends our side and waits for the peer's: closing with bytes unread would reset the connection,
  /// and the peer might lose the last that it was sent (RFC 9112 §9.6).
  private func linger() {
    guard !hasPeerFinished else { return end(.closedHere) }
    state = .lingering
    Sockets.shutdownWriting(descriptor)
    if isReadingPaused {
      isReadingPaused = false
      updateInterest()
    }
    loop.after(Self.lingerMax) { [self] in end(.closedHere) }
  }

  /// Closes now; what is queued is lost.
  public func close() {
    sayEnd()
    end(.closedHere)
  }

  /// Tells the peer's transform that nothing is missing, if nothing is.
  private func sayEnd() {
    guard transformed != nil, state == .open || state == .closingAfterWrite, queue.isEmpty else {
      return
    }
    transformed?.endNow(descriptor)
  }

  /// Closes now with a reset, for a peer that is to get nothing more.
  public func abort() {
    if state != .ended { Sockets.setResetOnClose(descriptor) }
    end(.closedHere)
  }

  // MARK: flow

  /// Calls `streamDrained` the next time the queue is empty, at the end of this turn at the
  /// earliest; without this it is called after a queue was blocked or held more than 64 KiB.
  public func tellWhenEmpty() {
    tellsWhenEmpty = true
    if state == .open, queue.isEmpty { scheduleAlways() }
  }

  /// Stops reading until `resumeReading`: the kernel's buffers then slow the peer down.
  public func pauseReading() {
    isReadingPaused = true
    updateInterest()
  }

  public func resumeReading() {
    isReadingPaused = false
    updateInterest()
    if !unread.isEmpty { loop.atTurnEnd { [self] in offerUnread() } }
  }

  private func offerUnread() {
    guard state == .open, !isReadingPaused, !unread.isEmpty else { return }
    var held: [UInt8] = []
    swap(&held, &unread)
    offer(held, held.count)
    endIfEnded()
  }

  // MARK: loop

  public func ready(_ readiness: Readiness) {
    guard state != .ended else { return }
    if readiness.contains(.writable) { flushQueue() }
    guard state != .ended else { return }
    let isBroken = !readiness.isDisjoint(with: .broken)
    if hasPeerFinished {
      if isBroken { end(.peerClosed) }
    } else if isReadingPaused {
      if isBroken { waitUnwatched() }
    } else if isBroken || readiness.contains(.readable) {
      read()
    }
  }

  public func flush() {
    isDirty = false
    if state != .ended, !isWaitingForRoom { flushQueue() }
  }

  private func read() {
    guard transformed == nil else { return readTransformed() }
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
      return
    }
    switch Syscalls.receive(descriptor, into: &buffer, at: filled) {
    case .count(let count):
      filled += count
      offer(buffer, filled)
    case .wouldBlock:
      if filled > 0 { unread = [UInt8](buffer[0..<filled]) }
    case .endOfStream:
      // What a pause left behind has its turn before the end.
      if filled > 0 { offer(buffer, filled) }
      peerFinished()
    case .failed(let code): end(.failed(code))
    }
    loop.giveBack(receiveBuffer: buffer)
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

  /// The peer is told why, if the transform has a way to say it; nothing else is.
  private func fail() {
    queue.removeAll()
    tellsWhenEmpty = false
    guard state == .open else { return end(broken) }
    state = .closingAfterWrite
    scheduleAlways()
    loop.after(Self.closingMax) { [self] in end(.closedHere) }
  }

  private var broken: StreamEnd { .broken(reason: transformed?.failure ?? "the transform failed") }

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

  private func prepareTail() {
    if !queue.tailHasCapacity { queue.adopt(spare: loop.takeSpareBuffer()) }
  }

  @inline(__always)
  private func schedule() {
    if !isDirty, !isWaitingForRoom { scheduleAlways() }
  }

  private func scheduleAlways() {
    guard !isDirty else { return }
    isDirty = true
    loop.markDirty(self)
  }

  private func flushQueue() {
    let written = queue.count
    if transformed != nil {
      switch writeTransformed() {
      case .drained: break
      case .blocked: return waitForRoom()
      case .failed(let code): return end(.failed(code))
      }
      if state == .open, transformed?.failure != nil { return fail() }
      // Nothing leaves before the transform is open: until then it is as if the kernel took nothing.
      guard queue.isEmpty else {
        tellsWhenEmpty = true
        return stopWaitingForRoom()
      }
    } else if !queue.isEmpty {
      switch queue.writeTail(to: descriptor) {
      case .drained: break
      case .blocked: return waitForRoom()
      case .failed(let code): return end(.failed(code))
      }
    }
    loop.giveBack(spare: queue.releaseTail())
    let wasBlocked = isWaitingForRoom
    stopWaitingForRoom()
    let isAwaited = wasBlocked || tellsWhenEmpty || written > Self.drainedBytes
    tellsWhenEmpty = false
    if state == .closingAfterWrite { return linger() }
    if isAwaited { owner?.streamDrained(self) }
  }

  private func writeTransformed() -> OutQueue.WriteResult {
    guard let transformed else { return .drained }
    return transformed.write(&queue, to: descriptor, loop)
  }

  private func stopWaitingForRoom() {
    guard isWaitingForRoom else { return }
    isWaitingForRoom = false
    updateInterest()
  }

  private func waitForRoom() {
    guard !isWaitingForRoom else { return }
    isWaitingForRoom = true
    updateInterest()
  }

  private var interest: Interest {
    var interest: Interest = isReadingPaused || hasPeerFinished ? [] : .read
    if isWaitingForRoom { interest.insert(.write) }
    return interest
  }

  private func updateInterest() {
    if let slot { return loop.modify(slot, descriptor, interest) }
    guard isHungUp, !isReadingPaused, state != .ended else { return }
    isHungUp = false
    do throws(SystemError) {
      slot = try loop.add(self, descriptor, interest)
    } catch {
      end(.failed(error.code))
    }
  }

  /// The peer is gone while its last bytes may not be read yet. A hang-up can't be masked, so the
  /// loop would turn for nothing: it forgets the descriptor until reading goes on.
  private func waitUnwatched() {
    guard let slot else { return }
    loop.remove(slot, descriptor)
    self.slot = nil
    isHungUp = true
  }

  private func end(_ reason: StreamEnd) {
    guard state != .ended else { return }
    // A stream that has failed ends with the reason, however it was closed behind that.
    let reason = reason == .closedHere && transformed?.failure != nil ? broken : reason
    state = .ended
    if let slot { loop.remove(slot, descriptor) }
    slot = nil
    descriptor.close()
    queue.removeAll()
    unread = []
    // A timer may hold this object for some seconds more.
    transformed = nil
    loop.retire(self)
    loop.atTurnEnd { [self] in
      let told = owner
      owner = nil
      told?.streamEnded(self, reason)
    }
  }
}

@available(*, unavailable)
extension Stream: Sendable {}
