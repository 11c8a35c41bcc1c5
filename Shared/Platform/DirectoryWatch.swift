// INVARIANTS:
// - The inotify descriptor is owned by one DirectoryWatch and closed with it.
// - A path is lent to the kernel as a NUL-terminated copy for one call.
// - Events are read out of our own buffer by a bounds-checked cursor; a record that claims more
//   than was read ends the batch.

internal import Bytes
internal import CLinux
internal import Glibc

/// One watched directory of a `DirectoryWatch`.
public struct WatchID: Hashable, Sendable {
  public let number: Int32
}

/// What happened in a watched directory (`inotify(7)`).
public enum WatchEvent: Equatable, Sendable {
  /// A file was closed after writing, or moved in under this name: it is complete.
  case fileCompleted(WatchID, name: [UInt8])
  /// A directory was made or moved in under this name.
  case directoryAppeared(WatchID, name: [UInt8])
  /// A file got this name: made just now and not complete, or a further name of one that is.
  case fileAppeared(WatchID, name: [UInt8])
  /// The directory itself was renamed or moved; its watch goes on, under whatever path it has now.
  case moved(WatchID)
  /// The directory itself is gone; its watch has ended.
  case ended(WatchID)
  /// The kernel's queue was full: anything may have happened since.
  case overflowed
}

/// Tells of files that become complete in directories. Not recursive: each directory is added.
public struct DirectoryWatch: ~Copyable {
  public let descriptor: Descriptor

  /// `inotify_init1(2)`, non-blocking.
  public init() throws(SystemError) {
    let number = inotify_init1(Int32(O_NONBLOCK | O_CLOEXEC))
    guard number >= 0 else { throw SystemError(code: errno, call: "inotify_init1") }
    descriptor = Descriptor(owning: number)
  }

  /// Watches the directory at `path`. The same directory gives the same id, also under another
  /// path: a directory that was moved keeps its watch, and whoever adds it again learns so.
  ///
  /// - Errors: ENOSPC where the user's `fs.inotify.max_user_watches` are used up.
  public func add(_ path: FilePath) throws(SystemError) -> WatchID {
    let wanted =
      UInt32(IN_CLOSE_WRITE) | UInt32(IN_MOVED_TO) | UInt32(IN_CREATE)
      | UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF) | UInt32(IN_ONLYDIR)
    // SAFE BECAUSE the path is lent for this call only.
    let number = unsafe path.withPointer {
      unsafe inotify_add_watch(descriptor.number, $0, wanted)
    }
    guard number >= 0 else {
      throw SystemError(code: errno, call: "inotify_add_watch", subject: path.description)
    }
    return WatchID(number: number)
  }

  /// Ends a watch; one that has ended by itself is no error.
  public func remove(_ id: WatchID) { _ = inotify_rm_watch(descriptor.number, id.number) }

  /// The events of one read, in order; empty when none waits.
  public func next() -> [WatchEvent] {
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    guard case .count(let count) = Syscalls.read(descriptor, into: &buffer) else { return [] }
    var events: [WatchEvent] = []
    var cursor = ByteCursor(from: 0, to: count)
    while !cursor.isAtEnd, let event = Self.parse(&cursor, buffer.span) {
      if let told = Self.event(event) { events.append(told) }
    }
    return events
  }

  private struct Record {
    var watch: Int32
    var mask: UInt32
    var name: [UInt8]
  }

  /// `struct inotify_event`: watch, mask, cookie, name bytes, the name padded with NUL.
  private static func parse(_ cursor: inout ByteCursor, _ s: borrowing Span<UInt8>) -> Record? {
    do throws(ByteError) {
      let watch = Int32(bitPattern: try cursor.u32(s))
      let mask = try cursor.u32(s)
      _ = try cursor.u32(s)
      let padded = [UInt8](copying: s.extracting(try cursor.range(Int(try cursor.u32(s)))))
      return Record(watch: watch, mask: mask, name: Array(padded.prefix { $0 != 0 }))
    } catch {
      return nil
    }
  }

  private static func event(_ record: Record) -> WatchEvent? {
    let id = WatchID(number: record.watch)
    func has(_ bit: Int32) -> Bool { record.mask & UInt32(bit) != 0 }
    if has(IN_Q_OVERFLOW) { return .overflowed }
    if has(IN_IGNORED) || has(IN_DELETE_SELF) { return .ended(id) }
    if has(IN_MOVE_SELF) { return .moved(id) }
    if has(IN_ISDIR) {
      return has(IN_CREATE) || has(IN_MOVED_TO)
        ? .directoryAppeared(id, name: record.name) : nil
    }
    if has(IN_CLOSE_WRITE) || has(IN_MOVED_TO) { return .fileCompleted(id, name: record.name) }
    return has(IN_CREATE) ? .fileAppeared(id, name: record.name) : nil
  }
}
