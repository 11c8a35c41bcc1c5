internal import Bytes
internal import Crypto
internal import Loop
internal import Platform
internal import Synchronization

/// Artifact contents as files under their SHA-256, written and read on a thread of its own.
///
///     vault/tmp/TRANSFER        while it comes
///     vault/ab/cdef…            the content, once whole and synced
///     vault/ab/cdef….streams    the streams that announced it, a line each
///
/// A content is renamed into place only after its hash was right and its bytes are synced, so a
/// crash leaves whole contents and rubbish in tmp, which the next start removes.
final class ArtifactThread: Sendable {
  enum Job: Sendable {
    case begin(UInt64, sha256: [UInt8], size: UInt64)
    case write(UInt64, [UInt8])
    case finish(UInt64)
    case cancel(UInt64)
    case read(UInt64, sha256: [UInt8], offset: UInt64, count: Int)
    case find(UInt64, sha256: [UInt8])
    case index(sha256: [UInt8], stream: String, position: Int64)
    case stop
  }

  enum Outcome: Sendable {
    case ready(UInt64, isStored: Bool)
    case written(UInt64, bytes: Int)
    case stored(UInt64, size: UInt64)
    case refused(UInt64, ArtifactRefusal)
    /// `size` is the whole content's; fewer bytes than asked for at its end.
    case content(UInt64, size: UInt64, bytes: [UInt8])
    /// No size: the content is not stored.
    case found(UInt64, size: UInt64?, streams: [String])
    case indexed(Int64)
    /// The entry of this position is not on disk; it may be tried again.
    case indexFailed(Int64, String)
    case failed(String)
  }

  enum ArtifactRefusal: Sendable {
    case hashMismatch, sizeMismatch, notFound, outOfSpace
    case io(String)
  }

  private struct Queue {
    var jobs: [Job] = []
    var bytes = 0
    var isStopped = false
  }

  private let queue = Mutex(Queue())
  private let wake: WakeSignal
  private let ended: WakeSignal
  private let mail: Mailbox<StoreMail>

  /// Bytes that may wait to be written; the credit of transfers keeps well below it.
  static let queueBytesMax = 64 * 1024 * 1024
  static let jobsMax = 65_536
  /// Streams listed for one content.
  static let streamsMax = 256

  init(directory: String, mail: Mailbox<StoreMail>) throws {
    wake = try WakeSignal()
    ended = try WakeSignal()
    self.mail = mail
    let root = FilePath(directory)
    try Files.makeDirectories(root.appending("tmp"))
    for name in try Files.list(root.appending("tmp")) {
      try? Files.remove(root.appending("tmp").appending(name))
    }
    let thread = try RunningThread(name: "artifacts") { [self] in
      let files = ArtifactFiles(root)
      while work(files) {}
      ended.signal()
    }
    thread.detach()
  }

  /// Hands over a job from any thread. False when too much waits already.
  func add(_ job: Job) -> Bool {
    let bytes = if case .write(_, let content) = job { content.count } else { 0 }
    let isTaken = queue.withLock { queue -> Bool in
      guard !queue.isStopped, queue.bytes + bytes <= Self.queueBytesMax,
        queue.jobs.count < Self.jobsMax
      else { return false }
      queue.jobs.append(job)
      queue.bytes += bytes
      return true
    }
    if isTaken { wake.signal() }
    return isTaken
  }

  func index(_ sha256: [UInt8], _ stream: ChannelName, _ position: Int64) -> Bool {
    add(.index(sha256: sha256, stream: stream.text, position: position))
  }

  /// Finishes what waits, then ends.
  func stop() {
    let isFirst = queue.withLock { queue in
      defer { queue.isStopped = true }
      if !queue.isStopped { queue.jobs.append(.stop) }
      return !queue.isStopped
    }
    guard isFirst else { return }
    wake.signal()
    ended.wait()
  }

  private func work(_ files: ArtifactFiles) -> Bool {
    wake.wait()
    let jobs = queue.withLock { queue in
      let taken = queue.jobs
      queue.jobs = []
      queue.bytes = 0
      return taken
    }
    for job in jobs {
      if case .stop = job { return false }
      if let outcome = files.carryOut(job) { mail.post(.artifact(outcome)) }
    }
    return true
  }
}

/// The files themselves; used by one thread.
final class ArtifactFiles {
  private final class Writing {
    let sha256: [UInt8]
    let size: UInt64
    let path: FilePath
    var descriptor: Descriptor
    var hash = SHA256()
    var written: UInt64 = 0

    init(_ sha256: [UInt8], _ size: UInt64, _ path: FilePath, _ descriptor: consuming Descriptor) {
      self.sha256 = sha256
      self.size = size
      self.path = path
      self.descriptor = descriptor
    }

    func finishHash() -> [UInt8] {
      var taken = SHA256()
      swap(&taken, &hash)
      return taken.finish()
    }
  }

  private let root: FilePath
  private var writings: [UInt64: Writing] = [:]

  init(_ root: FilePath) { self.root = root }

