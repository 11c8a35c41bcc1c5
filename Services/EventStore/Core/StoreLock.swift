internal import Platform

/// The hold of one process on a store's directory, let go when the object or the process ends.
///
/// The lock is the kernel's (`flock(2)`), so a crash leaves none behind; the text in the file only
/// names the owner for whoever comes second.
final class StoreLock {
  static let name = "store.lock"
  private let file: StoreFile

  init(directory: String, on disk: any StoreDisk = SystemDisk()) throws(StoreFailure) {
    let file = try StoreFile(path: "\(directory)/\(Self.name)", on: disk)
    guard try Self.takes(file) else {
      throw .inUse(directory: directory, owner: try Self.owner(in: file))
    }
    try file.truncate(to: 0)
    try file.write([UInt8]("process \(disk.processID)\n".utf8), at: 0)
    self.file = file
  }

  /// A program that is just being started holds a copy of every descriptor until it begins, so a
  /// lock that was let go a moment ago may still seem held: it is asked for again, shortly.
  private static func takes(_ file: borrowing StoreFile) throws(StoreFailure) -> Bool {
    for _ in 0..<20 {
      if try file.lock() { return true }
      SystemClock.pause(.milliseconds(10))
    }
    return try file.lock()
  }

  /// Refuses while a process holds the directory; changes nothing in it.
  static func refuseWhileHeld(_ directory: String) throws(StoreFailure) {
    guard let file = try StoreFile(existing: "\(directory)/\(name)"), try !file.lock() else {
      return
    }
    throw .inUse(directory: directory, owner: try owner(in: file))
  }

  private static func owner(in file: borrowing StoreFile) throws(StoreFailure) -> String {
    let text = try file.read(at: 0, count: 256)
    return String(decoding: text.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }
}
