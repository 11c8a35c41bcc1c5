internal import Bytes
internal import Crypto
internal import Platform

/// The files of the vault; used by one thread.
final class ArtifactFiles {
  private final class Writing {
    let sha256: [UInt8]
    let size: UInt64
    let path: FilePath
    var descriptor: Descriptor
    var hash = SHA256()
    var sums = ContentSums()
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
  private var readings: [UInt64: ContentReading] = [:]
  private var known = KnownContents()
  /// Asks the file system; tests have another.
  private let room: (FilePath) throws(SystemError) -> FileSystemRoom

  init(
    _ root: FilePath,
    room: @escaping (FilePath) throws(SystemError) -> FileSystemRoom = Files.room(at:)
  ) {
    self.root = root
    self.room = room
  }

  func carryOut(_ job: ArtifactThread.Job) -> ArtifactThread.Outcome? {
    switch job {
    case .begin(let id, let sha256, let size): return guarded(id) { try begin(id, sha256, size) }
    case .write(let id, let bytes): return guarded(id) { try write(id, bytes) }
    case .finish(let id): return guarded(id) { try finish(id) }
    case .cancel(let id):
      drop(id)
      return nil
    case .read(let id, let sha256, let offset, let count, let end):
      return guarded(id) { try read(id, sha256, offset, count, end) }
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
    } catch let damage as ContentDamage {
      drop(id)
      return .refused(id, .damaged(sha256: damage.sha256))
    } catch {
      drop(id)
      return .refused(id, .io("\(error)"))
    }
  }

  private func path(_ sha256: [UInt8]) -> FilePath {
    let text = hex(sha256)
    return root.appending(String(text.prefix(2))).appending(String(text.dropFirst(2)))
  }

  private func sumsPath(_ sha256: [UInt8]) -> FilePath { beside(sha256, ".sums") }

  private func beside(_ sha256: [UInt8], _ suffix: String) -> FilePath {
    FilePath(bytes: path(sha256).bytes + [UInt8](suffix.utf8))
  }

  // MARK: writing

  /// A content is there already only if this process has lately seen it whole. Any other is taken
  /// once more, and takes the place of what is there: so an upload heals what was damaged.
  private func begin(_ id: UInt64, _ sha256: [UInt8], _ size: UInt64) throws
    -> ArtifactThread.Outcome
  {
    if let status = try? Files.status(path(sha256)),
      known.isWhole(sha256, status, size, now: SystemClock.monotonic())
    {
      return .ready(id, isStored: true)
    }
    let owed = writings.values.reduce(UInt64(0)) { $0 &+ ($1.size - $1.written) }
    guard VaultRoom.admits(size, owed: owed, try room(root)) else {
      return .refused(id, .outOfSpace)
    }
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
    writing.sums.update(bytes)
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
    // Before the content; the same for each of this hash. Not synced: sums that a power cut tore are
    // taken for none, and made again when the content is read whole.
    try Files.replace(sumsPath(writing.sha256), with: writing.sums.encoded)
    try Files.rename(writing.path, to: target)
    try Files.syncDirectory(target.parent)
    try Files.syncDirectory(root)
    if let status = try? Files.status(writing.descriptor) {
      known.add(writing.sha256, status, now: SystemClock.monotonic())
    }
    writing.descriptor.close()
    writings[id] = nil
    return .stored(id, size: writing.size)
  }

  private func drop(_ id: UInt64) {
    readings[id] = nil
    guard let writing = writings.removeValue(forKey: id) else { return }
    writing.descriptor.close()
    try? Files.remove(writing.path)
  }

  // MARK: reading

  private func read(
    _ id: UInt64, _ sha256: [UInt8], _ offset: UInt64, _ count: Int, _ end: UInt64
  ) throws -> ArtifactThread.Outcome {
    let reading = try readings[id] ?? open(sha256, from: offset, to: end)
    readings[id] = reading
    let bytes: [UInt8]
    do {
      bytes = try reading.read(at: offset, count: count)
    } catch let damage as ContentDamage {
      putAside(sha256, reading.status)
      throw damage
    }
    if reading.isWhole { wasWhole(sha256, reading) }
    return .content(id, size: reading.size, bytes: bytes)
  }

  private func open(_ sha256: [UInt8], from offset: UInt64, to end: UInt64) throws -> ContentReading
  {
    let descriptor = try Files.openForReading(path(sha256))
    let status = try Files.status(descriptor)
    let sums = sums(sha256)
    if let sums, sums.size != UInt64(clamping: status.bytes) {
      putAside(sha256, status)
      throw ContentDamage(sha256: sha256)
    }
    return ContentReading(descriptor, status, sha256, sums, from: offset, to: end)
  }

  /// The whole content was read and its hash was right.
  private func wasWhole(_ sha256: [UInt8], _ reading: ContentReading) {
    known.add(sha256, reading.status, now: SystemClock.monotonic())
    // Stored by a version that made no sums: from now on its parts can be checked as well.
    guard let made = reading.takeNewSums() else { return }
    try? Files.replace(sumsPath(sha256), with: made.encoded)
  }

  /// Takes a content out of the way that is not what it was; unless another has come meanwhile.
  private func putAside(_ sha256: [UInt8], _ status: FileStatus) {
    known.remove(sha256)
    guard let now = try? Files.status(path(sha256)), now.inode == status.inode else { return }
    try? Files.rename(path(sha256), to: beside(sha256, ".damaged"))
    try? Files.remove(sumsPath(sha256))
    try? Files.syncDirectory(path(sha256).parent)
  }

  /// None where they are missing or damaged themselves.
  private func sums(_ sha256: [UInt8]) -> ContentSums? {
    guard let bytes = try? Files.read(sumsPath(sha256), bytesMax: ContentSums.encodedBytesMax) else {
      return nil
    }
    return ContentSums(encoded: bytes)
  }

  private func find(_ id: UInt64, _ sha256: [UInt8]) throws -> ArtifactThread.Outcome {
    let status = try? Files.status(path(sha256))
    guard let status else { return .found(id, size: nil, streams: []) }
    let size = UInt64(clamping: status.bytes)
    if let sums = sums(sha256), sums.size != size {
      putAside(sha256, status)
      throw ContentDamage(sha256: sha256)
    }
    return .found(id, size: size, streams: try streams(sha256))
  }

  // MARK: who announced it

  private func streamsPath(_ sha256: [UInt8]) -> FilePath { beside(sha256, ".streams") }

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
