public import Bytes
internal import Loop
internal import Platform
internal import Synchronization

/// A client of a Sapphire server, for any thread (S003-07).
///
///     let client = try SapphireClient(ClientOptions(url: url))
///     let id = client.subscribe(channel, since: .start) { event in … }
///     let position = try await client.emit(channel, Payload(text: "hello"))
///     client.unsubscribe(id)
///     client.close()
///
/// Owns one thread with one WebSocket, which connects, resumes and sends again by itself (see
/// `ClientSession`). Receivers are called on that thread, one at a time and in order: they hand
/// over and return. Close it when done; dropping it closes it too.
public final class SapphireClient: Sendable {
  /// Why publications can't be given one by one any more.
  public enum StreamFailure: Error, Hashable, Sendable {
    /// The reader was slower than the channel and the buffer is full: nothing is dropped silently.
    case readerTooSlow
    case refused(ServerRefusal)
    /// The position asked for is gone, or the server has dropped publications.
    case incomplete
    case closed(ClosedBecause)
  }

  private struct Job: Sendable {
    let run: @Sendable (ClientCore) -> Void
  }

  /// The way to the client's thread.
  ///
  /// INVARIANT: the job that closes is the last one posted and always has room, so that every job
  /// before it is run and no caller waits for ever.
  private final class Door: Sendable {
    private struct State {
      var isTaking = true
      var waiting = 0
    }

    let mailbox: Mailbox<Job>
    private let capacity: Int
    private let state = Mutex(State())

    init(capacity: Int) throws {
      self.capacity = capacity
      mailbox = try Mailbox(capacity: capacity + 1)
    }

    /// Whether the job will be run.
    func post(_ job: Job) -> Bool {
      state.withLock { state in
        guard state.isTaking, state.waiting < capacity else { return false }
        state.waiting += 1
        mailbox.post(job)
        return true
      }
    }

    func close(_ last: Job) {
      state.withLock { state in
        guard state.isTaking else { return }
        state.isTaking = false
        mailbox.post(last)
      }
    }

    func ran(_ count: Int) { state.withLock { $0.waiting -= count } }
  }

  private let door: Door
  private let nextNumber = Atomic<UInt64>(1)

  /// Starts the thread and begins to connect.
  ///
  /// - Parameter observe: told of every change of the connection's state, on the client's thread.
  /// - Errors: no descriptor or thread is to be had.
  public init(
    _ options: ClientOptions, observe: @escaping @Sendable (ClientEvent) -> Void = { _ in }
  ) throws {
    let door = try Door(capacity: Self.jobsMax)
    self.door = door
    let started = try WakeSignal()
    let failure = FailureBox()
    let thread = try RunningThread(name: "sapphire-client") {
      do {
        let loop = try EventLoop()
        let core = ClientCore(options, on: loop, observe: observe)
        let reader = try MailboxReader(door.mailbox, on: loop) { jobs in
          for job in jobs { job.run(core) }
          door.ran(jobs.count)
        }
        started.signal()
        loop.run()
        reader.close()
      } catch {
        failure.error.withLock { $0 = error }
        started.signal()
      }
    }
    thread.detach()
    started.wait()
    if let error = failure.error.withLock({ $0 }) { throw error }
  }

  /// Why the thread could not begin.
  private final class FailureBox: Sendable {
    let error = Mutex<(any Error)?>(nil)
  }

  deinit { close() }

  /// BUDGET: calls that wait for the client's thread.
  static let jobsMax = 65_536

  /// Calls `receive` with every event of the channel and of the connection.
  ///
  /// - Parameter since: where to begin; counts for the channel's first subscriber here only, whose
  ///   upstream subscription the others share.
  public func subscribe(
    _ channel: ChannelName, since: Since? = nil,
    receive: @escaping @Sendable (ClientEvent) -> Void
  ) -> SubscriptionID {
    let id = SubscriptionID(number: nextNumber.add(1, ordering: .relaxed).oldValue)
    post { $0.subscribe(id, channel, since: since, receive: receive) }
    return id
  }

  /// No event is begun for this subscriber after the client's thread has seen it.
  public func unsubscribe(_ id: SubscriptionID) { post { $0.unsubscribe(id) } }

  /// Publishes and waits until the server has it; in a durable channel it is on disk then.
  ///
  /// - Returns: where it stands; nil in channels without history.
  /// - Errors: nothing was published, or with `.closed` perhaps.
  @discardableResult
  public func emit(_ channel: ChannelName, _ payload: Payload, key: String? = nil)
    async throws(EmitFailure) -> Position?
  {
    let result: Result<Position?, EmitFailure> = await withCheckedContinuation { continuation in
      let posted = post { core in
        core.emit(channel, payload, key: key) { continuation.resume(returning: $0) }
      }
      if !posted { continuation.resume(returning: .failure(.queueFull)) }
    }
    return try result.get()
  }

  /// How many clients are subscribed, by channel; only channels that have any.
  public func channels() async throws(ServerAPI.Failure) -> [ChannelName: Int] {
    let result: Result<[ChannelName: Int], ServerAPI.Failure> =
      await withCheckedContinuation { continuation in
        let posted = post { core in core.counts { continuation.resume(returning: $0) } }
        if !posted { continuation.resume(returning: .failure(.transport(.queueFull))) }
      }
    return try result.get()
  }

  /// How many clients are subscribed to the channel.
  public func subscriberCount(_ channel: ChannelName) async throws(ServerAPI.Failure) -> Int {
    try await channels()[channel] ?? 0
  }

  /// The channel's publications, one by one.
  ///
  /// - Limits: `buffer` wait at most; then the stream ends with `.readerTooSlow`.
  /// - Errors: `StreamFailure`; until then no publication is missing.
  public func publications(_ channel: ChannelName, since: Since? = nil, buffer: Int = 1024)
    -> AsyncThrowingStream<Publication, any Error>
  {
    AsyncThrowingStream(bufferingPolicy: .bufferingOldest(max(1, buffer))) { continuation in
      let id = subscribe(channel, since: since) { event in
        if let failure = Self.feed(event, continuation) { continuation.finish(throwing: failure) }
      }
      continuation.onTermination = { [weak self] _ in self?.unsubscribe(id) }
    }
  }

  private static func feed(
    _ event: ClientEvent,
    _ continuation: AsyncThrowingStream<Publication, any Error>.Continuation
  ) -> StreamFailure? {
    switch event {
    case .publication(let publication):
      if case .dropped = continuation.yield(publication) { return .readerTooSlow }
      return nil
    case .gap, .unrecoverable: return .incomplete
    case .subscriptionRefused(_, let refusal): return .refused(refusal)
    case .state(.closed(let reason)): return .closed(reason)
    case .state, .subscribed, .presence, .emitted, .emitFailed, .refusal: return nil
    }
  }

  /// Ends for good: what waits fails, streams end. Closing twice is closing once.
  public func close() { door.close(Job(run: { $0.close() })) }

  /// Whether it will be run.
  @discardableResult
  private func post(_ run: @escaping @Sendable (ClientCore) -> Void) -> Bool {
    door.post(Job(run: run))
  }
}
