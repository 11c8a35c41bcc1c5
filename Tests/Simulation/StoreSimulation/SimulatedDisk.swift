// INVARIANTS:
// - A disk and what is open on it are used by one thread at a time, as a store is. The address is kept as a
//   number because a store's options may be sent to its thread.
// - A disk is destroyed with its last reference, and each of its open files holds it.
// - A file's handle is closed once, with its object, a dead one too.

package import CSimulatedDisk
package import EventStoreCore
internal import Synchronization

/// A disk in memory that fails, fills up and forgets by a seed (`CSimulatedDisk`), for a store to stand on.
@safe package final class SimulatedDisk: StoreDisk {
  private let address: UInt
  private let name: String
  private static let made = Atomic<Int>(0)

  /// - Parameter seed: decides every fault and every crash.
  package init(seed: UInt64, capacity: UInt64 = 64 << 20) {
    var options = sd_default_options()
    options.seed = seed
    options.capacity_bytes = capacity
    guard let disk = unsafe sd_create(&options) else { preconditionFailure("no such disk") }
    name = unsafe Self.register(disk)
    address = UInt(bitPattern: disk)
  }

  /// The same files and what is not synced of them, to be crashed without the other.
  package init(copyOf other: SimulatedDisk, seed: UInt64) {
    guard let disk = unsafe other.call({ unsafe sd_copy($0, seed) }) else {
      preconditionFailure("no copy of a disk")
    }
    name = unsafe Self.register(disk)
    address = UInt(bitPattern: disk)
  }

  deinit { _ = unsafe call { unsafe sd_destroy($0) } }

  private static func register(_ disk: OpaquePointer) -> String {
    let name = "simulated-\(made.add(1, ordering: .relaxed).newValue)"
    let result = unsafe sd_register_vfs(disk, name, false)
    precondition(result == 0, "SQLite does not take the disk")
    return name
  }

  private func call<Result>(_ body: (OpaquePointer) -> Result) -> Result {
    guard let disk = unsafe OpaquePointer(bitPattern: address) else {
      preconditionFailure("a disk without an address")
    }
    // SAFE BECAUSE the disk lives as long as this object.
    return unsafe body(disk)
  }

  // MARK: faults and crashes

  package func setFaults(_ faults: sd_faults) {
    var faults = faults
    unsafe call { unsafe sd_set_faults($0, &faults) }
  }

  package func heal() { unsafe call { unsafe sd_heal($0) } }
  package func setSyncFailure(_ failure: sd_sync_failure) {
    unsafe call { unsafe sd_set_sync_failure($0, failure) }
  }
  package func setCapacity(_ bytes: UInt64) { unsafe call { unsafe sd_set_capacity($0, bytes) } }
  package var usedBytes: UInt64 { unsafe call { unsafe sd_used_bytes($0) } }

  /// The `nth` call of these kinds fails with `error`.
  package func fail(_ calls: Int, nth: UInt64 = 1, _ error: Int32, forEver: Bool = false) {
    unsafe call { unsafe sd_fail_after($0, UInt32(calls), nth, error, forEver) }
  }

  package func crash(_ mode: sd_crash_mode) { unsafe call { unsafe sd_crash($0, mode) } }
  /// Crashes at the `nth` change from now; 0 takes it back.
  package func crash(after nth: UInt64, _ mode: sd_crash_mode) {
    unsafe call { unsafe sd_crash_after($0, nth, mode) }
  }
  package var isOff: Bool { unsafe call { unsafe sd_is_off($0) } }
  package func powerOn() { unsafe call { unsafe sd_power_on($0) } }

  /// A hash over all calls so far.
  package var trace: UInt64 { unsafe call { unsafe sd_trace($0) } }
  package var counts: sd_counts { unsafe call { unsafe sd_get_counts($0) } }
  package var clock: Int64 {
    get { unsafe call { unsafe sd_clock($0) } }
    set { unsafe call { unsafe sd_set_clock($0, newValue) } }
  }
  /// Has SQLite's own generator begin anew.
  package func seedSQLite() { _ = unsafe call { unsafe sd_seed_sqlite($0) } }

  /// Flips one bit of a file for good; false where it has no such bit.
  package func flip(_ path: String, bit: UInt64) -> Bool {
    unsafe call { unsafe sd_flip_bit($0, path, bit) } == 0
  }

  package func peekBytes(_ path: String, durable: Bool = false) -> Int64 {
    unsafe call { unsafe sd_peek_bytes($0, path, durable) }
  }

  // MARK: StoreDisk

  package var sqliteName: String? { name }
  package var processID: Int32 { 1 }

  package func open(_ path: String, _ access: StoreFileAccess) throws(StoreFailure)
    -> (any StoreDiskFile)?
  {
    let flags =
      switch access {
      case .readOnly: SD_OPEN_READ
      case .readWrite: SD_OPEN_WRITE
      case .create: SD_OPEN_WRITE | SD_OPEN_CREATE
      }
    var file: OpaquePointer?
    let result = unsafe call { unsafe sd_open($0, path, UInt32(flags), &file) }
    if result == -2 { return nil }
    guard result == 0, let file = unsafe file else { throw failed("open", path, result) }
    return unsafe SimulatedFile(self, file, path)
  }

  /// Directories are there without being made.
  package func makeDirectory(_ path: String) throws(StoreFailure) {}

  package func syncDirectory(_ path: String) throws(StoreFailure) {
    let result = unsafe call { unsafe sd_fsync_dir($0, path) }
    guard result == 0 else { throw failed("sync", path, result) }
  }

  package func rename(_ from: String, to: String) throws(StoreFailure) {
    let result = unsafe call { unsafe sd_rename($0, from, to) }
    guard result == 0 else { throw failed("rename", from, result) }
  }

  package func remove(_ path: String) throws(StoreFailure) {
    let result = unsafe call { unsafe sd_unlink($0, path) }
    guard result == 0 || result == -2 else { throw failed("remove", path, result) }
  }

  package func exists(_ path: String) -> Bool { unsafe call { unsafe sd_exists($0, path) } == 1 }

  package func bytes(of path: String) -> UInt64? { UInt64(exactly: peekBytes(path)) }

  package func freeBytes(under directory: String) -> UInt64? { nil }
}

