public import Platform

/// A listening socket on a loop.
///
/// Accepts up to a budget of connections a turn. When the process is out of descriptors it pauses
/// for 100 ms instead of spinning on the level-triggered event.
public final class Listener: LoopHandler {
  private let loop: EventLoop
  private var descriptor: Descriptor
  private var slot: PollSlot?
  private let accepted: (consuming Descriptor, PeerIdentity) -> Void
  /// Called with each accept error that is not about one connection.
  public var failed: (SystemError) -> Void = { _ in }
  public let address: SocketAddress

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
      guard descriptor.isOpen else { return }
      do throws(SystemError) {
        guard let connection = try Sockets.accept(descriptor) else { return }
        let peer = connection.peer
        accepted(connection.release(), peer)
      } catch {
        failed(error)
        pause()
        return
      }
    }
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

  /// Stops accepting. Connections still in the kernel's queue are taken first.
  public func close() {
    guard let slot else { return }
    ready(.readable)
    loop.remove(slot, descriptor)
    self.slot = nil
    descriptor.close()
  }
}
