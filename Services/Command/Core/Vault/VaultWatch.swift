internal import Bytes
internal import Client
internal import Crypto
internal import JSON
internal import Loop
internal import Platform

/// Carries out what `VaultWatchMachine` decides: directories, files, requests and the journal.
/// Lives on the main thread's loop; reading and hashing block it, which nobody else waits for.
final class VaultWatch {
  private let files: VaultFiles
  private let channel: ChannelName
  private let console: Console
  private let loop: EventLoop
  private let client: HTTPClient
  private let journal: VaultJournalFile
  private var machine: VaultWatchMachine
  private let watch: DirectoryWatch
  private var watchHandler: WatchHandler?
  private var signals: SignalHandler?
  /// The directories by their watches, relative to the root, which is empty.
  private var directories: [WatchID: [UInt8]] = [:]
  private var actions: [VaultWatchMachine.Action] = []
  private var isCarryingOut = false
  private var timer: TimerID?
  private var exitCode: ExitCode?

  init(
    root: FilePath, channel: ChannelName, server: Server, journal: VaultJournalFile,
    console: Console
  ) throws(SystemError) {
    files = VaultFiles(root: root)
    self.channel = channel
    self.console = console
    self.journal = journal
    machine = VaultWatchMachine(journal: journal.content)
    loop = try EventLoop()
    client = HTTPClient(server.url, key: server.key, trust: server.trust, on: loop)
    watch = try DirectoryWatch()
    signals = try SignalHandler(loop) { [weak self] signal in
      if signal == .terminate { self?.stop() }
    }
    let handler = WatchHandler { [weak self] in self?.directoriesChanged() }
    _ = try loop.add(handler, watch.descriptor, .read)
    watchHandler = handler
  }

  /// Runs until a signal, or until there is no use in going on.
  func run() -> ExitCode {
    scan([])
    guard exitCode == nil else { return exitCode ?? .failure }
    console.line("watching \(files.root) for \(channel)")
    while exitCode == nil { loop.turn() }
    return exitCode ?? .failure
  }

  /// Leaving in the middle is as safe as being killed there.
  private func stop() { exitCode = exitCode ?? (machine.refusedCount == 0 ? .ok : .failure) }

  // MARK: directories

  private func directoriesChanged() {
    while true {
      let events = watch.next()
      guard !events.isEmpty else { return }
      for event in events { changed(event) }
    }
  }

  private func changed(_ event: WatchEvent) {
    switch event {
    case .fileCompleted(let id, let name):
      if let directory = directories[id] {
        carryOut(machine.found(join(directory, name), .event))
      }
    case .directoryAppeared(let id, let name):
      if let directory = directories[id], name.first != UInt8(ascii: ".") {
        scan(join(directory, name))
      }
    case .fileAppeared(let id, let name):
      // A further name of a complete file: nobody will close it after writing. What is still being
      // written is found when it is closed.
      guard let directory = directories[id] else { return }
      let full = join(directory, name)
      guard let status = try? Files.linkStatus(files.path(full)), status.linkCount > 1 else { return }
      carryOut(machine.found(full, .event))
    case .moved(let id): moved(id)
    case .ended(let id):
      guard let directory = directories.removeValue(forKey: id), directory.isEmpty else { return }
      console.report("\(files.root) is gone")
      exitCode = exitCode ?? .failure
    case .overflowed: scan([])
    }
  }

  /// A directory below that was moved within the root was found again under its new name before.
  /// One that left is not ours any more, with all below it; the root itself can't be followed.
  private func moved(_ id: WatchID) {
    guard let directory = directories[id] else { return }
    guard !directory.isEmpty else {
      console.report("\(files.root) was moved away")
      exitCode = exitCode ?? .failure
      return
    }
    if let found = try? watch.add(files.path(directory)) {
      directories[found] = directory
      if found == id { return }
    }
    let below = directory + [UInt8(ascii: "/")]
    for (other, name) in directories where other == id || name.starts(with: below) {
      if let found = try? watch.add(files.path(name)), found == other { continue }
      watch.remove(other)
      directories[other] = nil
    }
  }

  private func join(_ directory: [UInt8], _ name: [UInt8]) -> [UInt8] {
    directory.isEmpty ? name : directory + [UInt8(ascii: "/")] + name
  }

  /// Watches a directory and all below it, and finds the files that are there. A watch is set
  /// before its directory is read, so that no file falls between the two.
  private func scan(_ top: [UInt8]) {
    var found: [(modified: Int64, name: [UInt8])] = []
    var left = [top]
    while let directory = left.popLast() {
      do throws(SystemError) {
        directories[try watch.add(files.path(directory))] = directory
        for name in try Files.list(files.path(directory)) where name.first != UInt8(ascii: ".") {
          let full = join(directory, name)
          guard let status = try? Files.linkStatus(files.path(full)) else { continue }
          switch status.kind {
          case .directory: left.append(full)
          case .file: found.append((status.modifiedNanoseconds, full))
          case .symbolicLink, .other: break
          }
        }
      } catch {
        scanFailed(directory, error)
      }
    }
    found.sort {
      $0.modified != $1.modified
        ? $0.modified < $1.modified : $0.name.lexicographicallyPrecedes($1.name)
    }
    for file in found { carryOut(machine.found(file.name, .scan)) }
  }

