internal import Bytes
internal import Loop
internal import Platform
internal import Synchronization
internal import Wire

/// The connections of a `FaultProxy`, on its thread.
final class FaultRelay {
  let loop: EventLoop
  private let proxy: FaultProxy
  private let target: SocketAddress
  private var listener: Listener?
  private var pairs: [ObjectIdentifier: RelayedLink] = [:]
  fileprivate var random: SeededGenerator

  init(
    _ proxy: FaultProxy, _ descriptor: consuming Descriptor, _ address: SocketAddress,
    _ target: SocketAddress
  ) throws {
    loop = try EventLoop()
    self.proxy = proxy
    self.target = target
    random = SeededGenerator(seed: proxy.seed)
    listener = try Listener(descriptor, address: address, on: loop) { [weak self] client, _ in
      self?.accepted(client)
    }
  }

  fileprivate var faults: LinkFaults { proxy.plan.withLock { $0.faults } }

  /// Whether this frame is to be swallowed; counts those that pass before.
  fileprivate func swallows(_ kind: Kind?, _ direction: LinkDirection, _ role: Role?) -> Bool {
    proxy.plan.withLock { plan in
      for index in plan.losses.indices {
        let loss = plan.losses[index]
        guard loss.kind == kind, loss.direction == direction, loss.count > 0,
          loss.role == nil || loss.role == role
        else { continue }
        if loss.after > 0 {
          plan.losses[index].after -= 1
          continue
        }
        plan.losses[index].count -= 1
        plan.swallowed += 1
        return true
      }
      return false
    }
  }

  func received(_ orders: [FaultProxy.Order]) {
    for order in orders {
      switch order {
      case .changed: for pair in pairs.values { pair.pump() }
      case .cut: for pair in pairs.values { pair.cut() }
      case .stop:
        listener?.close()
        for pair in pairs.values { pair.cut() }
        loop.stop()
      }
    }
  }

  private func accepted(_ client: consuming Descriptor) {
    guard !faults.refusesNewcomers else { return }
    let pair = RelayedLink(self, Stream(client, on: loop), target)
    pairs[ObjectIdentifier(pair)] = pair
    note()
  }

  fileprivate func ended(_ pair: RelayedLink) {
    pairs[ObjectIdentifier(pair)] = nil
    proxy.plan.withLock { $0.ended += 1 }
    note()
  }

  private func note() { proxy.plan.withLock { $0.links = pairs.count } }
}

/// One connection through the proxy: two streams, and what waits between them.
private final class RelayedLink: StreamOwner {
  /// One direction.
  private struct Pipe {
    let direction: LinkDirection
    /// The rest of a frame that has not arrived whole.
    var partial: [UInt8] = []
    var waiting: [(due: Instant, bytes: [UInt8])] = []
    /// How much of the first that waits has left.
    var sent = 0
    var waitingBytes = 0
    /// Its source has ended.
    var isFinished = false
    var isScheduled = false
  }

  private let relay: FaultRelay
  private let client: Stream
  private var service: Stream?
  private var connector: Connector?
  private var toService = Pipe(direction: .toService)
  private var fromService = Pipe(direction: .fromService)
  private var role: Role?
  private var isOver = false

  /// BUDGET: bytes that wait in one direction before its source is read no more.
  private static let waitingMax = 4 << 20

  init(_ relay: FaultRelay, _ client: Stream, _ target: SocketAddress) {
    self.relay = relay
    self.client = client
    connector = Connector(to: target, on: relay.loop, within: .seconds(2)) { [self] descriptor, _ in
      connector = nil
      guard let descriptor, !isOver else { return cut() }
      let service = Stream(descriptor, on: relay.loop)
      self.service = service
      do throws(SystemError) {
        try client.start(self)
        try service.start(self)
      } catch { return cut() }
      pump()
    }
  }

  func cut() {
    client.abort()
    service?.abort()
    finish()
  }

  private func finish() {
    guard !isOver else { return }
    isOver = true
    relay.ended(self)
  }

  // MARK: bytes

