internal import Bytes

/// Makes sure that a transaction which failed for want of space can't come back.
///
/// SQLite writes a transaction's frames one by one behind the last valid one, and leaves them there when
/// a write fails. They are no part of the database while the last of them is not whole. But where the
/// log was begun anew, what the failed write was to replace is an older frame's page, and if that
/// happens to hold the same bytes the frame is whole after all: after a crash the refused transaction
/// would be there. So the first frame behind the valid ones is wiped; those after it depend on it.
///
/// The format: 32 bytes of header with two salts at 16, then frames of a header of 24 bytes, with the
/// salts at 8, and a page (sqlite.org/fileformat2.html, §4).
enum AbandonedFrames {
  private static let headerBytes = 32
  private static let frameHeaderBytes = 24

  /// The frames up to the last that ends a transaction, as a recovery finds them: each has the log's salts,
  /// and a checksum over all before it. For a log to which this process has written nothing.
  ///
  /// - Cost: reads the log.
  static func validCount(
    log path: String, pageBytes: Int, on disk: any StoreDisk = SystemDisk()
  ) throws(StoreFailure) -> Int {
    guard let log = try StoreFile(existing: path, on: disk) else { return 0 }
    let header = try log.read(at: 0, count: headerBytes)
    guard header.count == headerBytes else { return 0 }
    // The lowest bit of the magic number: whether checksums are over big-endian words.
    let isBig = header[3] & 1 == 1
    var sums: (UInt32, UInt32) = (0, 0)
    add(header.span.extracting(0..<24), isBig, &sums)
    guard sums == (word(header.span, 24), word(header.span, 28)) else { return 0 }
    var count = 0
    var valid = 0
    while true {
      let offset = headerBytes + count * (frameHeaderBytes + pageBytes)
      let frame = try log.read(at: offset, count: frameHeaderBytes + pageBytes)
      guard frame.count == frameHeaderBytes + pageBytes, frame[8..<16] == header[16..<24] else {
        return valid
      }
      add(frame.span.extracting(0..<8), isBig, &sums)
      add(frame.span.extracting(frameHeaderBytes..<frame.count), isBig, &sums)
      guard sums == (word(frame.span, 16), word(frame.span, 20)) else { return valid }
      count += 1
      if word(frame.span, 4) != 0 { valid = count }
    }
  }

  /// Adds words to the log's running checksum (sqlite.org/fileformat2.html, §4.2).
  private static func add(_ bytes: borrowing Span<UInt8>, _ isBig: Bool, _ sums: inout (UInt32, UInt32)) {
    var at = 0
    while at + 8 <= bytes.count {
      let first = word(bytes, at)
      let second = word(bytes, at + 4)
      sums.0 = sums.0 &+ (isBig ? first : first.byteSwapped) &+ sums.1
      sums.1 = sums.1 &+ (isBig ? second : second.byteSwapped) &+ sums.0
      at += 8
    }
  }

  private static func word(_ bytes: borrowing Span<UInt8>, _ at: Int) -> UInt32 {
    UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16 | UInt32(bytes[at + 2]) << 8
      | UInt32(bytes[at + 3])
  }

  /// - Parameter frames: in the log as of the last commit.
  /// - Errors: the frames may still be there.
  static func wipe(
    log path: String, pageBytes: Int, frames: Int, on disk: any StoreDisk = SystemDisk()
  ) throws(StoreFailure) {
    guard let log = try StoreFile(existing: path, .readWrite, on: disk) else { return }
    let header = try log.read(at: 0, count: headerBytes)
    guard header.count == headerBytes else { return }
    let frameBytes = frameHeaderBytes + pageBytes
    // A log that was begun anew has other salts than the frames that were valid before.
    var valid = 0
    if frames > 0 {
      let last = try log.read(at: headerBytes + (frames - 1) * frameBytes, count: frameHeaderBytes)
      if last.count == frameHeaderBytes, last[8..<16] == header[16..<24] { valid = frames }
    }
    let next = headerBytes + valid * frameBytes
    guard try log.read(at: next, count: frameHeaderBytes).count == frameHeaderBytes else { return }
    try log.write([UInt8](repeating: 0, count: frameHeaderBytes), at: next)
    try log.sync()
  }
}
