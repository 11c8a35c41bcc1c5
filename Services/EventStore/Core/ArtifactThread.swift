internal import Bytes
internal import Loop
internal import Platform
internal import Synchronization

/// Artifact contents as files under their SHA-256, written and read on a thread of its own.
///
///     vault/tmp/TRANSFER        while it comes
///     vault/ab/cdef…            the content, once whole and synced
///     vault/ab/cdef….sums       a checksum of each block of it
///     vault/ab/cdef….damaged    a content that was found to be another one, put aside
///     vault/ab/cdef….streams    the streams that announced it, a line each
///
/// A content is renamed into place only after its hash was right and its bytes are synced, so a
/// crash leaves whole contents and rubbish in tmp, which the next start removes.
///
/// INVARIANT: a content that is read whole gives its last bytes only after its hash was right. A part
/// of it is checked block by block, where there are sums. What fails is put aside, so that it is not
/// there any more and can be stored again.
final class ArtifactThread: Sendable {
  enum Job: Sendable {
    case begin(UInt64, sha256: [UInt8], size: UInt64)
    case write(UInt64, [UInt8])
    case finish(UInt64)
    case cancel(UInt64)
    /// The next bytes for a reader who wants all up to `end`.
    case read(UInt64, sha256: [UInt8], offset: UInt64, count: Int, end: UInt64)
    case find(UInt64, sha256: [UInt8])
    case index(sha256: [UInt8], stream: String, position: Int64)
    case stop

    /// Gives something back, so it is taken whatever waits: there is one for each transfer at most.
    var endsTransfer: Bool { if case .cancel = self { true } else { false } }
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
    /// What is stored is not what was; it was put aside.
    case damaged(sha256: [UInt8])
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
      guard !queue.isStopped, job.endsTransfer || queue.bytes + bytes <= Self.queueBytesMax,
        job.endsTransfer || queue.jobs.count < Self.jobsMax
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
