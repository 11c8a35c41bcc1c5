public import Bytes
internal import Platform
internal import Synchronization
public import Wire

/// An open store behind two threads: one writes, one reads. The door for event loops.
///
/// Any thread may call; nothing here blocks the caller but opening and stopping. Group commit needs
/// no timer: the writer takes all that waits, commits it, hands the outcomes out in one batch, and
/// takes what has arrived meanwhile. Both queues are bounded; beyond the bound a request is
/// `overloaded` and was not taken. Results come on the store's threads, so handlers only pass them on.
public final class StoreThread: Sendable {
  /// What a caller gave to know its request by.
  public typealias Tag = UInt64

  /// Whether a request was taken. Only an accepted one gets a result.
  public enum Submission: Sendable, Equatable {
    case accepted
    case overloaded
    case stopped
  }

  /// An append that is decided. `request` comes back so that it can be announced.
  public struct Completion: Sendable, Equatable {
    public var tag: Tag
    public var request: AppendRequest
    public var outcome: AppendOutcome
  }

  /// What is done to a stream beside appending to it.
  public enum Order: Sendable, Equatable {
    /// See `EventStore.trim`; nil for the head.
    case trim(ChannelName, through: Offset?)
    case delete(ChannelName)
    case fork(ForkRequest)
    /// See `EventStore.keep`; the time is in milliseconds since 1970.
    case keep(PutSnapshot, time: Int64)
    case importing(ImportOrder)
  }

  /// What became of an order.
  public enum Done: Sendable, Equatable {
    /// Nil where the disk is full.
    case trimmed(StreamHead?)
    case deleted(EventStore.Deletion)
    case forked(ForkOutcome)
    case kept(SnapshotOutcome)
    case imported(ImportOutcome)
  }

  public enum Query: Sendable, Equatable {
    case page(ChannelName, from: Offset, StoreReader.Direction, count: Int, bytes: Int)
    case heads([ChannelName])
    case streams(prefix: String, after: ChannelName?, limit: Int)
    case descriptions(prefix: String, after: ChannelName?, limit: Int, at: Offset? = nil)
    case unannounced(after: Int64, limit: Int)
    case events(ReadEvents)
    case snapshot(ChannelName, FoldName, at: Offset?, wantsState: Bool)
  }

  public enum Answer: Sendable, Equatable {
    case page(EncodedPage)
    /// In the order asked; a stream that does not exist has the epoch that it will begin with.
    case heads([StreamHead])
    case streams([StreamHead], hasMore: Bool)
    case descriptions([StreamDescription], hasMore: Bool)
    case unannounced(AnnouncementPage)
    case events(EventsPage)
    case snapshot(SnapshotFound?)
    case failed(ReadFailure)
  }

  public struct Handlers: Sendable {
    /// Nanoseconds that a commit took, its syncs with it.
    public var took: @Sendable (Int64) -> Void
    /// The outcomes of one commit, in commit order.
    public var committed: @Sendable ([Completion]) -> Void
    public var answered: @Sendable (Tag, Answer) -> Void
    /// A probe's result: what the store holds now that a commit went through; nil where the disk
    /// is full.
    public var probed: @Sendable (Tag, EventStore.Holdings?) -> Void
    public var carriedOut: @Sendable (Tag, Done) -> Void
    /// The store can't go on. Appends without an outcome are unknown; the process has to end.
    public var failed: @Sendable (StoreFailure) -> Void

    public init(
      took: @escaping @Sendable (Int64) -> Void = { _ in },
      committed: @escaping @Sendable ([Completion]) -> Void,
      answered: @escaping @Sendable (Tag, Answer) -> Void,
      probed: @escaping @Sendable (Tag, EventStore.Holdings?) -> Void,
      carriedOut: @escaping @Sendable (Tag, Done) -> Void = { _, _ in },
      failed: @escaping @Sendable (StoreFailure) -> Void
    ) {
      self.took = took
      self.committed = committed
      self.answered = answered
      self.probed = probed
      self.carriedOut = carriedOut
      self.failed = failed
    }
  }

  private let writes: WriteQueue
  private let reads: ReadQueue
  private let threads: Mutex<Threads?>
  /// Up to where the hub had confirmed events when the store was opened: what follows has to be
  /// announced, perhaps again.
  public let announcedAtOpen: Int64

  private struct Threads: ~Copyable, Sendable {
    let writer: RunningThread
    let reader: RunningThread

    consuming func wait() {
      reader.join()
      writer.join()
    }
  }

  /// Opens the store on a thread of its own and waits until it is open.
  ///
  /// - Errors: as `EventStore.init`; no thread is left.
  public init(
    directory: String, options: EventStore.Options = .init(), handlers: Handlers
  ) throws(StoreFailure) {
    let writes = try WriteQueue(options.writes)
    let reads = try ReadQueue()
    let opening = try Opening()
    self.writes = writes
    self.reads = reads
    let writer = try Self.start("store-writer") {
      StoreWriter(queue: writes, handlers: handlers).run(directory, options, opening)
    }
    let reader: RunningThread
    let announced: Int64
    do throws(StoreFailure) {
      let source = try opening.wait()
      announced = source.announced
      reader = try Self.start("store-reader") {
        StoreAnswerer(queue: reads, handlers: handlers).run(source)
      }
    } catch {
      writes.stop()
      writer.join()
      throw error
    }
    announcedAtOpen = announced
    threads = Mutex(Threads(writer: writer, reader: reader))
  }

  private static func start(
    _ name: String, _ body: @escaping @Sendable () -> Void
  ) throws(StoreFailure) -> RunningThread {
    do throws(SystemError) {
      return try RunningThread(name: name, body)
    } catch {
      throw .files("can't start a thread: \(error)")
    }
  }

  /// Bytes of appends that were taken and are not decided.
  public var waitingBytes: Int { writes.waitingBytes }

  /// Other bounds of group commit and of what waits for it, from the next commit on.
  public func adopt(_ bounds: WriteBounds) { writes.adopt(bounds) }

  /// Hands an append to the writer. Its outcome comes by `Handlers.committed`.
  public func append(_ request: AppendRequest, tag: Tag) -> Submission { writes.add(request, tag) }

  /// Hands an order to the writer: carried out after all that was handed over before it, and before
  /// what is handed over later. The result comes by `Handlers.carriedOut`.
  public func order(_ order: Order, tag: Tag) -> Submission { writes.add(order, tag) }

  /// Asks the writer for a real commit. The result comes by `Handlers.probed`.
  public func probe(tag: Tag) -> Submission { writes.add(probe: tag) }

  /// Notes that the hub has all events up to `position`.
  public func confirmAnnounced(through position: Int64) { writes.confirm(position) }

  /// Hands a query to the reader. The answer comes by `Handlers.answered`.
  public func read(_ query: Query, tag: Tag) -> Submission { reads.add(query, tag) }

  /// Takes nothing more, finishes what was accepted, closes the store. Blocks until that is done;
  /// a second call does nothing.
  public func stop() {
    guard let running = threads.withLock({ $0.take() }) else { return }
    reads.stop()
    writes.stop()
    running.wait()
  }
}
