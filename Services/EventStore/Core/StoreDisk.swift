/// What a store stands on: the calls it makes on its own files and names, and the VFS through which SQLite
/// reaches the same directory.
///
/// Obligations: what is written is read back at once, and is durable after `sync`; a name is durable after
/// `syncDirectory`. `SystemDisk` is the one that serves; tests have one that fails and forgets.
package protocol StoreDisk: Sendable {
  /// The VFS that SQLite is told; nil for the system's.
  var sqliteName: String? { get }
  /// Who uses it, for the lock's file.
  var processID: Int32 { get }
  /// Nil where there is no such file and none is to be created.
  func open(_ path: String, _ access: StoreFileAccess) throws(StoreFailure) -> (any StoreDiskFile)?
  /// Creates a directory and what leads to it, each made durable in its parent.
  func makeDirectory(_ path: String) throws(StoreFailure)
  /// Makes a directory's entries durable.
  func syncDirectory(_ path: String) throws(StoreFailure)
  func rename(_ from: String, to: String) throws(StoreFailure)
  /// One that isn't there is as good.
  func remove(_ path: String) throws(StoreFailure)
  func exists(_ path: String) -> Bool
  /// How long a file is; nil for one that isn't there.
  func bytes(of path: String) -> UInt64?
  /// What may still be written under `directory`; nil where that can't be told.
  func freeBytes(under directory: String) -> UInt64?
}

/// An open file of a disk, closed with its last reference. One thread at a time.
package protocol StoreDiskFile: AnyObject {
  /// At most `count` bytes; fewer only at the end of the file.
  func read(at offset: Int, count: Int) throws(StoreFailure) -> [UInt8]
  /// All of `bytes`, or an error.
  func write(_ bytes: [UInt8], at offset: Int) throws(StoreFailure)
  func sync() throws(StoreFailure)
  func truncate(to count: Int) throws(StoreFailure)
  /// An exclusive hold without waiting; false where another has it. Ends with the file.
  func lock() throws(StoreFailure) -> Bool
}

package enum StoreFileAccess: Sendable {
  case readOnly
  case readWrite
  /// Reads and writes, and makes what isn't there.
  case create
}

/// Where a store's random bits come from: epochs, and its own number.
package struct StoreEntropy: Sendable {
  package let word: @Sendable () -> UInt64

  package init(_ word: @escaping @Sendable () -> UInt64) { self.word = word }

  /// 128 bits, in the shape `Epoch(random:)` takes.
  var bits128: (UInt64, UInt64) { (word(), word()) }
}
