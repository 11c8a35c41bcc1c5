internal import Bytes
internal import Glibc

/// The workload's own record of what it tried and what it was told, a line each, in the file `acks`
/// beside the store. The shim sees each line in its place among the store's writes.
///
/// A stream's lines are about the one of that name that began last: by `begin` or `fork`.
///
/// - `keeps STREAM EVENTS`: a stream of this name is trimmed to so many by the store itself, at any time
/// - `begin STREAM`: a stream is about to begin with the `try` that follows
/// - `try REQUEST STREAM OFFSET SHA256 SEED BYTES KEY`: about to be committed; the chain if it is
/// - `ack STREAM OFFSET EPOCH`: acknowledged
/// - `no STREAM OFFSET SHA256`: refused, and certainly not written
/// - `fork STREAM OFFSET FLOOR SHA256 SOURCE`, `forked STREAM EPOCH`: before and after; the source's
///   chain at the fork point, and its floor
/// - `trim STREAM OFFSET`, `trimmed STREAM OFFSET`: before, and after; the floor was seen there as well
/// - `delete STREAM`, `deleted STREAM`: before and after
/// - `not WORD STREAM`: what `fork`, `trim` or `delete` tried last was refused, and certainly not done
/// - `confirm POSITION`, `announced POSITION`: the outbox, before and after it is stored
final class Journal {
  private let number: Int32

  init(_ path: String) {
    number = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard number >= 0 else { give("can't open \(path)", 2) }
  }

  func line(_ text: String) {
    let bytes = [UInt8]((text + "\n").utf8)
    let written = unsafe bytes.withUnsafeBytes { raw in
      // SAFE BECAUSE the count is the array's own.
      unsafe write(number, raw.baseAddress, raw.count)
    }
    guard written == bytes.count else { give("can't write the journal", 2) }
  }

  deinit { _ = close(number) }

  /// The lines of a journal, split at spaces.
  static func read(_ path: String) -> [[Substring]] {
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return [] }
    defer { _ = close(number) }
    var text: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
      let got = unsafe piece.withUnsafeMutableBytes { raw in
        // SAFE BECAUSE the count is the array's own.
        unsafe Glibc.read(number, raw.baseAddress, raw.count)
      }
      guard got > 0 else { break }
      text.append(contentsOf: piece[..<got])
    }
    return String(decoding: text, as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: " ")
    }
  }
}

/// Ends the workload: 0 done, 2 it could not work, 99 it saw a wrong answer, else the store's code.
func give(_ reason: String, _ code: Int32) -> Never {
  print(reason)
  exit(code)
}
