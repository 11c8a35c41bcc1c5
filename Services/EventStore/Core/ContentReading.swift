internal import Crypto
internal import Platform

/// What is stored under a hash has another one.
struct ContentDamage: Error {
  var sha256: [UInt8]
}

/// One content while it is read, piece by piece and each piece once.
///
/// Read from its first byte to its last it is hashed on the way: the piece that completes it is given
/// out only if the hash is right. A part is read by whole blocks, and each is compared with its sum;
/// a content without sums gives its parts unchecked.
final class ContentReading {
  let status: FileStatus
  let size: UInt64
  /// All of it was read, and was right.
  private(set) var isWhole = false
  private let sha256: [UInt8]
  private let descriptor: Descriptor
  private let sums: ContentSums?
  private let isForWhole: Bool
  private var hash = SHA256()
  private var hashed: UInt64 = 0
  private var newSums: ContentSums?

  /// For a reader who wants what is from `offset` to `end`; the sums, if any, are of this size.
  init(
    _ descriptor: consuming Descriptor, _ status: FileStatus, _ sha256: [UInt8],
    _ sums: ContentSums?, from offset: UInt64, to end: UInt64
  ) {
    self.status = status
    size = UInt64(clamping: status.bytes)
    self.descriptor = descriptor
    self.sha256 = sha256
    self.sums = sums
    isForWhole = offset == 0 && end >= size
    newSums = sums == nil ? ContentSums() : nil
  }

  /// At most `count` bytes from `offset` on; fewer only at the end.
  ///
  /// - Errors: `ContentDamage`, `SystemError`; nothing is given out.
  func read(at offset: UInt64, count: Int) throws -> [UInt8] {
    let count = Int(min(UInt64(clamping: count), size - min(offset, size)))
    return isForWhole && offset == hashed
      ? try readOn(offset, count) : try readPart(offset, count)
  }

  private func readOn(_ offset: UInt64, _ count: Int) throws -> [UInt8] {
    let bytes = try Files.read(descriptor, at: offset, count: count)
    guard bytes.count == count else { throw ContentDamage(sha256: sha256) }
    hash.update(bytes)
    newSums?.update(bytes)
    hashed += UInt64(count)
    guard hashed == size, !isWhole else { return bytes }
    var taken = SHA256()
    swap(&taken, &hash)
    guard taken.finish() == sha256 else { throw ContentDamage(sha256: sha256) }
    isWhole = true
    return bytes
  }

  private func readPart(_ offset: UInt64, _ count: Int) throws -> [UInt8] {
    guard let sums else { return try Files.read(descriptor, at: offset, count: count) }
    let blocks = sums.blocks(around: offset, count: count)
    let bytes = try Files.read(
      descriptor, at: blocks.lowerBound, count: Int(blocks.upperBound - blocks.lowerBound))
    guard UInt64(bytes.count) == blocks.upperBound - blocks.lowerBound,
      sums.match(bytes, at: blocks.lowerBound)
    else { throw ContentDamage(sha256: sha256) }
    let start = Int(min(offset, size) - blocks.lowerBound)
    return Array(bytes[start..<(start + count)])
  }

  /// The sums of a content that was read whole and had none; once.
  func takeNewSums() -> ContentSums? { newSums.take() }
}

/// The contents that this process has seen whole of late. Pure.
///
/// A file that was changed since, as its time, size or inode tell, is not known any more. Damage that
/// changes none of them is noticed when the content is read, or once the memory has ended.
struct KnownContents {
  private struct Seen {
    var inode: UInt64
    var bytes: Int64
    var modifiedNanoseconds: Int64
    var until: Instant
  }

  private var contents: [[UInt8]: Seen] = [:]
  /// BUDGET: some 150 bytes each; at the bound all are forgotten.
  static let countMax = 4_096
  static let rememberedFor = Duration.seconds(600)

  mutating func add(_ sha256: [UInt8], _ status: FileStatus, now: Instant) {
    if contents.count >= Self.countMax { contents.removeAll(keepingCapacity: true) }
    contents[sha256] = Seen(
      inode: status.inode, bytes: status.bytes, modifiedNanoseconds: status.modifiedNanoseconds,
      until: now + Self.rememberedFor)
  }

  mutating func remove(_ sha256: [UInt8]) { contents[sha256] = nil }

  func isWhole(_ sha256: [UInt8], _ status: FileStatus, _ size: UInt64, now: Instant) -> Bool {
    guard let seen = contents[sha256], now < seen.until else { return false }
    return seen.inode == status.inode && seen.bytes == status.bytes
      && seen.modifiedNanoseconds == status.modifiedNanoseconds
      && UInt64(clamping: status.bytes) == size
  }
}

/// How far a vault may fill its file system. Pure.
enum VaultRoom {
  /// Kept for events, which share the disk mostly: the bound of their log, or a sixteenth of a small
  /// disk.
  static let keptBytesMax: UInt64 = 256 << 20

  /// Whether a content of `size` bytes has room beside the `owed` bytes of those under way.
  static func admits(_ size: UInt64, owed: UInt64, _ room: FileSystemRoom) -> Bool {
    let kept = min(keptBytesMax, room.allBytes / 16)
    guard room.freeBytes >= kept else { return false }
    let left = room.freeBytes - kept
    return owed <= left && size <= left - owed
  }
}
