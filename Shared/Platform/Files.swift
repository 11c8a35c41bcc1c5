// INVARIANTS:
// - A path is lent to the kernel as a NUL-terminated copy for one call.
// - A directory stream is closed in the function that opened it; entries are copied out of it.
// - Reads are bounded by a count that the caller names; nothing is sized by what a file claims.

internal import CLinux
internal import Glibc

/// What kind of thing a path names.
public enum FileKind: Sendable, Equatable { case file, directory, symbolicLink, other }

/// What `stat(2)` tells.
public struct FileStatus: Equatable, Sendable {
  public let kind: FileKind
  public let bytes: Int64
  /// The last change of the content, in nanoseconds since 1970.
  public let modifiedNanoseconds: Int64
  /// Permission bits, the lowest twelve.
  public let mode: UInt32
  public let device: UInt64
  public let inode: UInt64
  /// How many names the file has.
  public let linkCount: UInt64
  /// Whose it is.
  public let user: UInt32
  public let group: UInt32

  public var modifiedMilliseconds: Int64 { modifiedNanoseconds / 1_000_000 }
}

/// What a file system holds at most, and what is free of it.
public struct FileSystemRoom: Equatable, Sendable {
  public var freeBytes: UInt64
  public var allBytes: UInt64
  public init(freeBytes: UInt64, allBytes: UInt64) {
    self.freeBytes = freeBytes
    self.allBytes = allBytes
  }
}

/// Whether a written file has to survive a power cut.
public enum FileDurability: Sendable { case synced, unsynced }

