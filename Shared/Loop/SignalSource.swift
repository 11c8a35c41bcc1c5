public import Platform

/// Signals as events of a loop. Block them first (`SignalReader.blockAll`).
public final class SignalSource: LoopHandler {
  private let loop: EventLoop
  private let reader: SignalReader
  private let received: (ServiceSignal) -> Void
  private var slot: PollSlot?

  public init(on loop: EventLoop, received: @escaping (ServiceSignal) -> Void) throws(SystemError) {
    self.loop = loop
    self.received = received
    reader = try SignalReader()
    slot = try loop.add(self, reader.descriptor, .read)
  }

  public func ready(_ readiness: Readiness) {
    while let signal = reader.next() { received(signal) }
  }

  public func close() {
    if let slot { loop.remove(slot, reader.descriptor) }
    slot = nil
  }
}
