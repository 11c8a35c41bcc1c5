internal import Bytes

/// The head mark on disk: 16 slots, each in a block of its own, written in rotation.
///
/// Owns the file, which is written whole when it is made, so that a mark never waits for the file
/// system to find space. A torn slot leaves the 15 others; the newest valid one counts.
struct HeadMarkFile: ~Copyable {
  static let slotCount = 16
  static let slotStride = 4_096
  static let name = "head.mark"

  private let file: StoreFile
  private var nextSlot = 0

  /// What the file at `directory` says.
  static func read(
    in directory: String, on disk: any StoreDisk = SystemDisk()
  ) throws(StoreFailure) -> HeadMarkReading {
    guard let file = try StoreFile(existing: "\(directory)/\(name)", on: disk) else {
      return .missing
    }
    return try newest(in: file).map { .mark($0.mark) } ?? .unreadable
  }

  /// Opens the file of a store whose mark was read, and goes on after the newest slot.
  init(existing directory: String, on disk: any StoreDisk = SystemDisk()) throws(StoreFailure) {
    let path = "\(directory)/\(Self.name)"
    guard let found = try StoreFile(existing: path, .readWrite, on: disk) else {
      throw .files("\(path) has gone")
    }
    nextSlot = try Self.newest(in: found).map { ($0.slot + 1) % Self.slotCount } ?? 0
    file = found
  }

  /// Makes the file anew with one mark in it, in place of any other: written beside, synced,
  /// renamed, the directory synced.
  static func create(
    in directory: String, _ mark: HeadMark, on disk: any StoreDisk = SystemDisk()
  ) throws(StoreFailure) {
    let path = "\(directory)/\(name)"
    let beside = path + ".new"
    do {
      let file = try StoreFile(path: beside, on: disk)
      try file.write([UInt8](repeating: 0, count: slotCount * slotStride), at: 0)
      try file.write(HeadMarkSlot.encode(mark), at: 0)
      try file.sync()
    }
    try disk.rename(beside, to: path)
    try disk.syncDirectory(directory)
  }

  /// Writes a mark to the next slot. Not durable before `sync`.
  mutating func write(_ mark: HeadMark) throws(StoreFailure) {
    try file.write(HeadMarkSlot.encode(mark), at: nextSlot * Self.slotStride)
    nextSlot = (nextSlot + 1) % Self.slotCount
  }

  func sync() throws(StoreFailure) { try file.sync() }

  private static func newest(in file: borrowing StoreFile) throws(StoreFailure) -> (
    mark: HeadMark, slot: Int
  )? {
    var best: (mark: HeadMark, slot: Int)?
    for slot in 0..<slotCount {
      let bytes = try file.read(at: slot * slotStride, count: HeadMarkSlot.byteCount)
      guard let mark = HeadMarkSlot.decode(bytes.span) else { continue }
      if mark.commit >= best?.mark.commit ?? 0 { best = (mark, slot) }
    }
    return best
  }
}
