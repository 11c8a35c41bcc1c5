// INVARIANTS:
// - A file's number is owned by one SystemFile and closed when that goes.
// - Buffers are sized by their own arrays; counts handed to the kernel never exceed them.
// - Every call that writes reports its error; a failed sync is never tried again.
// - Paths are the operator's own and may stand in messages.

internal import Glibc
internal import Platform

/// An open file of the store on whatever disk it has.
struct StoreFile: ~Copyable {
  private let file: any StoreDiskFile
  let path: String

  /// Nil where there is no such file.
  init?(
    existing path: String, _ access: StoreFileAccess = .readOnly,
    on disk: any StoreDisk = SystemDisk()
  ) throws(StoreFailure) {
    guard let opened = try disk.open(path, access) else { return nil }
    file = opened
    self.path = path
  }

  /// Opens for reading and writing, creating what isn't there.
  init(path: String, on disk: any StoreDisk = SystemDisk()) throws(StoreFailure) {
    guard let file = try StoreFile(existing: path, .create, on: disk) else {
      throw failed("open", path)
    }
    self = file
  }

  func read(at offset: Int, count: Int) throws(StoreFailure) -> [UInt8] {
    try file.read(at: offset, count: count)
  }

  func write(_ bytes: [UInt8], at offset: Int) throws(StoreFailure) {
    try file.write(bytes, at: offset)
  }

  func sync() throws(StoreFailure) { try file.sync() }
  func truncate(to count: Int) throws(StoreFailure) { try file.truncate(to: count) }
  func lock() throws(StoreFailure) -> Bool { try file.lock() }
}

/// The machine's own files.
package struct SystemDisk: StoreDisk {
  package init() {}

  package var sqliteName: String? { nil }
  package var processID: Int32 { StoreFiles.processID }

  /// `open(2)` with CLOEXEC, mode 0600.
  package func open(_ path: String, _ access: StoreFileAccess) throws(StoreFailure)
    -> (any StoreDiskFile)?
  {
    let opened = unsafe Glibc.open(path, Self.flags(access) | O_CLOEXEC, 0o600)
    if opened < 0, errno == ENOENT { return nil }
    guard opened >= 0 else { throw failed("open", path) }
    return SystemFile(number: opened, path: path)
  }

  private static func flags(_ access: StoreFileAccess) -> Int32 {
    switch access {
    case .readOnly: O_RDONLY
    case .readWrite: O_RDWR
    case .create: O_RDWR | O_CREAT
    }
  }

  package func makeDirectory(_ path: String) throws(StoreFailure) {
    try StoreFiles.makeDirectory(path)
  }

  package func syncDirectory(_ path: String) throws(StoreFailure) {
    try StoreFiles.syncDirectory(path)
  }

  package func rename(_ from: String, to: String) throws(StoreFailure) {
    try StoreFiles.rename(from, to: to)
  }

  package func remove(_ path: String) throws(StoreFailure) { try StoreFiles.remove(path) }

  package func exists(_ path: String) -> Bool { StoreFiles.exists(path) }

  package func bytes(of path: String) -> UInt64? {
    (try? Files.status(FilePath(path)).bytes).map { UInt64(clamping: $0) }
  }

  package func freeBytes(under directory: String) -> UInt64? {
    try? Files.room(at: FilePath(directory)).freeBytes
  }
}

/// An open regular file: positioned reads and writes, syncs and locks.
private final class SystemFile: StoreDiskFile {
  private let number: Int32
  private let path: String

  init(number: Int32, path: String) {
    self.number = number
    self.path = path
  }

  deinit { _ = close(number) }

