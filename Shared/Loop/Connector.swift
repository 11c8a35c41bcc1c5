public import Platform

/// One attempt to connect, with a deadline. Loop-confined; keep it until it has answered.
public final class Connector: LoopHandler {
  private let loop: EventLoop
  private var descriptor: Descriptor
  private var slot: PollSlot?
  private var timer: TimerID?
  private var finished: ((consuming Descriptor?, SystemError?) -> Void)?

  /// Begins to connect to `address` and calls `finished` exactly once, later in this turn at the
  /// earliest: with the descriptor, or with the error (ETIMEDOUT when `within` has passed).
  public init(
    to address: SocketAddress, on loop: EventLoop, within: Duration,
    finished: @escaping (consuming Descriptor?, SystemError?) -> Void
  ) {
    self.loop = loop
    self.finished = finished
    do throws(SystemError) {
      let attempt = try Sockets.connect(to: address)
      let isPending = attempt.isPending
      descriptor = attempt.release()
      if isPending {
        slot = try loop.add(self, descriptor, .write)
        timer = loop.after(within) { [weak self] in
          self?.finish(SystemError(code: Self.timedOut, call: "connect", subject: address.description))
        }
      } else {
        loop.atTurnEnd { [weak self] in self?.finish(nil) }
      }
    } catch {
      descriptor = Descriptor(owning: -1)
      loop.atTurnEnd { [weak self] in self?.finish(error) }
    }
  }

  private static let timedOut: Int32 = 110

  public func ready(_ readiness: Readiness) { finish(Sockets.connectError(descriptor)) }

  /// Gives up without an answer.
  public func cancel() {
    finished = nil
    finish(nil)
    descriptor.close()
  }

  private func finish(_ error: SystemError?) {
    if let slot { loop.remove(slot, descriptor) }
    slot = nil
    if let timer { loop.cancel(timer) }
    timer = nil
    guard let finished else { return }
    self.finished = nil
    if let error {
      descriptor.close()
      finished(nil, error)
      return
    }
    var taken = Descriptor(owning: -1)
    swap(&taken, &descriptor)
    finished(taken, nil)
  }
}
