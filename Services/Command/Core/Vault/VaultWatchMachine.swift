internal import Bytes
internal import Platform

/// A file's size and time: equal means that it was not changed in between.
struct FileVersion: Equatable, Sendable {
  var modifiedNanoseconds: Int64
  var bytes: Int64
  var inode: UInt64

  var modifiedMs: Int64 { modifiedNanoseconds / 1_000_000 }
}

/// Why a file is looked at.
enum Finding: Equatable, Sendable {
  /// It was there when the directory was read: size and time tell whether it is new.
  case scan
  /// It was written or moved in just now: only its content tells.
  case event
}

/// What looking at a file gave.
enum Examination: Equatable, Sendable {
  case file(FileVersion)
  /// Another process still writes it; when that closes it, it is found again.
  case beingWritten
  /// It is not there any more, or no plain file.
  case gone
  case unreadable(String)
}

/// What reading a file's content gave.
enum HashReading: Equatable, Sendable {
  /// 64 hexadecimal digits.
  case sha256(String)
  /// It changed or went while it was read.
  case changed
  case unreadable(String)
}

/// What the server said to one step.
enum StepAnswer: Equatable, Sendable {
  case done(Position?)
  /// Not now; for ever to be tried again.
  case later(String)
  /// Not this one now, as for want of space; others may go on.
  case thisLater(String)
  /// Not this artifact; it is left out and reported.
  case refused(String)
  /// Not this caller; there is no use in going on.
  case notPermitted(String)
  /// The file was changed meanwhile.
  case changed
}

/// Decides what a vault watcher does with the files it finds, one at a time and in order.
///
///     idle ─ found ─▶ examining ─▶ hashing ─▶ sending ─▶ publishing ─▶ recorded, next
///       ▲                │ known,     │ known    │ later      │ later
///       │                │ gone       │          ▼            ▼
///       └────────────────┴────────────┘        waiting ─ delay over ─▶ examining
///
/// A file that alone has to wait is set aside with a delay of its own, and the next one goes on.
///
/// INVARIANT: content before publication before journal. A crash at any point repeats a step that
/// the content's hash or the idempotency key makes harmless.
/// Pure: no file, clock or network.
struct VaultWatchMachine {
  enum Action: Equatable {
    case examine([UInt8])
    case hash([UInt8], FileVersion)
    case send([UInt8], Artifact, FileVersion)
    case publish(Artifact)
    case record([UInt8], Announced)
    case announced(Artifact, Position?)
    case report(String)
    /// Read all directories again: some finding was not kept.
    case rescan
    case end(ExitCode)
  }

  private struct Item: Equatable {
    let name: [UInt8]
    let finding: Finding
  }

  private enum State: Equatable {
    case idle
    case examining(Item)
    case hashing(Item, FileVersion)
    case sending(Item, Artifact, FileVersion)
    case publishing(Item, Artifact, FileVersion)
    case waiting(Item, until: Instant)
    case ended
  }

  private var state = State.idle
  private var queue: [Item] = []
  private var first = 0
  private var queued: [[UInt8]: Finding] = [:]
  private var journal: VaultJournal
  private var failures = 0
  private var needsRescan = false
  /// Files that wait for themselves alone; without a moment, those whose turn has come again.
  private var aside: [[UInt8]: (tries: Int, until: Instant?)] = [:]
  private(set) var refusedCount = 0

  /// BUDGET: names that wait; beyond it the directories are read again later.
  static let queuedMax = 65_536
  /// BUDGET: files set aside; beyond it all wait for the next one.
  static let asideMax = 256
  static let asideDelayFirst = Duration.seconds(1)
  static let delayFirst = Duration.milliseconds(200)
  static let delayMax = Duration.seconds(30)

  init(journal: VaultJournal) { self.journal = journal }

  var isIdle: Bool { state == .idle }

  var nextDeadline: Instant? {
    guard state != .ended else { return nil }
    let others = aside.values.compactMap(\.until).min()
    guard case .waiting(_, let until) = state else { return others }
    return min(until, others ?? until)
  }

  // MARK: events

  /// A file was found. Names that can't be artifacts are ignored.
  mutating func found(_ name: [UInt8], _ finding: Finding) -> [Action] {
    guard state != .ended, isArtifactName(name) else { return [] }
    if let known = queued[name] {
      if known == .scan { queued[name] = finding }
      return []
    }
    guard queued.count < Self.queuedMax else {
      needsRescan = true
      return []
    }
    queued[name] = finding
    queue.append(Item(name: name, finding: finding))
    return state == .idle ? next() : []
  }

  mutating func examined(_ examination: Examination) -> [Action] {
    guard case .examining(let item) = state else { return [] }
    switch examination {
    case .gone, .beingWritten:
      aside[item.name] = nil
      return next()
    case .unreadable(let reason):
      aside[item.name] = nil
      refusedCount += 1
      return [.report("\(artifactName(item.name)) can't be read: \(reason)")] + next()
    case .file(let version):
      if item.finding == .scan, let known = journal[item.name],
        known.modifiedNanoseconds == version.modifiedNanoseconds, known.bytes == version.bytes
      {
        aside[item.name] = nil
        return next()
      }
      state = .hashing(item, version)
      return [.hash(item.name, version)]
    }
  }

