internal import Loop
internal import Platform

/// What was published in one channel before the hub has opened it, in order. Loop-confined.
///
/// Bounded by a count for the channel and by bytes for the loop, and counted with what the clients
/// hold whose publications wait. A channel has one while something waits.
final class WaitingPublications {
  struct Entry {
    let number: UInt64
    let request: PublishRequest
    let bytes: Int
    fileprivate let deadline: Instant
    fileprivate let finish: (Refusal?) -> Void
  }

  /// BUDGET: publications of one channel that wait; more are refused.
  private static let countMax = 4096

  /// BUDGET: their bytes in all channels of a loop.
  private static let bytesMax = 16 << 20

  private let gateway: GatewayLoop
  private var entries: [Entry] = []
  private var lastNumber: UInt64 = 0
  private var timer: TimerID?

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  var isEmpty: Bool { entries.isEmpty }

  /// Calls `finish`, exactly once: with nil once the channel is open, or with the reason why not.
  ///
  /// - Parameter bytes: what is kept meanwhile.
  func append(
    _ request: PublishRequest, keeping bytes: Int, within limit: Duration,
    _ finish: @escaping (Refusal?) -> Void
  ) {
    guard entries.count < Self.countMax, gateway.waitingBytes + bytes <= Self.bytesMax
    else { return finish(.overloaded) }
    gateway.waitingBytes += bytes
    lastNumber &+= 1
    entries.append(
      Entry(
        number: lastNumber, request: request, bytes: bytes, deadline: gateway.loop.now + limit,
        finish: finish))
    if timer == nil { timer = gateway.loop.after(limit) { [self] in expire() } }
    gateway.memory.channelsHold(bytes)
  }

  /// The channel is open, or it is known why it isn't.
  func settle(_ refusal: Refusal?) {
    let settled = entries
    entries = []
    if let timer { gateway.loop.cancel(timer) }
    timer = nil
    finish(settled, refusal)
  }

  private func expire() {
    timer = nil
    let now = gateway.loop.now
    let expired = Array(entries.prefix { $0.deadline <= now })
    entries.removeFirst(expired.count)
    finish(expired, .unavailable)
    if timer == nil, let next = entries.first {
      timer = gateway.loop.at(next.deadline) { [self] in expire() }
    }
  }

  private func finish(_ settled: [Entry], _ refusal: Refusal?) {
    let bytes = settled.reduce(0) { $0 + $1.bytes }
    gateway.waitingBytes -= bytes
    gateway.memory.channelsHold(-bytes)
    for entry in settled { entry.finish(refusal) }
  }

  // MARK: memory

  func forEach(_ body: (Entry) -> Void) { for entry in entries { body(entry) } }

  /// Refuses one that waits, if it still does: clients hold too much.
  func letGo(_ number: UInt64) {
    guard let index = entries.firstIndex(where: { $0.number == number }) else { return }
    finish([entries.remove(at: index)], .overloaded)
  }
}