  func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    if stream === client {
      take(bytes, &toService)
    } else {
      take(bytes, &fromService)
    }
    pump()
    return bytes.count
  }

  private func take(_ bytes: borrowing Span<UInt8>, _ pipe: inout Pipe) {
    let faults = relay.faults
    pipe.partial.append(copying: bytes)
    var start = 0
    while let end = Self.frameEnd(pipe.partial, start) {
      let frame = Array(pipe.partial[start..<end])
      start = end
      let kind = Kind(rawValue: UInt16(frame[4]) | UInt16(frame[5]) << 8)
      if kind == .hello, pipe.direction == .toService { noteRole(frame) }
      if relay.swallows(kind, pipe.direction, role) { continue }
      pass(frame, faults, &pipe)
    }
    pipe.partial.removeFirst(start)
  }

  private func pass(_ frame: [UInt8], _ faults: LinkFaults, _ pipe: inout Pipe) {
    var frame = frame
    var due = relay.loop.now + faults.delay
    let jitter = faults.jitter.nanosecondsClamped
    if jitter > 0 { due = due + .nanoseconds(Int64.random(in: 0...jitter, using: &relay.random)) }
    if let last = pipe.waiting.last?.due { due = max(due, last) }
    if let every = faults.bytesPerFlip {
      for index in frame.indices
      where UInt64.random(in: 0..<UInt64(max(1, every)), using: &relay.random) == 0 {
        frame[index] ^= 1 << UInt8.random(in: 0..<8, using: &relay.random)
      }
    }
    pipe.waitingBytes += frame.count
    pipe.waiting.append((due, frame))
  }

  /// Where the frame that begins at `start` ends; nil if it is not all here.
  private static func frameEnd(_ bytes: [UInt8], _ start: Int) -> Int? {
    guard bytes.count - start >= FrameHeader.bytes else { return nil }
    let length = (0..<4).reduce(0) { $0 | Int(bytes[start + $1]) << (8 * $1) }
    let end = start + FrameHeader.bytes + length
    return end <= bytes.count ? end : nil
  }

  private func noteRole(_ frame: [UInt8]) {
    role = (try? Hello(body: frame.span.extracting(FrameHeader.bytes..<frame.count)))?.role
  }

  // MARK: passing on

  func pump() {
    guard !isOver, let service else { return }
    pump(&toService, from: client, to: service)
    pump(&fromService, from: service, to: client)
  }

  private func pump(_ pipe: inout Pipe, from source: Stream, to target: Stream) {
    let faults = relay.faults
    // What is held is read all the same, so that the end of its source is seen.
    if pipe.waitingBytes > Self.waitingMax {
      source.pauseReading()
    } else if !pipe.isFinished {
      source.resumeReading()
    }
    guard !faults.held.contains(pipe.direction) else { return }
    let now = SystemClock.monotonic()
    while let first = pipe.waiting.first {
      guard first.due <= now else { return schedule(&pipe, at: first.due) }
      let end = min(first.bytes.count, pipe.sent + (faults.segmentBytes ?? first.bytes.count))
      target.send(Array(first.bytes[pipe.sent..<end]))
      pipe.waitingBytes -= end - pipe.sent
      pipe.sent = end
      if end == first.bytes.count {
        pipe.waiting.removeFirst()
        pipe.sent = 0
      }
      // What goes out in one turn is one write.
      if faults.segmentBytes != nil { return schedule(&pipe, at: now) }
    }
    if pipe.isFinished {
      target.closeAfterWriting()
      finish()
    }
  }

  private func schedule(_ pipe: inout Pipe, at due: Instant) {
    guard !pipe.isScheduled else { return }
    pipe.isScheduled = true
    let direction = pipe.direction
    relay.loop.at(due) { [weak self] in
      guard let self else { return }
      switch direction {
      case .toService: toService.isScheduled = false
      case .fromService: fromService.isScheduled = false
      }
      pump()
    }
  }

  func streamDrained(_ stream: Stream) {}

  /// The end travels like everything else: not through a direction that is held.
  func streamEnded(_ stream: Stream, _ end: StreamEnd) {
    guard !isOver else { return }
    if stream === client { toService.isFinished = true } else { fromService.isFinished = true }
    // Nobody is left to pass anything to.
    if toService.isFinished, fromService.isFinished { return finish() }
    pump()
  }
}
