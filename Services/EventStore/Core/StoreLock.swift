/// The hold of one process on a store's directory, let go when the object or the process ends.
///
/// The lock is the kernel's (`flock(2)`), so a crash leaves none behind; the text in the file only
/// names the owner for whoever comes second.
final class StoreLock {
  static let name = "store.lock"
  private let file: StoreFile

  init(directory: String) throws(StoreFailure) {
    let file = try StoreFile(path: "\(directory)/\(Self.name)")
    guard try file.lock() else {
      let owner = try file.read(at: 0, count: 256)
      throw .inUse(
        directory: directory, owner: String(decoding: owner.prefix { $0 != 10 }, as: UTF8.self))
    }
    try file.truncate(to: 0)
    try file.write([UInt8]("process \(StoreFiles.processID)\n".utf8), at: 0)
    self.file = file
  }
}
