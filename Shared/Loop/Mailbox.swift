internal import Platform
internal import Synchronization

/// Messages from any thread to one loop, taken in order and in batches.
///
/// The only door into a loop from another thread. A post wakes the loop only when the box was
/// empty. Bounded: a post beyond `capacity` is refused and the poster decides what that means.
public final class Mailbox<Message: Sendable>: Sendable {
  private let waiting = Mutex<[Message]>([])
  private let event: Descriptor
  public let capacity: Int

  /// - Throws: `SystemError` when no eventfd can be had.
  public init(capacity: Int = 65_536) throws {
    event = try Syscalls.makeEventDescriptor()
    self.capacity = capacity
  }

  public enum PostResult: Sendable { case posted, full }

  /// Adds a message from any thread. O(1); one `write(2)` when the box was empty.
  @discardableResult
  public func post(_ message: sending Message) -> PostResult {
    let count = waiting.withLock { list -> Int in
      guard list.count < capacity else { return -1 }
      list.append(message)
      return list.count
    }
    if count == 1 { Syscalls.signal(event: event) }
    return count < 0 ? .full : .posted
  }

  func takeAll() -> [Message] {
    Syscalls.clear(event: event)
    return waiting.withLock { list in
      var taken: [Message] = []
      swap(&taken, &list)
      return taken
    }
  }

  func register(_ handler: any LoopHandler, on loop: EventLoop) throws -> PollSlot {
    try loop.add(handler, event, .read)
  }

  func unregister(_ slot: PollSlot, from loop: EventLoop) { loop.remove(slot, event) }
}

/// The loop's side of a mailbox. Keep it; releasing the registration is by `close`.
public final class MailboxReader<Message: Sendable>: LoopHandler {
  private let mailbox: Mailbox<Message>
  private let loop: EventLoop
  private let receive: ([Message]) -> Void
  private var slot: PollSlot?

  /// Hands every batch of messages to `receive`, on the loop, until `close`.
  public init(
    _ mailbox: Mailbox<Message>, on loop: EventLoop, receive: @escaping ([Message]) -> Void
  ) throws {
    self.mailbox = mailbox
    self.loop = loop
    self.receive = receive
    slot = try mailbox.register(self, on: loop)
  }

  public func ready(_ readiness: Readiness) {
    let messages = mailbox.takeAll()
    if !messages.isEmpty { receive(messages) }
  }

  public func close() {
    if let slot { mailbox.unregister(slot, from: loop) }
    slot = nil
  }
}