@safe private final class SimulatedFile: StoreDiskFile {
  private let disk: SimulatedDisk
  private let handle: OpaquePointer
  private let path: String

  init(_ disk: SimulatedDisk, _ handle: OpaquePointer, _ path: String) {
    self.disk = disk
    unsafe self.handle = handle
    self.path = path
  }

  deinit { unsafe sd_close(handle) }

  func read(at offset: Int, count: Int) throws(StoreFailure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = unsafe bytes.withUnsafeMutableBytes { raw in
        // SAFE BECAUSE filled + (count - filled) is the array's count.
        unsafe sd_pread(
          handle, raw.baseAddress.map { unsafe $0 + filled }, count - filled,
          Int64(offset + filled))
      }
      guard got >= 0 else { throw failed("read", path, Int32(clamping: got)) }
      if got == 0 { break }
      filled += Int(got)
    }
    bytes.removeLast(count - filled)
    return bytes
  }

  func write(_ bytes: [UInt8], at offset: Int) throws(StoreFailure) {
    var written = 0
    while written < bytes.count {
      let put = unsafe bytes.withUnsafeBytes { raw in
        // SAFE BECAUSE written + (count - written) is the array's count.
        unsafe sd_pwrite(
          handle, raw.baseAddress.map { unsafe $0 + written }, bytes.count - written,
          Int64(offset + written))
      }
      guard put > 0 else { throw failed("write", path, Int32(clamping: put)) }
      written += Int(put)
    }
  }

  func sync() throws(StoreFailure) {
    let result = unsafe sd_fdatasync(handle)
    guard result == 0 else { throw failed("sync", path, result) }
  }

  func truncate(to count: Int) throws(StoreFailure) {
    let result = unsafe sd_ftruncate(handle, Int64(count))
    guard result == 0 else { throw failed("truncate", path, result) }
  }

  func lock() throws(StoreFailure) -> Bool {
    let result = unsafe sd_flock(handle)
    if result == 0 { return true }
    guard result == -11 else { throw failed("lock", path, result) }
    return false
  }
}

private func failed(_ call: String, _ path: String, _ result: Int32) -> StoreFailure {
  .files("can't \(call) \(path): error \(-result)")
}
