public import Platform

/// A listening socket on a loop.
///
/// Accepts up to a budget of connections a turn, and none while openings of earlier ones wait for
/// their turn: in the kernel's queue nobody's time runs. When the process is out of descriptors it turns
/// newcomers away by means of one held in reserve, and pauses for 100 ms instead of spinning on
/// the level-triggered event.
public final class Listener: LoopHandler {
  private let loop: EventLoop
  private var descriptor: Descriptor
  private var slot: PollSlot?
  private let accepted: (consuming Descriptor, PeerIdentity) -> Void
  /// Called with each accept error that is not about one connection.
  public var failed: (SystemError) -> Void = { _ in }
  public let address: SocketAddress
  /// What a newcomer is told when the process is out of descriptors; empty for nothing.
  public var refusal: [UInt8] = []
  private var reserve = Syscalls.openNothing()

  /// BUDGET: connections accepted in one turn; the rest wait in the kernel's queue.
  public static let acceptsPerTurn = 64

  public init(
    _ descriptor: consuming Descriptor, address: SocketAddress, on loop: EventLoop,
    accepted: @escaping (consuming Descriptor, PeerIdentity) -> Void
  ) throws(SystemError) {
    self.loop = loop
    self.address = address
    self.accepted = accepted
    self.descriptor = descriptor
    slot = try loop.add(self, self.descriptor, .read)
  }

  public func ready(_ readiness: Readiness) {
    for _ in 0..<Self.acceptsPerTurn {
      guard !loop.isBehindWithOpenings, acceptOne() else { return }
    }
  }

  /// Whether there may be another one.
  private func acceptOne() -> Bool {
    guard descriptor.isOpen else { return false }
    do throws(SystemError) {
      guard let connection = try Sockets.accept(descriptor) else { return false }
      let peer = connection.peer
      accepted(connection.release(), peer)
      return true
    } catch {
      failed(error)
      if error.isOutOfDescriptors { turnAway() }
      pause()
      return false
    }
  }

  /// Answers those who wait through the reserved descriptor, so that they need not time out.
  private func turnAway() {
    for _ in 0..<Self.acceptsPerTurn {
      reserve.close()
      do throws(SystemError) {
        guard let connection = try Sockets.accept(descriptor) else { break }
        let newcomer = connection.release()
        _ = Syscalls.send(newcomer, refusal, from: 0)
        Sockets.shutdownWriting(newcomer)
      } catch { break }
    }
    if !reserve.isOpen { reserve = Syscalls.openNothing() }
  }

  private func pause() {
    guard let slot else { return }
    loop.modify(slot, descriptor, [])
    loop.after(.milliseconds(100)) { [weak self] in self?.resume() }
  }

  private func resume() {
    guard let slot else { return }
    loop.modify(slot, descriptor, .read)
  }

  /// Stops accepting. Connections still in the kernel's queue are taken first, all of them: the
  /// kernel would reset those that are left.
  public func close() {
    guard let slot else { return }
    self.slot = nil
    while acceptOne() {}
    loop.remove(slot, descriptor)
    descriptor.close()
  }
}
