internal import Archive
internal import Bytes
internal import Platform

/// Files of streams as the commands read and write them. Memory is bounded by a line.
enum ArchiveFiles {
  /// Bytes that are read at once.
  private static let pieceBytes = 256 << 10

  /// What a file holds of one stream.
  struct Section: Equatable {
    let header: ArchiveHeader
    let count: UInt64
    let last: Offset
    let chain: StreamChain
  }

  /// Reads a file from beginning to end, and gives `body` each item.
  ///
  /// - Parameter path: `-` for standard input.
  /// - Errors: `ArchiveFault` where it is not what an export wrote; `SystemError`; what `body` throws.
  static func read(
    _ path: String, _ progress: Progress, _ body: (ArchiveReader.Item) throws -> Void
  ) throws {
    let descriptor = try Files.openForReading(FilePath(path == "-" ? "/dev/stdin" : path))
    var reader = ArchiveReader()
    var buffer = [UInt8](repeating: 0, count: pieceBytes)
    var line: [UInt8] = []
    var bytesRead: UInt64 = 0
    func isTooLong(_ more: Int) -> Bool { line.count + more > ArchiveReader.lineBytesMax }
    while true {
      let count: Int
      switch Syscalls.read(descriptor, into: &buffer) {
      case .count(let read): count = read
      case .endOfStream:
        if !line.isEmpty { try body(try reader.take(line.span)) }
        return try reader.finish()
      case .wouldBlock: throw SystemError(code: 11, call: "read")
      case .failed(let code): throw SystemError(code: code, call: "read")
      }
      bytesRead += UInt64(count)
      var start = 0
      while start < count {
        let end = buffer[start..<count].firstIndex(of: 10)
        guard !isTooLong((end ?? count) - start) else {
          throw ArchiveFault(line: reader.line + 1, offset: nil, reason: .lineTooLong)
        }
        line += buffer[start..<(end ?? count)]
        guard let end else { break }
        try body(try reader.take(line.span))
        line.removeAll(keepingCapacity: true)
        start = end + 1
      }
      progress.at(bytesRead)
    }
  }

  /// Reads a file and gives what it holds, with nothing of it taken on trust.
  static func verify(_ path: String, _ progress: Progress) throws -> [Section] {
    var sections: [Section] = []
    try read(path, progress) { item in
      guard case .end(let header, let count, let last, let chain) = item else { return }
      sections.append(Section(header: header, count: count, last: last, chain: chain))
    }
    return sections
  }
}

/// Where an export goes: standard output, or a file that has its name once it is whole.
final class ArchiveOutput {
  /// A file on its way to its name.
  private final class Part {
    let path: FilePath
    let part: FilePath
    let descriptor: Descriptor

    init(_ path: String) throws(SystemError) {
      self.path = FilePath(path)
      part = FilePath("\(path).\(Syscalls.processID).part")
      descriptor = try Files.openForAppending(part)
    }
  }

  private let console: Console
  private let file: Part?
  private var buffer: [UInt8] = []
  private static let bufferBytes = 256 << 10

  /// - Parameter path: nil for standard output.
  init(_ path: String?, _ console: Console) throws(SystemError) {
    self.console = console
    if let path { file = try Part(path) } else { file = nil }
  }

  func write(_ bytes: [UInt8]) throws {
    buffer += bytes
    if buffer.count >= Self.bufferBytes { try flush() }
  }

  private func flush() throws {
    defer { buffer.removeAll(keepingCapacity: true) }
    if let file { return try Files.writeAll(buffer, to: file.descriptor) }
    guard console.write(buffer) else { throw SystemError(code: 32, call: "write") }
  }

  /// The file is whole: it is on disk and has its name.
  func finish() throws {
    try flush()
    guard let file else { return }
    try Files.sync(file.descriptor)
    try Files.rename(file.part, to: file.path)
    try Files.syncDirectory(file.path.parent)
  }

  /// What was written so far is of no use.
  func abandon() {
    if let file { try? Files.remove(file.part) }
  }
}

/// How far long work is, on standard error where that is a terminal.
final class Progress {
  private let what: String
  private let whole: UInt64
  private let isShown: Bool
  private var due = SystemClock.monotonic()
  private var hasShown = false
  private static let pause = Duration.milliseconds(100)
  private static let cells: UInt64 = 30

  /// - Parameter whole: what `at` reaches in the end; 0 where that is not known.
  init(_ what: String, of whole: UInt64, isShown: Bool = Processes.isTerminal(2)) {
    self.what = what
    self.whole = whole
    self.isShown = isShown
  }

  func at(_ done: UInt64) {
    guard isShown, SystemClock.monotonic() >= due else { return }
    due = SystemClock.monotonic() + Self.pause
    hasShown = true
    Output.standardError("\r\(Self.line(what, done, of: whole))")
  }

  /// The line is free again.
  func end() {
    guard hasShown else { return }
    Output.standardError("\r\u{1b}[K")
  }

  static func line(_ what: String, _ done: UInt64, of whole: UInt64) -> String {
    guard whole > 0 else { return "\(what) \(done)" }
    let part = min(done, whole)
    let full = Int(part / max(1, whole / cells))
    let bar =
      String(repeating: "#", count: min(full, Int(cells)))
      + String(repeating: ".", count: max(0, Int(cells) - full))
    return "\(what) [\(bar)] \(part * 100 / whole) %"
  }
}
