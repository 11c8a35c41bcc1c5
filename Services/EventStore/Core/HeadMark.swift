internal import Bytes

/// What the last commit was, as both the database and the head mark keep it.
///
/// SQLite's own recovery silently drops the rest of the write-ahead log after a damaged frame. The
/// mark stands outside that log, so a database that came back shorter than what was acknowledged
/// is noticed.
public struct HeadMark: Sendable, Hashable {
  /// Which store it is: 64 random bits, so that files of two stores can't be mixed.
  public var store: UInt64
  /// Commits so far.
  public var commit: UInt64
  /// The position of the last event.
  public var position: Int64
  /// A hash over all commits and the checksums of their events.
  public var chain: UInt64

  public init(store: UInt64, commit: UInt64, position: Int64, chain: UInt64) {
    self.store = store
    self.commit = commit
    self.position = position
    self.chain = chain
  }
}

/// The 64 bytes of one slot, little-endian:
///
/// `u32 magic · u32 version · u64 store · u64 commit · i64 position · u64 chain · zeros · u32 CRC-32C`
enum HeadMarkSlot {
  static let byteCount = 64
  static let magic: UInt32 = 0x4b4d_4853  // "SHMK"
  static let version: UInt32 = 1

  static func encode(_ mark: HeadMark) -> [UInt8] {
    var writer = ByteWriter(reserving: byteCount)
    writer.u32(magic)
    writer.u32(version)
    writer.u64(mark.store)
    writer.u64(mark.commit)
    writer.i64(mark.position)
    writer.u64(mark.chain)
    writer.raw([UInt8](repeating: 0, count: byteCount - 4 - writer.count))
    writer.u32(crc32c(writer.bytes))
    return writer.bytes
  }

  /// Nil for anything that `encode` did not write, an empty or torn slot included.
  static func decode(_ bytes: borrowing Span<UInt8>) -> HeadMark? {
    guard bytes.count == byteCount else { return nil }
    let body = bytes.extracting(0..<(byteCount - 4))
    var tail = ByteCursor(from: byteCount - 4, to: byteCount)
    var cursor = ByteCursor(from: 0, to: byteCount - 4)
    guard let sum = try? tail.u32(bytes), sum == crc32c(body),
      let foundMagic = try? cursor.u32(bytes), foundMagic == magic,
      let foundVersion = try? cursor.u32(bytes), foundVersion == version,
      let store = try? cursor.u64(bytes), let commit = try? cursor.u64(bytes),
      let position = try? cursor.i64(bytes), let chain = try? cursor.u64(bytes)
    else { return nil }
    return HeadMark(store: store, commit: commit, position: position, chain: chain)
  }
}

/// What reading the head mark's file gave.
public enum HeadMarkReading: Sendable, Hashable {
  case missing
  /// The file is there and no slot of it is valid.
  case unreadable
  case mark(HeadMark)
}

/// Why a database may not be served as it is.
public enum HeadMarkRefusal: Sendable, Hashable, CustomStringConvertible {
  /// Commits that were acknowledged are not in the database.
  case behind(database: UInt64, mark: UInt64)
  /// The database and the mark disagree about the same commit.
  case diverged(commit: UInt64)
  /// The mark is another store's.
  case foreign
  case missing
  case unreadable

  public var description: String {
    let remedy =
      "restore the directory from a backup, or start once with --accept-loss: "
      + "the store then serves what is left, and every stream gets a new epoch"
    switch self {
    case .behind(let database, let mark):
      return "the database ends at commit \(database), but \(mark) were acknowledged; \(remedy)"
    case .diverged(let commit):
      return "the database and the head mark disagree about commit \(commit); \(remedy)"
    case .foreign: return "the head mark belongs to another store; \(remedy)"
    case .missing: return "the head mark is missing, so loss can't be ruled out; \(remedy)"
    case .unreadable: return "the head mark is damaged, so loss can't be ruled out; \(remedy)"
    }
  }
}

extension HeadMarkReading {
  /// Why `database` may not be served, or nil where it may.
  ///
  /// A database *ahead* of the mark is a legal crash: the commit was synced and its mark was not.
  /// A mark of commit 0 promises nothing, and neither does one that is missing from a store
  /// without commits.
  public func refusal(of database: HeadMark) -> HeadMarkRefusal? {
    switch self {
    case .missing: return database.commit == 0 ? nil : .missing
    case .unreadable: return database.commit == 0 ? nil : .unreadable
    case .mark(let mark):
      if mark.commit == 0 { return nil }
      if database.commit < mark.commit {
        return .behind(database: database.commit, mark: mark.commit)
      }
      if database.store != mark.store { return .foreign }
      if database.commit == mark.commit {
        return database == mark ? nil : .diverged(commit: mark.commit)
      }
      return database.position < mark.position ? .diverged(commit: mark.commit) : nil
    }
  }
}

/// Mixes `word` into a running hash. Detects accidents, not attackers.
func mixed(_ hash: UInt64, _ word: UInt64) -> UInt64 {
  var z = (hash ^ word) &+ 0x9e37_79b9_7f4a_7c15
  z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
  z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
  return z ^ (z >> 31)
}