  /// The file's content was read, or not.
  mutating func hashed(_ reading: HashReading, now: Instant) -> [Action] {
    guard case .hashing(let item, let version) = state else { return [] }
    let sha256: String
    switch reading {
    case .sha256(let text): sha256 = text
    case .changed: return lookAgain(item, now)
    case .unreadable(let reason):
      aside[item.name] = nil
      refusedCount += 1
      return [.report("\(artifactName(item.name)) can't be read: \(reason)")] + next()
    }
    if let known = journal[item.name], known.sha256 == sha256,
      known.modifiedNanoseconds / 1_000_000 == version.modifiedMs
    {
      aside[item.name] = nil
      return next()
    }
    let artifact = Artifact(
      name: artifactName(item.name), bytes: version.bytes, sha256: sha256,
      modifiedMs: version.modifiedMs)
    state = .sending(item, artifact, version)
    return [.send(item.name, artifact, version)]
  }

  /// The server has answered to the content. `random` is even in 0 ..< 1.
  mutating func sent(_ answer: StepAnswer, now: Instant, random: Double) -> [Action] {
    guard case .sending(let item, let artifact, let version) = state else { return [] }
    guard case .done = answer else { return failed(item, artifact, answer, now, random) }
    state = .publishing(item, artifact, version)
    return [.publish(artifact)]
  }

  /// The server has answered to the publication.
  mutating func published(_ answer: StepAnswer, now: Instant, random: Double) -> [Action] {
    guard case .publishing(let item, let artifact, let version) = state else { return [] }
    guard case .done(let position) = answer else {
      return failed(item, artifact, answer, now, random)
    }
    let announced = Announced(
      modifiedNanoseconds: version.modifiedNanoseconds, bytes: version.bytes,
      sha256: artifact.sha256)
    _ = journal.record(item.name, announced)
    let isBack: [Action] = failures > 0 ? [.report("the server takes artifacts again")] : []
    failures = 0
    aside[item.name] = nil
    return isBack + [.record(item.name, announced), .announced(artifact, position)] + next()
  }

  mutating func deadlineReached(now: Instant) -> [Action] {
    guard state != .ended else { return [] }
    var actions: [Action] = []
    let due = aside.filter { $0.value.until.map { $0 <= now } ?? false }
    for name in due.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      aside[name]?.until = nil
      actions += found(name, .event)
    }
    guard case .waiting(let item, let until) = state, until <= now else { return actions }
    state = .examining(item)
    return actions + [.examine(item.name)]
  }

  // MARK: -

  private mutating func next() -> [Action] {
    guard first < queue.count else {
      queue.removeAll(keepingCapacity: true)
      first = 0
      state = .idle
      guard needsRescan else { return [] }
      needsRescan = false
      return [.rescan]
    }
    let item = queue[first]
    first += 1
    if first >= 1024 {
      queue.removeFirst(first)
      first = 0
    }
    let finding = queued.removeValue(forKey: item.name) ?? item.finding
    state = .examining(Item(name: item.name, finding: finding))
    return [.examine(item.name)]
  }

  /// What changes while it is read is looked at again: after all others, or after a pause.
  private mutating func lookAgain(_ item: Item, _ now: Instant) -> [Action] {
    let again = Item(name: item.name, finding: .event)
    guard first < queue.count else {
      state = .waiting(again, until: now + Self.delayFirst)
      return []
    }
    if queued[item.name] == nil { queue.append(again) }
    queued[item.name] = .event
    return next()
  }

  private mutating func failed(
    _ item: Item, _ artifact: Artifact, _ answer: StepAnswer, _ now: Instant, _ random: Double
  ) -> [Action] {
    switch answer {
    case .done: return []
    case .changed: return lookAgain(item, now)
    case .refused(let reason):
      aside[item.name] = nil
      refusedCount += 1
      return [.report("\(artifact.name) is not taken: \(reason)")] + next()
    case .thisLater(let reason):
      guard aside[item.name] != nil || aside.count < Self.asideMax else {
        return failed(item, artifact, .later(reason), now, random)
      }
      let tries = aside[item.name]?.tries ?? 0
      let step = min(Self.asideDelayFirst * (1 << min(tries, 10)), Self.delayMax)
      aside[item.name] = (tries + 1, now + step * (0.5 + 0.5 * min(max(random, 0), 1)))
      let said: [Action] =
        tries == 0 ? [.report("\(artifact.name) waits: \(reason); others go on")] : []
      return said + next()
    case .notPermitted(let reason):
      state = .ended
      return [.report(reason), .end(.notPermitted)]
    case .later(let reason):
      let step = min(Self.delayFirst * (1 << min(failures, 10)), Self.delayMax)
      let delay = step * (0.5 + 0.5 * min(max(random, 0), 1))
      failures += 1
      // The file may be another one by then: it is looked at from the beginning.
      state = .waiting(Item(name: item.name, finding: .event), until: now + delay)
      return failures == 1 ? [.report("\(reason); trying again until it works")] : []
    }
  }
}
