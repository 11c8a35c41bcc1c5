internal import Bytes
internal import Platform
internal import Wire

extension StoreInstant {
  /// Both clocks now.
  public static func now() -> StoreInstant {
    StoreInstant(
      monotonic: Int64(clamping: SystemClock.monotonic().nanoseconds / 1_000_000),
      wall: SystemClock.wallMilliseconds())
  }
}

/// The writer's thread: takes what waits, commits it, hands out the outcomes, keeps house.
struct StoreWriter {
  let queue: WriteQueue
  let handlers: StoreThread.Handlers

  func run(_ directory: String, _ options: EventStore.Options, _ opening: Opening) {
    let store: EventStore
    do throws(StoreFailure) {
      store = try EventStore(directory: directory, options: options, now: .now())
      try store.proveWriting(at: .now())
    } catch {
      opening.finish(.failure(error))
      return
    }
    opening.finish(.success(store.source))
    do throws(StoreFailure) {
      while try turn(store) {}
      try store.settle(at: .now())
    } catch {
      queue.abandon()
      handlers.failed(error)
    }
  }

  /// One commit and what goes with it; false when there will be no more.
  private func turn(_ store: EventStore) throws(StoreFailure) -> Bool {
    let delay = store.maintenanceDue - StoreInstant.now().monotonic
    let work = queue.take(waiting: delay)
    if let position = work.confirmed { store.confirmAnnounced(through: position, at: .now()) }
    let didWrite = work.appends.isEmpty ? false : try commit(work.appends, store)
    for ordered in work.orders {
      handlers.carriedOut(ordered.tag, try carryOut(ordered.order, store))
    }
    if !work.probes.isEmpty {
      // One commit answers all that wait, and an append's commit is as good as a probe's.
      let isWritable = didWrite && store.refusedBytes == nil ? true : try store.probe(at: .now())
      let holdings = isWritable ? store.holdings() : nil
      for tag in work.probes { handlers.probed(tag, holdings) }
    }
    try store.maintain(at: .now())
    return !work.isLast
  }

  private func carryOut(
    _ order: StoreThread.Order, _ store: EventStore
  ) throws(StoreFailure) -> StoreThread.Done {
    switch order {
    case .trim(let stream, let offset):
      .trimmed(try store.trim(stream, through: offset, at: .now()))
    case .delete(let stream): .deleted(try store.delete(stream, at: .now()))
    case .fork(let request): .forked(try store.fork(request, at: .now()))
    case .keep(let request, let time): .kept(try store.keep(request, time: time, at: .now()))
    case .importing(let order): .imported(try store.carryOut(order, at: .now()))
    }
  }

  /// Whether anything new is on disk.
  private func commit(_ entries: [WriteQueue.Entry], _ store: EventStore) throws(StoreFailure)
    -> Bool
  {
    let began = SystemClock.monotonic()
    let outcomes = try store.commit(entries.map(\.request), at: .now())
    handlers.took(SystemClock.monotonic().since(began).nanosecondsClamped)
    handlers.committed(
      zip(entries, outcomes).map { entry, outcome in
        StoreThread.Completion(tag: entry.tag, request: entry.request, outcome: outcome)
      })
    return outcomes.contains { outcome in
      if case .committed(let receipt) = outcome { receipt.origin == .appended } else { false }
    }
  }
}

/// The reader's thread: answers queries in the order they came.
struct StoreAnswerer {
  let queue: ReadQueue
  let handlers: StoreThread.Handlers

  func run(_ source: StoreReader.Source) {
    let reader: StoreReader
    do throws(StoreFailure) {
      reader = try StoreReader(source)
    } catch {
      queue.stop()
      handlers.failed(error)
      return
    }
    while let entries = queue.take() {
      for entry in entries { handlers.answered(entry.tag, answer(entry.query, reader)) }
    }
  }

  private func answer(_ query: StoreThread.Query, _ reader: StoreReader) -> StoreThread.Answer {
    do throws(ReadFailure) {
      switch query {
      case .page(let stream, let from, let direction, let count, let bytes):
        return .page(try reader.page(stream, from: from, direction, count: count, bytes: bytes))
      case .heads(let names):
        return .heads(try names.map { name throws(ReadFailure) in try reader.head(of: name) })
      case .streams(let prefix, let after, let limit):
        let heads = try reader.streams(prefix: prefix, after: after, limit: limit)
        return .streams(heads, hasMore: heads.count == limit)
      case .descriptions(let prefix, let after, let limit, let at):
        let found = try reader.descriptions(prefix: prefix, after: after, limit: limit, at: at)
        return .descriptions(found, hasMore: found.count == limit)
      case .unannounced(let position, let limit):
        return .unannounced(try reader.unannounced(after: position, limit: limit))
      case .events(let request): return .events(try reader.events(request))
      case .snapshot(let stream, let fold, let at, let wantsState):
        return .snapshot(
          try reader.snapshot(of: stream, fold, at: at, wantsState: wantsState))
      }
    } catch {
      return .failed(error)
    }
  }
}