  private func scanFailed(_ directory: [UInt8], _ error: SystemError) {
    // A directory below that went in the meantime is nobody's loss.
    if !directory.isEmpty, error.isNotFound { return }
    console.report("\(files.path(directory)) can't be watched: \(error)")
    if error.code == 28 {
      console.report("the limit of watches is reached; raise sysctl fs.inotify.max_user_watches")
    }
    if directory.isEmpty || error.code == 28 { exitCode = exitCode ?? .failure }
  }

  // MARK: actions

  /// In order, also when carrying out one leads to more: a loop instead of a recursion, which a
  /// thousand files would make deep.
  private func carryOut(_ more: [VaultWatchMachine.Action]) {
    actions += more
    guard !isCarryingOut else { return }
    isCarryingOut = true
    while !actions.isEmpty {
      let batch = actions
      actions = []
      for action in batch { carryOut(action) }
    }
    isCarryingOut = false
    arm()
  }

  private func carryOut(_ action: VaultWatchMachine.Action) {
    switch action {
    case .examine(let name): actions += machine.examined(files.examine(name))
    case .hash(let name, let version):
      actions += machine.hashed(files.hash(name, version), now: SystemClock.monotonic())
    case .send(let name, let artifact, let version): send(name, artifact, version)
    case .publish(let artifact): publish(artifact)
    case .record(let name, let announced): record(name, announced)
    case .announced(let artifact, let position):
      console.line(
        "\(printable(artifact.name)) \(artifact.sha256) \(position?.description ?? "announced")")
    case .report(let text): console.report(printable(text))
    case .rescan: loop.atTurnEnd { [weak self] in self?.scan([]) }
    case .end(let code): exitCode = exitCode ?? code
    }
  }

  private func send(_ name: [UInt8], _ artifact: Artifact, _ version: FileVersion) {
    do throws(SystemError) {
      let request = try VaultUpload.content(artifact, from: files.path(name))
      client.send(request, within: VaultUpload.contentWithin(artifact)) { [weak self] answer in
        guard let self else { return }
        let isStill = files.isStill(name, version)
        let step = isStill ? VaultUpload.contentAnswer(answer) : .changed
        carryOut(
          machine.sent(step, now: SystemClock.monotonic(), random: .random(in: 0..<1)))
      }
    } catch {
      actions += machine.sent(.changed, now: SystemClock.monotonic(), random: 0)
    }
  }

  private func publish(_ artifact: Artifact) {
    do throws(PayloadJSON.Refusal) {
      let request = try VaultUpload.publication(artifact, in: channel)
      client.send(request, within: ServerCalls.answerWithin) { [weak self] answer in
        guard let self else { return }
        let step = VaultUpload.publicationAnswer(answer)
        carryOut(
          machine.published(step, now: SystemClock.monotonic(), random: .random(in: 0..<1)))
      }
    } catch {
      let step = StepAnswer.refused("\(error)")
      actions += machine.published(step, now: SystemClock.monotonic(), random: 0)
    }
  }

  private func record(_ name: [UInt8], _ announced: Announced) {
    do throws(SystemError) {
      try journal.append(name, announced)
    } catch {
      console.report("what was announced can't be written down: \(error)")
      exitCode = exitCode ?? .failure
    }
  }

  private func timerFired() {
    carryOut(machine.deadlineReached(now: SystemClock.monotonic()))
  }

  private func arm() {
    if let timer { loop.cancel(timer) }
    timer = nil
    guard let deadline = machine.nextDeadline else { return }
    timer = loop.at(deadline) { [weak self] in self?.timerFired() }
  }
}

/// Tells that directory events wait.
private final class WatchHandler: LoopHandler {
  private let receive: () -> Void
  init(_ receive: @escaping () -> Void) { self.receive = receive }
  func ready(_ readiness: Readiness) { receive() }
}

/// The journal on disk: appended and synced at every announcement, written anew now and then.
/// Held by one process at a time.
final class VaultJournalFile {
  private let path: FilePath
  private let lock: Descriptor
  private var descriptor: Descriptor
  private(set) var content: VaultJournal

  /// BUDGET: a journal of some hundred thousand files.
  static let bytesMax = 256 << 20

  /// Opens the journal of one watch; nil where another process has it.
  ///
  /// - Parameter identity: what makes the watch: directory, channel and server.
  init?(in directory: FilePath, identity: String) throws(SystemError) {
    try Files.makeDirectories(directory)
    let name = hex(Array(SHA256.digest([UInt8](identity.utf8)).prefix(16)))
    path = directory.appending("\(name).journal")
    guard let lock = try Files.lock(directory.appending("\(name).lock"), within: .seconds(1))
    else { return nil }
    self.lock = lock
    var content = VaultJournal()
    do throws(SystemError) {
      content = VaultJournal(text: try Files.read(path, bytesMax: Self.bytesMax))
    } catch {
      guard error.isNotFound else { throw error }
    }
    if content.isWorthCompacting {
      try Files.replace(path, with: content.compact(), durability: .synced)
    }
    self.content = content
    descriptor = try Files.openForAppending(path)
    try Files.syncDirectory(directory)
  }

  /// Writes one announcement down; on disk when it returns.
  func append(_ name: [UInt8], _ announced: Announced) throws(SystemError) {
    try Files.writeAll(content.record(name, announced), to: descriptor)
    try Files.sync(descriptor)
    guard content.isWorthCompacting else { return }
    try Files.replace(path, with: content.compact(), durability: .synced)
    descriptor = try Files.openForAppending(path)
  }
}