/// Small files, directories and locks. Every call may block on the disk.
public enum Files {
  /// The content of a file of at most `bytesMax` bytes; EFBIG for a larger one.
  public static func read(_ path: FilePath, bytesMax: Int) throws(SystemError) -> [UInt8] {
    let descriptor = try openForReading(path)
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: min(64 * 1024, bytesMax + 1))
    while true {
      switch Syscalls.read(descriptor, into: &buffer) {
      case .count(let count):
        guard content.count + count <= bytesMax else { throw error(EFBIG, "read", path) }
        content.append(contentsOf: buffer[..<count])
      case .endOfStream: return content
      case .wouldBlock: throw error(EAGAIN, "read", path)
      case .failed(let code): throw error(code, "read", path)
      }
    }
  }

  /// At most `count` bytes from `offset` on (`pread(2)`); fewer only at the end of the file.
  public static func read(_ descriptor: borrowing Descriptor, at offset: UInt64, count: Int)
    throws(SystemError) -> [UInt8]
  {
    var content = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      switch Syscalls.read(descriptor, into: &content, at: filled, from: offset + UInt64(filled)) {
      case .count(let bytes): filled += bytes
      case .endOfStream:
        content.removeLast(count - filled)
        return content
      case .wouldBlock: throw SystemError(code: EAGAIN, call: "pread")
      case .failed(let code): throw SystemError(code: code, call: "pread")
      }
    }
    return content
  }

  /// Puts `content` in the place of `path` in one step: temporary file, `rename(2)`.
  ///
  /// - Errors: the old content stands, or there is still no file; the temporary one is removed.
  public static func replace(
    _ path: FilePath, with content: [UInt8], mode: UInt32 = 0o600,
    durability: FileDurability = .unsynced
  ) throws(SystemError) {
    let temporary = FilePath(bytes: path.bytes + [UInt8](".\(Syscalls.processID).new".utf8))
    do throws(SystemError) {
      let descriptor = try open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
      try writeAll(content, to: descriptor)
      if durability == .synced { try sync(descriptor) }
      try rename(temporary, to: path)
    } catch {
      try? remove(temporary)
      throw error
    }
    if durability == .synced { try syncDirectory(path.parent) }
  }

  /// As `replace(_:with:mode:durability:)`, durably, for a file that others rely on: the new one
  /// belongs to whom the old one did and has its mode. Access-control lists are not kept.
  ///
  /// - Errors: nothing was changed; of the call `fchown` where the owner or group can't be kept.
  public static func replace(_ path: FilePath, with content: [UInt8], keeping old: FileStatus)
    throws(SystemError)
  {
    let temporary = FilePath(bytes: path.bytes + [UInt8](".\(Syscalls.processID).new".utf8))
    try remove(temporary)
    let descriptor = try open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
    do throws(SystemError) {
      // The owner comes last: who has given a file away may not be allowed to change its mode.
      guard fchmod(descriptor.number, old.mode) == 0 else { throw error(errno, "fchmod", path) }
      let made = try status(descriptor)
      if made.user != old.user || made.group != old.group {
        guard fchown(descriptor.number, old.user, old.group) == 0 else {
          throw error(errno, "fchown", path)
        }
      }
      try writeAll(content, to: descriptor)
      try sync(descriptor)
      try rename(temporary, to: path)
    } catch {
      try? remove(temporary)
      throw error
    }
    try syncDirectory(path.parent)
  }

  /// Writes `content` to a file that must not exist yet (`O_EXCL`).
  public static func create(_ path: FilePath, content: [UInt8], mode: UInt32 = 0o600)
    throws(SystemError)
  {
    let descriptor = try open(path, O_WRONLY | O_CREAT | O_EXCL, mode: mode)
    try writeAll(content, to: descriptor)
    try sync(descriptor)
  }

  /// Opens a file to be read from its beginning.
  public static func openForReading(_ path: FilePath) throws(SystemError) -> Descriptor {
    try open(path, O_RDONLY, mode: 0)
  }

  /// Opens or makes a file whose every write goes to its end.
  public static func openForAppending(_ path: FilePath, mode: UInt32 = 0o600)
    throws(SystemError) -> Descriptor
  {
    try open(path, O_WRONLY | O_CREAT | O_APPEND, mode: mode)
  }

  /// Writes all of `content`, however many calls it takes.
  public static func writeAll(_ content: [UInt8], to descriptor: borrowing Descriptor)
    throws(SystemError)
  {
    var offset = 0
    while offset < content.count {
      switch Syscalls.write(descriptor, content, from: offset) {
      case .count(let count): offset += count
      case .failed(let code): throw SystemError(code: code, call: "write")
      case .wouldBlock, .endOfStream: throw SystemError(code: EAGAIN, call: "write")
      }
    }
  }

  /// `fsync(2)`.
  public static func sync(_ descriptor: borrowing Descriptor) throws(SystemError) {
    guard fsync(descriptor.number) == 0 else { throw SystemError(code: errno, call: "fsync") }
  }

  /// Makes the names in a directory durable (`fsync(2)` of the directory).
  public static func syncDirectory(_ path: FilePath) throws(SystemError) {
    let descriptor = try open(path, O_RDONLY | O_DIRECTORY, mode: 0)
    try sync(descriptor)
  }

  /// Whether some process has the open file open for writing, as a read lease tells
  /// (`fcntl(2)`, F_SETLEASE); nil where the file system or its owner does not let us know.
  ///
  /// SIGIO has to be blocked or ignored: a writer who comes in between would raise it.
  public static func hasWriter(_ descriptor: borrowing Descriptor) -> Bool? {
    let setLease: Int32 = 1024
    if fcntl(descriptor.number, setLease, Int32(F_RDLCK)) == 0 {
      _ = fcntl(descriptor.number, setLease, Int32(F_UNLCK))
      return false
    }
    return errno == EAGAIN ? true : nil
  }

  /// `rename(2)`.
  public static func rename(_ path: FilePath, to target: FilePath) throws(SystemError) {
    let result = unsafe path.withPointer { from in
      unsafe target.withPointer { to in unsafe Glibc.rename(from, to) == 0 ? 0 : errno }
    }
    guard result == 0 else { throw error(result, "rename", target) }
  }

  /// `unlink(2)`; a file that is not there is no error.
  public static func remove(_ path: FilePath) throws(SystemError) {
    let result = unsafe path.withPointer { unsafe unlink($0) == 0 ? 0 : errno }
    guard result == 0 || result == ENOENT else { throw error(result, "unlink", path) }
  }

  /// `rmdir(2)`; the directory has to be empty.
  public static func removeDirectory(_ path: FilePath) throws(SystemError) {
    let result = unsafe path.withPointer { unsafe rmdir($0) == 0 ? 0 : errno }
    guard result == 0 else { throw error(result, "rmdir", path) }
  }

  /// Makes a directory and those above it; one that exists is left as it is.
  public static func makeDirectories(_ path: FilePath, mode: UInt32 = 0o700) throws(SystemError) {
    let result = unsafe path.withPointer { unsafe mkdir($0, mode) == 0 ? 0 : errno }
    switch result {
    case 0: return
    case EEXIST:
      guard try status(path).kind == .directory else { throw error(ENOTDIR, "mkdir", path) }
    case ENOENT where path.parent != path:
      try makeDirectories(path.parent, mode: mode)
      // Once only: where the parent is there, ENOENT is the file system's last word (as in /proc).
      let again = unsafe path.withPointer { unsafe mkdir($0, mode) == 0 ? 0 : errno }
      guard again == 0 || again == EEXIST else { throw error(again, "mkdir", path) }
    default: throw error(result, "mkdir", path)
    }
  }

  /// How much the file system of `path` holds and has free for this process (`statvfs(3)`); quotas
  /// are not seen.
  public static func room(at path: FilePath) throws(SystemError) -> FileSystemRoom {
    var info = statvfs()
    let result = unsafe path.withPointer { unsafe statvfs($0, &info) == 0 ? 0 : errno }
    guard result == 0 else { throw error(result, "statvfs", path) }
    let unit = UInt64(info.f_frsize)
    return FileSystemRoom(
      freeBytes: UInt64(info.f_bavail).multipliedReportingOverflow(by: unit).partialValue,
      allBytes: UInt64(info.f_blocks).multipliedReportingOverflow(by: unit).partialValue)
  }

  /// `chmod(2)`.
  public static func setMode(_ path: FilePath, _ mode: UInt32) throws(SystemError) {
    let result = unsafe path.withPointer { unsafe chmod($0, mode) == 0 ? 0 : errno }
    guard result == 0 else { throw error(result, "chmod", path) }
  }

  /// The names in a directory, `.` and `..` left out, in no order.
  public static func list(_ path: FilePath) throws(SystemError) -> [[UInt8]] {
    guard let directory = unsafe path.withPointer({ unsafe opendir($0) }) else {
      throw error(errno, "opendir", path)
    }
    defer { _ = unsafe closedir(directory) }
    let nameOffset = MemoryLayout<dirent>.offset(of: \dirent.d_name) ?? 19
    var names: [[UInt8]] = []
    while let entry = unsafe readdir(directory) {
      // SAFE BECAUSE readdir gives a record whose name ends with NUL, valid until the next call.
      let name = unsafe UnsafeRawPointer(entry) + nameOffset
      let count = unsafe strlen(name.assumingMemoryBound(to: CChar.self))
      let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: name, count: count))
      if bytes != [46], bytes != [46, 46] { names.append(bytes) }
    }
    return names
  }

  /// `stat(2)`: of what a symbolic link points to.
  public static func status(_ path: FilePath) throws(SystemError) -> FileStatus {
    var info = stat()
    let result = unsafe path.withPointer {
      unsafe fstatat(AT_FDCWD, $0, &info, 0) == 0 ? 0 : errno
    }
    guard result == 0 else { throw error(result, "stat", path) }
    return status(of: info)
  }

  /// `lstat(2)`: of a symbolic link itself.
  public static func linkStatus(_ path: FilePath) throws(SystemError) -> FileStatus {
    var info = stat()
    let result = unsafe path.withPointer { unsafe lstat($0, &info) == 0 ? 0 : errno }
    guard result == 0 else { throw error(result, "lstat", path) }
    return status(of: info)
  }

  /// `fstat(2)`.
  public static func status(_ descriptor: borrowing Descriptor) throws(SystemError) -> FileStatus {
    var info = stat()
    guard unsafe fstat(descriptor.number, &info) == 0 else {
      throw SystemError(code: errno, call: "fstat")
    }
    return status(of: info)
  }

  /// What a symbolic link says (`readlink(2)`), at most 4,096 bytes.
  public static func target(ofLink path: FilePath) throws(SystemError) -> FilePath {
    var room = [CChar](repeating: 0, count: 4096)
    let count = unsafe path.withPointer { link in
      unsafe room.withUnsafeMutableBufferPointer { buffer -> Int in
        guard let base = buffer.baseAddress else { return -1 }
        return unsafe readlink(link, base, buffer.count)
      }
    }
    guard count >= 0 else { throw error(errno, "readlink", path) }
    return FilePath(bytes: room[..<count].map { UInt8(bitPattern: $0) })
  }

  /// An exclusive lock on the file at `path` (`flock(2)`), which is made if need be; nil where
  /// another process holds it. Held until the descriptor is closed or the process ends.
  public static func lock(_ path: FilePath) throws(SystemError) -> Descriptor? {
    let descriptor = try open(path, O_RDWR | O_CREAT, mode: 0o600)
    guard flock(descriptor.number, LOCK_EX | LOCK_NB) == 0 else {
      if errno == EWOULDBLOCK { return nil }
      throw error(errno, "flock", path)
    }
    return descriptor
  }

  /// The absolute path without links and dots (`realpath(3)`).
  public static func realPath(_ path: FilePath) throws(SystemError) -> FilePath {
    // SAFE BECAUSE realpath gives memory of its own that ends with NUL, and it is freed once here.
    guard let resolved = unsafe path.withPointer({ unsafe realpath($0, nil) }) else {
      throw error(errno, "realpath", path)
    }
    defer { unsafe free(resolved) }
    let count = unsafe strlen(resolved)
    return unsafe FilePath(bytes: [UInt8](UnsafeRawBufferPointer(start: resolved, count: count)))
  }

  /// As `lock(_:)`, but tries for some time: a process that was just killed holds its locks until
  /// it is gone. Blocks.
  public static func lock(_ path: FilePath, within: Duration) throws(SystemError) -> Descriptor? {
    let deadline = SystemClock.monotonic() + within
    while true {
      if let descriptor = try lock(path) { return descriptor }
      guard SystemClock.monotonic() < deadline else { return nil }
      SystemClock.pause(.milliseconds(20))
    }
  }

  /// An exclusive lock on a directory itself, which leaves no file behind; nil where another
  /// process still holds it after that time. Held as that of `lock(_:)`. Blocks.
  public static func lock(directory path: FilePath, within: Duration) throws(SystemError)
    -> Descriptor?
  {
    let descriptor = try open(path, O_RDONLY | O_DIRECTORY, mode: 0)
    let deadline = SystemClock.monotonic() + within
    while flock(descriptor.number, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { throw error(errno, "flock", path) }
      guard SystemClock.monotonic() < deadline else { return nil }
      SystemClock.pause(.milliseconds(20))
    }
    return descriptor
  }

  /// Whether `access(2)` finds a program that may be run.
  public static func isExecutable(_ path: FilePath) -> Bool {
    unsafe path.withPointer { unsafe access($0, X_OK) } == 0
  }

  /// The working directory.
  public static func workingDirectory() throws(SystemError) -> FilePath {
    try target(ofLink: "/proc/self/cwd")
  }

  // MARK: -

  private static func open(_ path: FilePath, _ flags: Int32, mode: UInt32) throws(SystemError)
    -> Descriptor
  {
    let number = unsafe path.withPointer { pointer -> Int32 in
      Int32(Syscalls.retrying { Int(unsafe Glibc.open(pointer, flags | O_CLOEXEC, mode)) })
    }
    guard number >= 0 else { throw error(-number, "open", path) }
    return Descriptor(owning: number)
  }

  private static func error(_ code: Int32, _ call: String, _ path: FilePath) -> SystemError {
    SystemError(code: code, call: call, subject: path.description)
  }

  private static func status(of info: stat) -> FileStatus {
    let kind: FileKind =
      switch info.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .directory
      case S_IFLNK: .symbolicLink
      default: .other
      }
    let seconds = Int64(info.st_mtim.tv_sec)
    return FileStatus(
      kind: kind, bytes: Int64(info.st_size),
      modifiedNanoseconds: seconds &* 1_000_000_000 &+ Int64(info.st_mtim.tv_nsec),
      mode: UInt32(info.st_mode) & 0o7777, device: UInt64(info.st_dev), inode: UInt64(info.st_ino),
      linkCount: UInt64(info.st_nlink), user: info.st_uid, group: info.st_gid)
  }
}

extension FilePath {
  /// Lends the path as a C string.
  func withPointer<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
    let text = bytes.map { CChar(bitPattern: $0) } + [0]
    return unsafe text.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else {
        preconditionFailure("an array with an element has an address")
      }
      return unsafe body(base)
    }
  }
}