  /// `pread(2)` of at most `count` bytes; fewer only at the end of the file.
  func read(at offset: Int, count: Int) throws(StoreFailure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = unsafe bytes.withUnsafeMutableBytes { raw in
        // SAFE BECAUSE filled + (count - filled) is the array's count.
        unsafe pread(
          number, raw.baseAddress.map { unsafe $0 + filled }, count - filled, off_t(offset + filled)
        )
      }
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw failed("read", path) }
      if got == 0 { break }
      filled += got
    }
    bytes.removeLast(count - filled)
    return bytes
  }

  /// `pwrite(2)` of all of `bytes`.
  func write(_ bytes: [UInt8], at offset: Int) throws(StoreFailure) {
    var written = 0
    while written < bytes.count {
      let put = unsafe bytes.withUnsafeBytes { raw in
        // SAFE BECAUSE written + (count - written) is the array's count.
        unsafe pwrite(
          number, raw.baseAddress.map { unsafe $0 + written }, bytes.count - written,
          off_t(offset + written))
      }
      if put < 0, errno == EINTR { continue }
      guard put > 0 else { throw failed("write", path) }
      written += put
    }
  }

  /// `fdatasync(2)`.
  func sync() throws(StoreFailure) {
    guard fdatasync(number) == 0 else { throw failed("sync", path) }
  }

  /// `ftruncate(2)`.
  func truncate(to count: Int) throws(StoreFailure) {
    guard ftruncate(number, off_t(count)) == 0 else { throw failed("truncate", path) }
  }

  /// `flock(2)`, exclusive, without waiting; false where another holds it. Ends with the file.
  func lock() throws(StoreFailure) -> Bool {
    if flock(number, LOCK_EX | LOCK_NB) == 0 { return true }
    guard errno == EWOULDBLOCK else { throw failed("lock", path) }
    return false
  }
}

/// Directory entries and whole files.
enum StoreFiles {
  /// Creates `path` (mode 0700) and what leads to it, each made durable in its parent.
  static func makeDirectory(_ path: String) throws(StoreFailure) {
    guard !isDirectory(path) else { return }
    let parent = parent(of: path)
    if parent != path { try makeDirectory(parent) }
    guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failed("create", path) }
    try syncDirectory(parent)
  }

  /// Makes a directory's entries durable (`fsync(2)` of the directory).
  static func syncDirectory(_ path: String) throws(StoreFailure) {
    let directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw failed("open", path) }
    defer { _ = close(directory) }
    guard fsync(directory) == 0 else { throw failed("sync", path) }
  }

  static func rename(_ from: String, to: String) throws(StoreFailure) {
    guard unsafe Glibc.rename(from, to) == 0 else { throw failed("rename", from) }
  }

  /// Gives a file a second name (`link(2)`), in place of what has that name.
  static func link(_ from: String, to: String) throws(StoreFailure) {
    try remove(to)
    guard unsafe Glibc.link(from, to) == 0 else { throw failed("link", from) }
  }

  /// The size of a file in bytes; 0 where there is none.
  static func byteCount(_ path: String) -> UInt64 {
    UInt64(clamping: (try? Files.status(FilePath(path)).bytes) ?? 0)
  }

  /// Removes a file; one that isn't there is as good.
  static func remove(_ path: String) throws(StoreFailure) {
    guard unsafe unlink(path) == 0 || errno == ENOENT else { throw failed("remove", path) }
  }

  static func removeDirectory(_ path: String) { _ = unsafe rmdir(path) }

  static func isDirectory(_ path: String) -> Bool {
    do throws(SystemError) {
      return try Files.status(FilePath(path)).kind == .directory
    } catch { return false }
  }

  static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  /// Copies a file without making the copy durable; false where there is none.
  static func copy(_ from: String, to: String) throws(StoreFailure) -> Bool {
    guard let source = try StoreFile(existing: from) else { return false }
    let target = try StoreFile(path: to)
    try target.truncate(to: 0)
    var offset = 0
    while true {
      let piece = try source.read(at: offset, count: 1 << 20)
      if piece.isEmpty { return true }
      try target.write(piece, at: offset)
      offset += piece.count
    }
  }

  /// A directory of our own under `parent`, mode 0700 (`mkdtemp(3)`).
  static func makeTemporaryDirectory(under parent: String) throws(StoreFailure) -> String {
    var name = [CChar]("\(parent)/verify-XXXXXX".utf8CString)
    // SAFE BECAUSE mkdtemp changes the last six characters in place and the array is ours.
    let made = unsafe name.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return false }
      return unsafe mkdtemp(start) != nil
    }
    guard made else { throw failed("create a directory under", parent) }
    return String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  static var processID: Int32 { getpid() }
}

private func failed(_ call: String, _ path: String) -> StoreFailure {
  let code = errno
  // SAFE BECAUSE strerror gives text that is copied before any other call.
  return .files("can't \(call) \(path): \(unsafe String(cString: strerror(code)))")
}
