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
