public import Loop
internal import Platform
internal import Synchronization

/// A thread with an event loop, and the mailbox by which others talk to it.
///
/// `setup` runs on the new thread, makes all that lives there, and returns what handles messages.
public final class LoopThread<Message: Sendable>: Sendable {
  public let mailbox: Mailbox<Message>
  private let ended: WakeSignal

  /// Returns when `setup` has; throws what it throws. A mailbox may be given that others hold
  /// already.
  public init(
    name: String, mailbox given: Mailbox<Message>? = nil,
    _ setup: @escaping @Sendable (EventLoop) throws -> ([Message]) -> Void
  ) throws {
    let mailbox = try given ?? Mailbox<Message>()
    let ended = try WakeSignal()
    let started = try WakeSignal()
    self.mailbox = mailbox
    self.ended = ended
    let box = FailureBox()
    let thread = try RunningThread(name: name) {
      do {
        let loop = try EventLoop()
        let receive = try setup(loop)
        let reader = try MailboxReader(mailbox, on: loop, receive: receive)
        started.signal()
        loop.run()
        reader.close()
      } catch {
        box.error.withLock { $0 = error }
        started.signal()
      }
      ended.signal()
    }
    thread.detach()
    started.wait()
    if let error = box.error.withLock({ $0 }) { throw error }
  }

  /// Waits until the loop has stopped.
  public func join() { ended.wait() }

  private final class FailureBox: Sendable {
    let error = Mutex<(any Error)?>(nil)
  }
}
