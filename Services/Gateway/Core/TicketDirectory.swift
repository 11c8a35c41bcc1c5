internal import Bytes
internal import Identity
internal import Platform

/// Tickets where several gateways of one machine find them: a file each, named by the ticket's
/// digest, whose removal uses the ticket up. Any thread; a call is a few operations on small files,
/// so the directory belongs on a file system in memory.
///
/// Holds the claims, for their owner alone, and never the ticket: who can read the directory can
/// open nothing with it. A file's first line is the deadline and, for a token's ticket, the mark of
/// the token's key; the claims follow.
struct TicketDirectory: Sendable {
  private let path: FilePath
  private let life: Duration

  init(_ path: String, life: Duration) {
    self.path = FilePath(path)
    self.life = life
  }

  private func file(_ digest: [UInt8]) -> FilePath { path.appending(hex(digest)) }

  /// - Errors: nothing was written.
  func put(_ digest: [UInt8], _ content: TicketContent, nowMs: Int64) throws(SystemError) {
    let deadline = nowMs + life.millisecondsClamped
    let key = content.key.map { " " + hex($0.bytes) } ?? ""
    try Files.replace(
      file(digest), with: Array("\(deadline)\(key)\n".utf8) + content.claims, mode: 0o600)
  }

  /// What a ticket stands for that nobody has used and that is good now; nobody finds it afterwards.
  func take(_ digest: [UInt8], nowMs: Int64) -> TicketContent? {
    // Of all that try, one gets the name changed.
    let mine = path.appending("\(hex(digest)).\(Syscalls.processID)")
    guard (try? Files.rename(file(digest), to: mine)) != nil else { return nil }
    defer { try? Files.remove(mine) }
    guard let content = try? Files.read(mine, bytesMax: 16_384),
      let end = content.firstIndex(of: 0x0A)
    else { return nil }
    let line = content[..<end].split(separator: UInt8(ascii: " ")).map {
      String(decoding: $0, as: UTF8.self)
    }
    guard let deadline = line.first.flatMap({ Int64($0) }), nowMs < deadline, line.count <= 2 else {
      return nil
    }
    var key: KeyMark?
    if line.count == 2 {
      guard let mark = bytes(hex: line[1]).flatMap({ KeyMark(bytes: $0) }) else { return nil }
      key = mark
    }
    return TicketContent(claims: Array(content[(end + 1)...]), key: key)
  }

  /// Nothing else in the directory is touched, should it be another one than was meant.
  private static func isOurs(_ name: [UInt8]) -> Bool {
    let stem = name.prefix { $0 != UInt8(ascii: ".") }
    return stem.count == 64 && bytes(hex: String(decoding: stem, as: UTF8.self)) != nil
  }

  /// Removes what has long expired, whoever put it there.
  func sweep(nowMs: Int64) {
    for name in (try? Files.list(path)) ?? [] where Self.isOurs(name) {
      let file = path.appending(String(decoding: name, as: UTF8.self))
      guard let status = try? Files.status(file), status.kind == .file,
        nowMs - status.modifiedMilliseconds > 2 * life.millisecondsClamped
      else { continue }
      try? Files.remove(file)
    }
  }
}