  func carryOut(_ job: ArtifactThread.Job) -> ArtifactThread.Outcome? {
    switch job {
    case .begin(let id, let sha256, let size): return guarded(id) { try begin(id, sha256, size) }
    case .write(let id, let bytes): return guarded(id) { try write(id, bytes) }
    case .finish(let id): return guarded(id) { try finish(id) }
    case .cancel(let id):
      drop(id)
      return nil
    case .read(let id, let sha256, let offset, let count):
      return guarded(id) { try read(id, sha256, offset, count) }
    case .find(let id, let sha256): return guarded(id) { try find(id, sha256) }
    case .index(let sha256, let stream, let position):
      do {
        try index(sha256, stream)
        return .indexed(position)
      } catch {
        return .indexFailed(position, "\(error)")
      }
    case .stop: return nil
    }
  }

  private func guarded(_ id: UInt64, _ body: () throws -> ArtifactThread.Outcome)
    -> ArtifactThread.Outcome
  {
    do {
      return try body()
    } catch let error as SystemError {
      drop(id)
      if error.isNotFound { return .refused(id, .notFound) }
      return .refused(id, error.isOutOfSpace ? .outOfSpace : .io(error.description))
    } catch {
      drop(id)
      return .refused(id, .io("\(error)"))
    }
  }

  private func path(_ sha256: [UInt8]) -> FilePath {
    let text = hex(sha256)
    return root.appending(String(text.prefix(2))).appending(String(text.dropFirst(2)))
  }

  private func begin(_ id: UInt64, _ sha256: [UInt8], _ size: UInt64) throws
    -> ArtifactThread.Outcome
  {
    if (try? Files.status(path(sha256))) != nil { return .ready(id, isStored: true) }
    let temporary = root.appending("tmp").appending(String(id))
    let descriptor = try Files.openForAppending(temporary)
    writings[id] = Writing(sha256, size, temporary, descriptor)
    return .ready(id, isStored: false)
  }

  private func write(_ id: UInt64, _ bytes: [UInt8]) throws -> ArtifactThread.Outcome {
    guard let writing = writings[id] else { return .refused(id, .notFound) }
    guard writing.written + UInt64(bytes.count) <= writing.size else {
      drop(id)
      return .refused(id, .sizeMismatch)
    }
    try Files.writeAll(bytes, to: writing.descriptor)
    writing.hash.update(bytes)
    writing.written += UInt64(bytes.count)
    return .written(id, bytes: bytes.count)
  }

  private func finish(_ id: UInt64) throws -> ArtifactThread.Outcome {
    guard let writing = writings[id] else { return .refused(id, .notFound) }
    guard writing.written == writing.size else {
      drop(id)
      return .refused(id, .sizeMismatch)
    }
    guard writing.finishHash() == writing.sha256 else {
      drop(id)
      return .refused(id, .hashMismatch)
    }
    try Files.sync(writing.descriptor)
    let target = path(writing.sha256)
    try Files.makeDirectories(target.parent)
    try Files.rename(writing.path, to: target)
    try Files.syncDirectory(target.parent)
    try Files.syncDirectory(root)
    writing.descriptor.close()
    writings[id] = nil
    return .stored(id, size: writing.size)
  }

  private func drop(_ id: UInt64) {
    guard let writing = writings.removeValue(forKey: id) else { return }
    writing.descriptor.close()
    try? Files.remove(writing.path)
  }

  private func read(_ id: UInt64, _ sha256: [UInt8], _ offset: UInt64, _ count: Int) throws
    -> ArtifactThread.Outcome
  {
    let descriptor = try Files.openForReading(path(sha256))
    let size = UInt64(clamping: try Files.status(descriptor).bytes)
    let bytes = try Files.read(descriptor, at: offset, count: count)
    return .content(id, size: size, bytes: bytes)
  }

  private func streamsPath(_ sha256: [UInt8]) -> FilePath {
    let path = path(sha256)
    return FilePath(bytes: path.bytes + [UInt8](".streams".utf8))
  }

  /// The streams that announced an artifact; none where nobody has. A list that can't be read is an
  /// error: taken for an empty one it would be written anew without those who are in it.
  private func streams(_ sha256: [UInt8]) throws(SystemError) -> [String] {
    do throws(SystemError) {
      let bytes = try Files.read(streamsPath(sha256), bytesMax: 1024 * 1024)
      return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    } catch {
      if error.isNotFound { return [] }
      throw error
    }
  }

  private func find(_ id: UInt64, _ sha256: [UInt8]) throws -> ArtifactThread.Outcome {
    let status = try? Files.status(path(sha256))
    guard let status else { return .found(id, size: nil, streams: []) }
    return .found(id, size: UInt64(clamping: status.bytes), streams: try streams(sha256))
  }

  private func index(_ sha256: [UInt8], _ stream: String) throws {
    var list = try streams(sha256)
    guard !list.contains(stream), list.count < ArtifactThread.streamsMax else { return }
    list.append(stream)
    let target = streamsPath(sha256)
    try Files.makeDirectories(target.parent)
    try Files.replace(
      target, with: [UInt8]((list.joined(separator: "\n") + "\n").utf8),
      durability: .synced)
  }
}
