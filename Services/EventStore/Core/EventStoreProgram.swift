internal import Config
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import SQLite
public import Service
internal import Synchronization
internal import Wire

/// `sapphire-eventstore`: one loop for links, one thread that writes, one that reads, one for
/// artifacts.
public enum EventStoreProgram {
  public static let description = ServiceDescription(
    role: .eventstore,
    summary: """
      keeps durable streams in SQLite, acknowledges what is on disk, and announces it to the hub.
      """,
    options: [
      OptionSpec("hub", "ADDRESS", "where the hub listens"),
      OptionSpec(
        flag: "accept-loss",
        "serve a store that lost acknowledged events, under new epochs; see docs/OPERATIONS.md"),
    ],
    examples: [
      "sapphire-eventstore --data /var/lib/sapphire/eventstore --run /run/sapphire",
      "sapphire-eventstore --verify /var/lib/sapphire/eventstore",
    ], libraries: ["SQLite \(SQLite.Connection.libraryVersion)"])

  public static func start(_ context: ServiceContext) throws -> any RunningService {
    let address = try context.listenAddress(.eventstore)
    let hub = try context.linkAddress(.hub)
    guard let directory = context.options["data"] ?? context.settings.eventstore.data else {
      throw UsageError("--data is needed: the directory of the store")
    }
    var options = EventStore.Options()
    if context.options.has("accept-loss") { options.loss = .acceptWithNewEpochs }
    let limits = context.settings.limits
    options.keysKept = limits.durableIdempotencyWindow.millisecondsClamped
    options.writes = WriteBounds(limits)
    options.adopt(context.settings.channels)
    let migrations = MigrationLog(context.logger)
    options.migrating = { migrations.write($0) }
    let mail = try Mailbox<StoreMail>()
    let metrics = EventStoreMetrics(context.metrics)
    let store: StoreThread
    do throws(StoreFailure) {
      store = try StoreThread(directory: directory, options: options, handlers: handlers(mail, metrics))
    } catch {
      throw StoreRefused(failure: error)
    }
    let artifacts = try ArtifactThread(
      directory: context.settings.vault.directory ?? "\(directory)/vault", mail: mail)
    let thread = try LoopThread<StoreMail>(name: "eventstore", mailbox: mail) { loop in
      let service = EventStoreService(
        loop, store, artifacts, hub: hub, metrics: metrics, context: context)
      let listener = try LinkListener(
        at: address, identity: context.identity, on: loop, owner: service,
        accepts: EventStoreService.accepts)
      listener.refused = { context.logger.warning("a link was refused", ["reason": .text($0)]) }
      service.listener = listener
      service.start()
      context.report(.announce("ready \(listener.address)"))
      return { service.received($0) }
    }
    return RunningEventStore(thread: thread, store: store, artifacts: artifacts, context: context)
  }

  private static func handlers(
    _ mail: Mailbox<StoreMail>, _ metrics: EventStoreMetrics
  ) -> StoreThread.Handlers {
    StoreThread.Handlers(
      took: { metrics.commitSeconds.record(UInt64(clamping: $0)) },
      committed: { mail.post(.committed($0)) }, answered: { mail.post(.answered($0, $1)) },
      probed: { mail.post(.probed($0, $1)) }, carriedOut: { mail.post(.carriedOut($0, $1)) },
      failed: { mail.post(.failed($0)) })
  }
}

/// A store that did not open: ends the process with the failure's own exit code.
struct StoreRefused: Error, CustomStringConvertible, ExitCoded {
  let failure: StoreFailure
  var description: String { failure.description }
  var exitCode: Int32 { failure.exitCode }
}

/// What the store's threads, and the process, tell the loop.
enum StoreMail: Sendable {
  case committed([StoreThread.Completion])
  case answered(StoreThread.Tag, StoreThread.Answer)
  case probed(StoreThread.Tag, EventStore.Holdings?)
  case carriedOut(StoreThread.Tag, StoreThread.Done)
  case failed(StoreFailure)
  case artifact(ArtifactThread.Outcome)
  case drain
}

struct RunningEventStore: RunningService {
  let thread: LoopThread<StoreMail>
  let store: StoreThread
  let artifacts: ArtifactThread
  let context: ServiceContext

  func drain() { thread.mailbox.post(.drain) }
  func reload(_ settings: Configuration) -> Set<String> {
    store.adopt(WriteBounds(settings.limits))
    return []
  }
}

extension EventStore.Options {
  /// Keeps of each stream what the rule of its channel says.
  mutating func adopt(_ rules: ChannelRules) {
    let ages = rules.rules.compactMap { $0.retention?.age?.millisecondsClamped }
    shortestAge = ages.min()
    guard rules.rules.contains(where: { $0.retention != nil }) else { return }
    retention = { name in
      guard let rule = rules.rule(for: name)?.retention else { return nil }
      return Retention(
        events: rule.events.map { UInt64(clamping: $0) }, bytes: rule.bytes.map { UInt64(clamping: $0) },
        age: rule.age?.millisecondsClamped)
    }
  }
}

extension WriteBounds {
  init(_ limits: Config.Limits) {
    self.init()
    commitEvents = limits.commitEvents
    commitBytes = limits.commitBytes
    queueBytes = limits.appendQueueBytes
  }
}
