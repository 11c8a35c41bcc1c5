internal import Bytes
internal import Loop
public import Platform
internal import Synchronization
public import Wire

/// What a proxy does to the frames that pass it; the defaults pass everything on.
public struct LinkFaults: Sendable {
  /// Every frame waits this long, in its direction.
  public var delay = Duration.zero
  /// And by chance up to this much longer, each for itself. Frames of one connection keep their
  /// order; those of different connections overtake each other.
  public var jitter = Duration.zero
  /// Bytes leave in pieces of so many, each in a write of its own.
  public var segmentBytes: Int?
  /// One bit in about so many bytes is turned over.
  public var bytesPerFlip: Int?
  /// Directions in which nothing passes, not even the end of a connection.
  public var held: Set<LinkDirection> = []
  /// Newcomers are closed at once.
  public var refusesNewcomers = false
  public init() {}
}

public enum LinkDirection: Sendable, CaseIterable {
  /// From the one who connects to the service.
  case toService
  case fromService
}

/// Frames that a proxy is to swallow.
public struct FrameLoss: Sendable {
  public var kind: Kind
  public var direction: LinkDirection
  /// Only on links of this role; nil for any.
  public var role: Role?
  /// Frames of this kind that pass first.
  public var after: Int
  public var count: Int

  public init(
    _ kind: Kind, _ direction: LinkDirection, role: Role? = nil, after: Int = 0, count: Int = 1
  ) {
    self.kind = kind
    self.direction = direction
    self.role = role
    self.after = after
    self.count = count
  }
}

/// Stands between a service's socket and those who link to it, and does to frames what networks do.
///
/// Knows where frames begin, and from the hello who is who; knows nothing else of them. Runs on a
/// thread of its own, so that links go on while a test waits. What is decided by chance follows
/// from `seed`, as far as the order in which bytes arrive is the same. Test only.
public final class FaultProxy: Sendable {
  public let seed: UInt64
  let plan: Mutex<Plan>
  private let mailbox: Mailbox<Order>

  enum Order: Sendable { case changed, cut, stop }

  struct Plan {
    var faults = LinkFaults()
    var losses: [FrameLoss] = []
    var swallowed = 0
    var links = 0
    var ended = 0
  }

  /// Listens at once; dials `target` anew for each that connects.
  public init(
    at address: SocketAddress, to target: SocketAddress, seed: UInt64 = .random(in: 0...(.max))
  ) throws {
    self.seed = seed
    plan = Mutex(Plan())
    mailbox = try Mailbox()
    let descriptor = ListeningBox(try Sockets.listen(on: address))
    try RunningThread(name: "fault-proxy") { [self] in
      guard let relay = try? FaultRelay(self, descriptor.take(), address, target),
        let reader = try? MailboxReader(mailbox, on: relay.loop, receive: relay.received)
      else { return }
      relay.loop.run()
      reader.close()
    }.detach()
  }

  /// What is done to frames from now on, those that wait already included.
  public func set(_ change: (inout LinkFaults) -> Void) {
    plan.withLock { change(&$0.faults) }
    mailbox.post(.changed)
  }

  /// Passes everything on again, frames that were still to be swallowed too.
  public func heal() {
    plan.withLock { $0.losses = [] }
    set { $0 = LinkFaults() }
  }

  /// Swallows frames to come.
  public func swallow(_ loss: FrameLoss) { plan.withLock { $0.losses.append(loss) } }

  /// Frames swallowed so far.
  public var swallowed: Int { plan.withLock { $0.swallowed } }

  /// Connections that pass at the moment.
  public var links: Int { plan.withLock { $0.links } }

  /// Connections that have ended so far, at both ends.
  public var ended: Int { plan.withLock { $0.ended } }

  /// Ends every connection with a reset.
  public func cut() { mailbox.post(.cut) }

  public func stop() { mailbox.post(.stop) }

  /// Carries a descriptor into the thread.
  private final class ListeningBox: Sendable {
    private let descriptor: Mutex<Descriptor>
    init(_ descriptor: consuming Descriptor) { self.descriptor = Mutex(descriptor) }
    func take() -> Descriptor {
      descriptor.withLock { descriptor in
        var taken = Descriptor(owning: -1)
        swap(&taken, &descriptor)
        return taken
      }
    }
  }
}
